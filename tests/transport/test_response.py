"""Rendering: exact bytes, and what must never be sent."""

import pytest

from inferd.transport.message import HTTPResponse
from inferd.transport.response import Renderer, http_date, reason


@pytest.fixture
def renderer():
    renderer = Renderer()
    renderer.tick(784111777.9)
    return renderer


def fixed(renderer, response, *, is_head=False, http10=False, close=False):
    return renderer.fixed(response, response.body, is_head=is_head, http10=http10, close=close)


def test_whole_message(renderer):
    response = HTTPResponse(200, b"{}", headers=[(b"X-A", b"1")])
    assert fixed(renderer, response) == (
        b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\nX-A: 1\r\n\r\n{}"
    )


def test_connection_is_said_where_it_differs(renderer):
    assert b"Connection" not in fixed(renderer, HTTPResponse())
    assert b"\r\nConnection: close\r\n\r\n" in fixed(renderer, HTTPResponse(), close=True)
    assert b"\r\nConnection: keep-alive\r\n\r\n" in fixed(renderer, HTTPResponse(), http10=True)


def test_head_only(renderer):
    message = fixed(renderer, HTTPResponse(200, b"12345"), is_head=True)
    assert message.endswith(b"Content-Length: 5\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_bodiless(renderer, status):
    for message in (
        fixed(renderer, HTTPResponse(status, b"", headers=[(b"X", b"y")])),
        renderer.streamed(HTTPResponse(status), http10=False, close=False),
    ):
        assert b"Content-" not in message
        assert b"Transfer" not in message
        assert message.endswith(b"\r\n\r\n")


def test_no_content_type(renderer):
    assert b"Content-Type" not in fixed(renderer, HTTPResponse(200, b"", b""))


def test_the_date_follows_the_clock(renderer):
    assert b"08:49:37" in fixed(renderer, HTTPResponse())
    renderer.tick(784111778.0)
    assert b"08:49:38" in fixed(renderer, HTTPResponse())


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(HTTPResponse(200, headers=[(b"X", b"a\r\nB: c")]), id="crlf-in-value"),
        pytest.param(HTTPResponse(200, headers=[(b"X", b"a\nB: c")]), id="lf-in-value"),
        pytest.param(HTTPResponse(200, headers=[(b"X", b"a\0")]), id="nul-in-value"),
        pytest.param(HTTPResponse(200, headers=[(b"X\r\nY", b"a")]), id="crlf-in-name"),
        pytest.param(HTTPResponse(200, headers=[(b"X Y", b"a")]), id="space-in-name"),
        pytest.param(HTTPResponse(200, headers=[(b"", b"a")]), id="empty-name"),
        pytest.param(HTTPResponse(200, headers=[(b"content-length", b"1")]), id="own-length"),
        pytest.param(HTTPResponse(200, headers=[(b"Transfer-Encoding", b"x")]), id="own-coding"),
        pytest.param(HTTPResponse(200, content_type=b"a\r\nb"), id="crlf-in-type"),
        pytest.param(HTTPResponse(100), id="interim"),
        pytest.param(HTTPResponse(600), id="no-status"),
    ],
)
def test_what_would_break_the_framing_is_refused(renderer, response):
    for _ in range(2):  # nothing bad is remembered as good
        with pytest.raises(ValueError):
            fixed(renderer, response)


def test_unknown_status():
    assert reason(299) == b"Unknown"
    assert reason(404) == b"Not Found"


@pytest.mark.parametrize(
    ("second", "date"),
    [(0, b"Thu, 01 Jan 1970 00:00:00 GMT"), (951782400, b"Tue, 29 Feb 2000 00:00:00 GMT")],
)
def test_http_date(second, date):
    assert http_date(second) == date
