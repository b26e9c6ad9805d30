"""``ModelStreamInfer`` with servables of ours: order, bounds, errors, pieces, and ends."""

import queue
import threading
import time

import grpc
import numpy as np
import pytest
from tests.api.grpc.served import Counting, Served, Slow, refused, version
from tests.api.serving import Direct, Early, Numpy
from tests.codecs.protobuf.test_infer import STREAM, X, request, with_parameter

from inferd.api.grpc.session import AT_ONCE
from inferd.core.errors import ModelFailed, NotAllowed
from inferd.core.message import Response, Timings

STREAM_INFER = "/inference.GRPCInferenceService/ModelStreamInfer"
FINAL = "triton_enable_empty_final_response"


class Stream:
    """One open stream: ``send`` a request, ``take`` an answer."""

    def __init__(self, served, **call):
        self.out = queue.SimpleQueue()
        self.call = served.channel.stream_stream(STREAM_INFER)(iter(self.out.get, None), **call)

    def send(self, id="", *, model="m", x=X, final=False):
        message = request(x=("FP32", np.asarray(x, np.float32)))
        message.model_name, message.id = model, id
        if final:
            with_parameter(message, FINAL, bool_param=True)
        self.out.put(message.SerializeToString())

    def take(self):
        message = STREAM.FromString(next(self.call))
        if message.error_message:
            return message.infer_response.id, message.error_message
        (raw,) = message.infer_response.raw_output_contents or [b""]
        return message.infer_response.id, np.frombuffer(raw, "<f4").tolist()

    def end(self):
        self.out.put(None)


@pytest.mark.parametrize("servable", [Numpy, Direct, Early], ids=lambda s: s.__name__)
def test_requests_are_answered(servable):
    with Served(version(servable=servable(lambda x: {"y": x * 2}))) as served:
        stream = Stream(served)
        for i in range(20):
            stream.send(str(i), x=[[i, 1]])
        answers = dict(stream.take() for _ in range(20))
        stream.end()

        assert answers == {str(i): [2 * i, 2] for i in range(20)}
        assert list(stream.call) == []
        assert stream.call.code() is grpc.StatusCode.OK
        assert served.statuses() == [200] * 20


def test_ids_of_requests_begin_with_that_of_the_stream(served):
    stream = Stream(served, metadata=[("x-request-id", "s")])
    stream.send()
    stream.send()
    stream.take(), stream.take()
    stream.end()

    assert list(stream.call) == []
    assert dict(stream.call.trailing_metadata())["x-request-id"] == "s"
    assert [r.id for r in served.table.find("m").servable.seen[-2:]] == ["s.1", "s.2"]


def test_an_error_is_a_message_and_the_stream_goes_on(served):
    stream = Stream(served)
    stream.send("a", model="nobody")
    stream.send("b", x=[[1, 2, 3]])
    stream.send("c")
    taken = [stream.take() for _ in range(3)]
    stream.end()

    assert sorted(id for id, _ in taken) == ["a", "b", "c"]
    said = dict(taken)
    assert "no model named 'nobody'" in said["a"]
    assert "must have shape [any, 2]" in said["b"]
    assert said["c"] == (X * 2).ravel().tolist()


@pytest.mark.parametrize("servable", [Numpy, Direct, Early], ids=lambda s: s.__name__)
def test_a_models_failure_is_a_message(servable):
    failing = servable(lambda x: {"y": x}, ModelFailed("it broke"))
    with Served(version(servable=failing)) as served:
        stream = Stream(served)
        stream.send("a")
        assert stream.take() == ("a", "it broke")
        stream.end()
        assert list(stream.call) == []

    assert served.statuses() == [500]


def test_errors_are_statuses_where_that_is_asked_for(served):
    stream = Stream(served, metadata=[("triton_grpc_error", "true")])
    stream.send("a")
    assert stream.take()[0] == "a"
    stream.send("b", model="nobody")
    with refused(grpc.StatusCode.NOT_FOUND) as said:
        stream.take()

    assert "no model named 'nobody'" in said["details"]
    assert said["error-kind"] == "not_found"


def test_a_stream_needs_its_permission():
    def authorize(principal, route):
        raise NotAllowed("no")

    with Served(authorize=authorize) as served:
        stream = Stream(served)
        with refused(grpc.StatusCode.PERMISSION_DENIED):
            stream.take()
        assert served.statuses() == [403]


def test_a_fast_request_overtakes_a_slow_one():
    slow = Slow()
    with Served(version(), version("slow", servable=slow)) as served:
        stream = Stream(served)
        stream.send("slow", model="slow")
        assert slow.begun.wait(5)
        stream.send("fast")
        assert stream.take()[0] == "fast"
        stream.call.cancel()
        assert slow.ended.wait(5)


def test_pieces_come_in_order_with_a_last_empty_one_where_asked_for():
    with Served(version(servable=Counting(), streams=True)) as served:
        stream = Stream(served)
        stream.send("a", x=[[3, 7]])
        assert [stream.take() for _ in range(3)] == [("a", [i, 7]) for i in range(3)]
        stream.send("b", x=[[2, 8]], final=True)
        messages = [STREAM.FromString(next(stream.call)).infer_response for _ in range(3)]
        stream.end()

        assert [m.parameters["triton_final_response"].bool_param for m in messages] == [
            False, False, True,
        ]  # fmt: skip
        assert len(messages[2].outputs) == 0
        assert list(stream.call) == []
        _until(lambda: served.statuses() == [200, 200])


def test_a_plain_answer_is_the_last_of_its_request(served):
    stream = Stream(served)
    stream.send("a", final=True)
    message = STREAM.FromString(next(stream.call)).infer_response
    stream.end()

    assert message.parameters["triton_final_response"].bool_param
    assert len(message.outputs) == 1


def test_a_failure_after_some_pieces_is_a_message():
    counting = Counting(error=ModelFailed("it broke"))
    with Served(version(servable=counting, streams=True)) as served:
        stream = Stream(served)
        stream.send("a", x=[[1, 7]])

        assert stream.take() == ("a", [0, 7])
        assert stream.take() == ("a", "it broke")
        stream.end()


def test_a_client_that_leaves_ends_the_generation():
    counting = Counting(pause=0.01)
    with Served(version(servable=counting, streams=True)) as served:
        stream = Stream(served)
        stream.send("a", x=[[100, 0]])
        stream.take()
        stream.call.cancel()

        assert counting.closed.wait(5)
        assert counting.given < 50
        _until(lambda: served.statuses() == [499])


def test_a_client_that_does_not_read_holds_the_generation_back():
    class Large(Counting):
        async def pieces(self, x):
            async for piece in super().pieces(x):
                yield {"y": np.repeat(piece["y"], 50_000, axis=1)}

    large = Large()
    with Served(version(servable=large, streams=True)) as served:
        stream = Stream(served)
        stream.send("a", x=[[5000, 0]])
        time.sleep(0.5)
        given = large.given
        time.sleep(0.3)

        assert large.given == given < 400
        stream.call.cancel()
        assert large.closed.wait(5)


def test_requests_at_once_are_bounded():
    class Holding:
        def __init__(self):
            self.count = 0
            self.release = threading.Event()

        async def __call__(self, asked):
            import asyncio

            self.count += 1
            while not self.release.is_set():
                await asyncio.sleep(0.01)
            return Response("m", "1", {"y": asked.inputs["x"]}, Timings())

    holding = Holding()
    with Served(version(servable=holding)) as served:
        stream = Stream(served)
        for i in range(AT_ONCE + 50):
            stream.send(str(i))
        _until(lambda: holding.count >= AT_ONCE)
        time.sleep(0.1)
        assert holding.count == AT_ONCE
        holding.release.set()
        assert len({stream.take()[0] for _ in range(AT_ONCE + 50)}) == AT_ONCE + 50
        stream.end()


def test_a_closing_server_answers_what_it_took_and_ends_the_stream():
    counting = Counting(pause=0.02)
    with Served(version(servable=counting, streams=True)) as served:
        stream, idle = Stream(served), Stream(served)
        stream.send("a", x=[[10, 7]])
        stream.take()
        served.loop.call_soon_threadsafe(served.application.close)

        assert [stream.take()[1][0] for _ in range(9)] == list(range(1, 10))
        for each in (stream, idle):
            with refused(grpc.StatusCode.UNAVAILABLE) as said:
                each.take()
            assert "stopping" in said["details"]
        late = Stream(served)
        with refused(grpc.StatusCode.UNAVAILABLE):
            late.take()


def _until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
