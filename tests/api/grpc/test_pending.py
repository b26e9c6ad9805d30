"""One request of a stream as the promise that a batch settles."""

import asyncio

import numpy as np
import pytest
from tests.api.grpc.served import version
from tests.api.serving import Direct
from tests.codecs.protobuf.test_infer import STREAM, X, request

from inferd.api.call import RequestIds
from inferd.api.grpc.calls import Calls
from inferd.api.grpc.infer import Inferring
from inferd.api.grpc.methods import METHODS
from inferd.api.grpc.pending import Pending
from inferd.api.guard import allow_anonymous
from inferd.api.inference import Inference
from inferd.api.settings import ApiSettings
from inferd.core.clock import monotonic
from inferd.core.errors import ModelFailed
from inferd.routing.table import RouteTable

RPC = next(rpc for rpc in METHODS if rpc.route.door == "stream")


class Held(Direct):
    """Settles only when told to."""

    def settle(self, inputs, promise):
        pass


class Session:
    """What a request needs of its stream."""

    def __init__(self, servable):
        self.heard = []
        self.sent = []
        self.ended = []
        self.strict = False
        self.table = table = RouteTable()
        table.put(version(servable=servable))
        settings = ApiSettings()
        self.calls = Calls(
            settings, lambda *heard: self.heard.append(heard), allow_anonymous, monotonic,
            RequestIds("t"),
        )  # fmt: skip
        self.inferring = Inferring(table, Inference(table, settings, monotonic), monotonic, 1 << 20)

    def push(self, message):
        self.sent.append(STREAM.FromString(message))

    def over(self, pending):
        self.ended.append(pending)

    def failed(self, error, call):
        return self.strict

    def begin(self, message=None):
        pending = Pending(self, self.calls.begin(RPC, "r"))
        pending.start((message or request(x=("FP32", X))).SerializeToString())
        return pending


@pytest.fixture
def session():
    return Session(Held(lambda x: {"y": x}))


def on_loop(test):
    def run(session):
        async def main():
            test(session)

        asyncio.run(main())

    return run


@on_loop
def test_a_result_is_sent_once(session):
    pending = session.begin()
    assert not pending.done()
    pending.set_result({"y": X})
    pending.set_result({"y": X * 2})
    pending.set_exception(ModelFailed("late"))

    (message,) = session.sent
    assert message.infer_response.raw_output_contents[0] == X.tobytes()
    assert pending.done()
    assert not pending.cancelled()
    assert session.ended == [pending]
    assert [status for _, status, *_ in session.heard] == [200]


@on_loop
def test_an_error_is_sent(session):
    pending = session.begin()
    pending.set_exception(ModelFailed("it broke"))

    assert session.sent[0].error_message == "it broke"
    assert [status for _, status, *_ in session.heard] == [500]


@on_loop
def test_an_error_that_ends_the_stream_is_not_sent(session):
    session.strict = True
    pending = session.begin()
    pending.set_exception(ModelFailed("it broke"))

    assert session.sent == []
    assert session.ended == [pending]


@on_loop
def test_who_is_abandoned_frees_its_entry(session):
    pending = session.begin()
    pending.abandon()
    pending.abandon()
    pending.set_result({"y": X})

    servable = session.inferring.aim(request(x=("FP32", X)), pending._call)[0].servable
    assert servable.abandoned == [pending]
    assert pending.cancelled()
    assert session.sent == []
    assert [status for _, status, *_ in session.heard] == [499]


@on_loop
def test_outputs_that_cannot_be_written_are_an_error(session):
    pending = session.begin()
    pending.set_result({"y": np.zeros(2, complex)})

    assert session.sent[0].error_message
    assert session.ended == [pending]


@pytest.mark.parametrize("parts", [(), ("generates",)], ids=["model", "pipeline"])
def test_parameters_are_not_lost_where_a_step_may_heed_them(session, parts):
    message = request(x=("FP32", X))
    message.parameters["seed"].int64_param = 4

    async def main():
        session.table.find("m").parts = parts
        pending = session.begin(message)
        assert (pending._task is not None) == bool(parts)  # asked in full, not by promise
        pending.abandon()

    asyncio.run(main())


def test_a_message_of_many_fields_is_read_later(session):
    async def main():
        message = request(x=("FP32", X))
        for number in range(1 << 15):
            message.parameters[f"p{number}"].int64_param = number
        session.begin(message)
        assert not session.sent
        while not session.ended:
            await asyncio.sleep(0.01)

    asyncio.run(main())

    (answer,) = session.sent
    assert (
        np.frombuffer(answer.infer_response.raw_output_contents[0], "<f4").tolist()
        == X.ravel().tolist()
    )
