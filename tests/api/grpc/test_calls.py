"""What all calls share: ids, deadlines, priorities, permissions, who hears of them."""

import contextlib
import gc
import time
from types import FrameType

import grpc
import numpy as np
import pytest
from tests.api.grpc.served import Served, Slow, refused, version
from tests.codecs.protobuf.test_infer import X, request

from inferd.api.settings import ApiSettings
from inferd.core.clock import monotonic
from inferd.core.errors import NotAllowed, Overloaded
from inferd.core.message import HIGH, NORMAL

INFER = "/inference.GRPCInferenceService/ModelInfer"
GOOD = request(x=("FP32", X))


def last(served):
    return served.table.find("m").servable.seen[-1]


def test_a_given_id_is_echoed_and_told_to_the_model(served):
    _, trailing = served.ask(INFER, GOOD, metadata=[("x-request-id", "abc-1")])

    assert trailing["x-request-id"] == "abc-1"
    assert last(served).id == "abc-1"


@pytest.mark.parametrize("given", [[], [("x-request-id", "not sane!")]], ids=["none", "bad"])
def test_a_call_without_a_sane_id_gets_one(served, given):
    _, trailing = served.ask(INFER, GOOD, metadata=given)

    assert trailing["x-request-id"].startswith("g-")


DEADLINES = {
    "of the server": ({}, 30),
    "of the call": ({"timeout": 5}, 5),
    "of the header": ({"metadata": [("x-request-timeout", "2s")]}, 2),
    "the earlier": ({"timeout": 5, "metadata": [("x-request-timeout", "7")]}, 5),
    "longer than the server's": ({"timeout": 50}, 50),
    "at most": ({"metadata": [("x-request-timeout", "99999999")]}, 86400),
}


@pytest.mark.parametrize(("given", "seconds"), DEADLINES.values(), ids=DEADLINES)
def test_the_deadline_reaches_the_model(served, given, seconds):
    stub = served.method(INFER)
    stub(GOOD.SerializeToString(), **given)

    assert last(served).deadline - monotonic() == pytest.approx(seconds, abs=1)


def test_the_priority_reaches_the_model(served):
    served.ask(INFER, GOOD, metadata=[("x-priority", "high")])
    assert last(served).priority == HIGH
    served.ask(INFER, GOOD)
    assert last(served).priority == NORMAL


def test_timings_are_told_where_they_are_asked_for(served):
    _, trailing = served.ask(INFER, GOOD, metadata=[("x-server-timing", "1")])

    assert "queue;dur=1.000" in trailing["server-timing"]
    assert "server-timing" not in served.ask(INFER, GOOD)[1]


@pytest.mark.parametrize(
    "given", [("x-request-timeout", "soon"), ("x-priority", "urgent")], ids=["timeout", "priority"]
)
def test_metadata_that_mean_nothing_are_invalid(served, given):
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as said:
        served.ask(INFER, GOOD, metadata=[given])

    assert said["error-kind"] == "invalid_input"


def test_the_observer_hears_of_a_call_once(served):
    served.observed.clear()
    body, _ = served.ask(INFER, GOOD)
    ((asked, status, sent, seconds, timings, model),) = served.observed

    assert (status, sent, model) == (200, len(body), "m")
    assert (asked.method, asked.raw_path) == ("POST", INFER.encode())
    assert asked.context.route.dialect == "oip_grpc"
    assert 0 < seconds < 5
    assert (timings.queue, timings.run) == (0.001, 0.003)
    assert timings.decode > 0


def test_the_observer_hears_of_failures_with_the_status_of_http(served):
    served.observed.clear()
    before = served.application.accepted
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        served.ask(INFER, b"\xff\xff")
    with refused(grpc.StatusCode.UNIMPLEMENTED):
        served.ask("/tensorflow.serving.PredictionService/Classify")

    assert served.statuses() == [400, 501]
    assert [seen[0].context.kind for seen in served.observed] == ["invalid_input", "unsupported"]
    assert served.application.accepted == before + 2


def test_an_unknown_method_is_unimplemented(served):
    with refused(grpc.StatusCode.UNIMPLEMENTED):
        served.ask("/inference.GRPCInferenceService/Nothing")


def test_a_refusal_of_load_says_when_to_come_back():
    overloaded = version()
    overloaded.servable.error = Overloaded("full", retry_after=4)
    with Served(overloaded) as served, refused(grpc.StatusCode.RESOURCE_EXHAUSTED) as said:
        served.ask(INFER, GOOD)

    assert said["retry-after"] == "4"
    assert said["grpc-retry-pushback-ms"] == "4000"


def test_what_a_model_raises_unexpectedly_stays_inside(caplog):
    broken = version()
    broken.servable.error = ValueError("secret")
    with Served(broken) as served, refused(grpc.StatusCode.INTERNAL) as said:
        served.ask(INFER, GOOD)

    assert "secret" not in said["details"]
    assert said["x-request-id"] in said["details"]


def test_a_method_needs_its_permission():
    asked = []

    def authorize(principal, route):
        asked.append((route.template, route.permission))
        if route.permission == "infer":
            raise NotAllowed("no")

    with Served(authorize=authorize) as served:
        with refused(grpc.StatusCode.PERMISSION_DENIED):
            served.ask(INFER, GOOD)
        assert served.inference("ServerLive").live

    assert asked == [(INFER, "infer"), ("/inference.GRPCInferenceService/ServerLive", "public")]


def test_a_cancelled_call_ends_its_request():
    slow = Slow()
    with Served(version(servable=slow)) as served:
        call = served.method(INFER).future(GOOD.SerializeToString())
        assert slow.begun.wait(5)
        call.cancel()
        assert slow.ended.wait(5)
        _until(lambda: served.statuses() == [499])
        assert served.observed[0][0].context.kind == "cancelled"


def test_a_cancelled_call_abandons_its_entry():
    never = version()
    never.servable.settle = lambda inputs, promise: None
    with Served(never) as served:
        call = served.method(INFER).future(GOOD.SerializeToString())
        _until(lambda: never.servable.seen)
        call.cancel()
        _until(lambda: never.servable.abandoned)
        _until(lambda: served.statuses() == [499])


def test_a_deadline_that_passes_ends_its_request():
    slow = Slow()
    with Served(version(servable=slow)) as served:
        with refused(grpc.StatusCode.DEADLINE_EXCEEDED):
            served.ask(INFER, GOOD, timeout=0.2)
        assert slow.ended.wait(5)


def test_the_servers_deadline_holds_for_who_names_none():
    settings = ApiSettings(timeout=7.0)
    with Served(settings=settings) as served:
        served.method(INFER)(GOOD.SerializeToString())
        assert last(served).deadline - monotonic() == pytest.approx(7, abs=1)


def _until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("name", ["m", "nobody"], ids=["answered", "refused"])
def test_a_call_leaves_nothing_of_ours_to_the_collector(served, name):
    message = request(x=("FP32", X))
    message.model_name = name
    stub = served.method(INFER)

    def ask():
        with contextlib.suppress(grpc.RpcError):
            stub(message.SerializeToString())

    ask()
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            ask()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = {type(thing) for thing in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()

    assert not {FrameType, type(message), np.ndarray} & left
    assert not [kind for kind in left if str(kind.__module__).startswith("inferd")]


PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def whole():
    """Return a request that the servable sees as such: one with a parameter."""
    message = request(x=("FP32", X))
    message.parameters["p"].int64_param = 1
    return message


def test_a_trace_is_joined_and_passed_on(served):
    metadata = [("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "b=2")]
    served.ask(INFER, whole(), metadata=metadata)

    assert (last(served).trace.parent, last(served).trace.state) == (PARENT, "a=1,b=2")


@pytest.mark.parametrize("given", [[], [("traceparent", "none")]], ids=["none", "bad"])
def test_a_call_without_a_trace_has_none(served, given):
    served.ask(INFER, whole(), metadata=given)

    assert last(served).trace is None
