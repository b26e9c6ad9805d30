"""Requests and responses: what is left unsaid means the obvious."""

from inferd.core.message import HIGH, NORMAL, Request, Response, Timings


def test_a_request_that_says_nothing_waits_for_ever_with_normal_priority():
    request = Request("m", {})

    assert request.deadline == float("inf")
    assert request.priority == NORMAL < HIGH
    assert request.version is request.outputs is None


def test_requests_do_not_share_what_they_hold():
    one, two = Request("m", {}), Request("m", {})
    one.parameters["k"] = 1

    assert two.parameters == {}


def test_timings_start_at_nothing():
    timings = Timings()

    assert timings.queue == timings.batch == timings.run == timings.decode == timings.encode == 0
    assert Response("m", "1", {}, timings).outputs == {}
