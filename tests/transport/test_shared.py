"""What connections share: remembered heads, errors that cannot fail."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.core.clock import FakeClock
from inferd.transport.framing import Refused, parse_head
from inferd.transport.limits import Limits
from inferd.transport.message import HTTPRequest, HTTPResponse
from inferd.transport.shared import Shared


class Describes:
    """An application that describes errors as told."""

    def __init__(self, response):
        self.response = response

    def error(self, request, status, message):
        if isinstance(self.response, Exception):
            raise self.response
        return self.response


def shared(response=None):
    return Shared(Describes(response), Limits(), FakeClock())


def head(i):
    return b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i


def test_equal_heads_are_parsed_once():
    state = shared()
    assert state.head(head(1)) is state.heads[head(1)]


def test_remembered_heads_are_bounded():
    state = shared()
    for i in range(5000):
        state.head(head(i))
    assert 0 < len(state.heads) <= 512


def test_long_and_bad_heads_are_not_remembered():
    state = shared()
    state.head(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2000 + b"\r\n\r\n")
    with pytest.raises(Refused):
        state.head(b"GET / HTTP/1.1\r\n\r\n")
    assert state.heads == {}


def traced(context, i=1, line=b"\r\n"):
    return b"GET /%d HTTP/1.1\r\nHost: a\r\n%s%sX: y\r\n\r\n" % (i, context, line)


def test_heads_that_differ_in_their_trace_context_only_share_what_was_found_out():
    state = shared()
    first = state.head(traced(b"traceparent: one\r\ntracestate: a=1"))
    second = state.head(traced(b"Traceparent:two \t"))

    assert first.memo is second.memo
    assert len(state.heads) == 1
    assert (first.index[b"traceparent"], first.index[b"tracestate"]) == (b"one", b"a=1")
    assert second.index[b"traceparent"] == b"two"
    assert b"tracestate" not in second.index
    assert state.head(b"GET /1 HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n").headers == [
        (b"host", b"a"), (b"x", b"y"),
    ]  # fmt: skip


def test_contexts_do_not_crowd_out_what_is_remembered():
    state = shared()
    kept = state.head(head(1))
    for i in range(2000):
        state.head(traced(b"traceparent: %d" % i))

    assert state.heads[head(1)] is kept
    assert len(state.heads) == 2


@pytest.mark.parametrize(
    "context",
    [b"traceparent: a\x80", b"traceparent: a\r\n b", b"traceparent : a", b"traceparent-x: a"],
    ids=["byte", "folded", "space", "longer name"],
)
def test_a_context_that_cannot_be_cut_out_is_not_remembered(context):
    state = shared()
    with contextlib.suppress(Refused):
        state.head(traced(context))

    assert state.heads == {}


PIECES = (
    b"\r\n", b"\r\n", b"traceparent", b"tracestate", b"Traceparent: 1", b"tracestate:a=1, b=2",
    b":", b" ", b"\t", b"x: y", b"x", b"\x80", b"\r", b"\n", b"content-length: 3", b"host: b", b"\x7f",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_a_head_reads_the_same_whatever_was_remembered(pieces):
    raw = b"POST /a HTTP/1.1\r\nHost: a\r\n" + b"".join(pieces).strip(b"\r\n") + b"\r\n\r\n"
    raw = raw[: raw.find(b"\r\n\r\n") + 4]  # a head ends with its first empty line
    state = shared()
    for _ in range(2):
        assert _read(lambda: state.head(raw)) == _read(lambda: parse_head(raw, Limits()))


def _read(parse):
    try:
        found = parse()
    except Refused as refused:
        return refused.status
    names = (
        "expects", "http10", "index", "is_head", "keep_alive", "length", "method", "path", "plain",
        "query", "raw_path",
    )  # fmt: skip
    return [getattr(found, name) for name in names], sorted(found.headers)


def test_the_application_describes_errors():
    response = HTTPResponse(413, b"too much", b"text/plain")
    assert shared(response).error(None, 413, "m") == (response, b"too much")


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(RuntimeError("x"), id="raises"),
        pytest.param(None, id="nothing"),
        pytest.param(HTTPResponse(413, iter(())), id="stream"),
        pytest.param(HTTPResponse(413, b"", headers=[(b"a", b"\r\n")]), id="unsendable"),
    ],
)
def test_a_description_that_fails_is_replaced(response, caplog):
    made, body = shared(response).error(None, 413, "the body is too long")
    assert (made.status, made.body, body) == (413, b"the body is too long", b"the body is too long")
    assert caplog.records


def test_a_503_says_when_to_come_back():
    made, _ = shared(HTTPResponse(503, b"")).error(None, 503, "m")
    assert made.headers == [(b"Retry-After", b"1")]
    made, _ = shared(HTTPResponse(503, b"", headers=[(b"retry-after", b"9")])).error(None, 503, "m")
    assert made.headers == [(b"retry-after", b"9")]


def test_seconds_are_those_since_the_head_was_complete():
    seen = []

    class App:
        def finished(self, request, status, sent, seconds):
            seen.append((status, sent, seconds))

    clock = FakeClock()
    state = Shared(App(), Limits(), clock)
    request = HTTPRequest("GET", "/", b"/", b"", [], received=clock())
    clock.advance(1.5)
    state.finished(request, 200, 7)
    assert seen == [(200, 7, 1.5)]
