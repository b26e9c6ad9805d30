"""What connections share: remembered heads, errors that cannot fail."""

import pytest

from inferd.core.clock import FakeClock
from inferd.transport.framing import Refused
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
