"""W3C Trace Context: what is a valid place, what is passed on, who records."""

import re

import pytest

from inferd.core.trace import CLIENT, Trace, parse, root

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"


def test_a_valid_context_is_read_and_written():
    trace = parse(PARENT, "vendor=1,other=a b")

    assert trace == Trace(TRACE_ID, SPAN_ID, True, "vendor=1,other=a b")
    assert trace.parent == PARENT


@pytest.mark.parametrize(
    ("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True), ("ff", True)]
)
def test_only_the_sampled_flag_is_known_and_passed_on(flags, sampled):
    trace = parse(f"00-{TRACE_ID}-{SPAN_ID}-{flags}")

    assert trace.sampled == sampled
    assert trace.parent.endswith("-01" if sampled else "-00")


def test_a_later_version_may_say_more():
    assert parse(f"01-{TRACE_ID}-{SPAN_ID}-01-more") == Trace(TRACE_ID, SPAN_ID)
    assert parse(f"  {PARENT} ") == Trace(TRACE_ID, SPAN_ID)


INVALID = {
    "empty": "",
    "text": "trace",
    "version ff": f"ff-{TRACE_ID}-{SPAN_ID}-01",
    "version 00 says more": f"{PARENT}-more",
    "capitals": PARENT.upper(),
    "short trace id": f"00-{TRACE_ID[1:]}-{SPAN_ID}-01",
    "long span id": f"00-{TRACE_ID}-{SPAN_ID}0-01",
    "zero trace id": f"00-{'0' * 32}-{SPAN_ID}-01",
    "zero span id": f"00-{TRACE_ID}-{'0' * 16}-01",
    "no flags": f"00-{TRACE_ID}-{SPAN_ID}",
    "digits of another script": PARENT.replace("1", "\u0661"),
    "line end": PARENT[:-2] + "01\n-x",
}


@pytest.mark.parametrize("parent", INVALID.values(), ids=INVALID)
def test_anything_else_is_none(parent):
    assert parse(parent, "a=1") is None


@pytest.mark.parametrize(
    "state", ["a=" + "x" * 600, "a=\n", "a=\u00e9"], ids=["long", "line", "latin"]
)
def test_a_state_that_is_none_is_dropped_and_the_place_kept(state):
    assert parse(PARENT, state) == Trace(TRACE_ID, SPAN_ID)


def test_roots_differ():
    ids = {root().trace_id for _ in range(100)} | {root().span_id for _ in range(100)}

    assert len(ids) == 200
    assert all(re.fullmatch(r"[0-9a-f]{16}|[0-9a-f]{32}", id) for id in ids)
    assert parse(root().parent) is not None
    assert root(sampled=False).parent.endswith("-00")


def test_without_a_sink_the_callers_place_is_passed_on_as_it_came():
    trace = parse(PARENT, "a=1")

    assert trace.child() is trace
    trace.record("nobody hears of it", 1.0, 2.0)


def test_with_one_what_is_asked_is_below_and_recorded():
    kept = []
    trace = parse(PARENT, "a=1").kept_by(kept.append)
    child = trace.child()
    child.record(
        "ask", 1.0, 2.0, kind=CLIENT, error="unavailable", attributes={"server.address": "h"}
    )
    (span,) = kept

    assert (trace.trace_id, trace.parent_id, trace.state) == (TRACE_ID, SPAN_ID, "a=1")
    assert (child.trace_id, child.parent_id, child.state) == (TRACE_ID, trace.span_id, "a=1")
    assert len({SPAN_ID, trace.span_id, child.span_id}) == 3
    assert (span.name, span.trace, span.kind) == ("ask", child, CLIENT)
    assert (span.error, span.failed, span.attributes) == (
        "unavailable", True, {"server.address": "h"},
    )  # fmt: skip
