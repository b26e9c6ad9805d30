import socket
import ssl

import httpx
import pytest

from inferd.client.options import Options
from inferd.client.transfer import (
    PART,
    OutOfTime,
    address,
    bound,
    built,
    failure_of,
    joined,
    lane,
    parts,
    reason_of,
    timeouts,
)
from inferd.client.wire import Outgoing, Send
from inferd.core.clock import FakeClock
from inferd.core.errors import InvalidInput


def test_a_request_is_built_with_its_length_and_bounds():
    step = Send(Outgoing("POST", "/v2?a=b%2F", {"X-A": "1", "User-Agent": "mine"}, b"body"), 3.0)
    request = built("http://h:8000/base", {"User-Agent": "inferd"}, step, b"body")

    assert str(request.url) == "http://h:8000/base/v2?a=b%2F"
    assert request.headers["content-length"] == "4"
    assert request.headers["user-agent"] == "mine"
    assert request.headers["host"] == "h:8000"
    assert request.extensions["timeout"]["read"] == 3.0
    assert (
        "content-length"
        not in built("http://h", {}, Send(Outgoing("GET", "/", {}), 1), b"").headers
    )


def test_a_large_body_keeps_its_length():
    body = b"x" * (2 * PART + 5)
    pieces = parts(body, 10.0, FakeClock(0))
    request = built("http://h", {}, Send(Outgoing("POST", "/", {}, body), 1), pieces)

    assert request.headers["content-length"] == str(len(body))
    assert "transfer-encoding" not in request.headers
    assert [len(part) for part in request.stream] == [PART, PART, 5]


def test_a_body_is_not_sent_past_the_deadline():
    clock = FakeClock(0)
    pieces = parts(b"x" * (3 * PART), 10.0, clock)
    next(pieces)
    clock.advance(11)
    with pytest.raises(OutOfTime):
        next(pieces)


def test_a_body_is_not_read_past_the_deadline():
    clock = FakeClock(0)

    def arriving():
        for _ in range(3):
            clock.advance(4)
            yield b"ab"

    assert joined(iter([b"ab", b"c"]), 10.0, FakeClock(0)) == b"abc"
    with pytest.raises(OutOfTime):
        joined(arriving(), 10.0, clock)


def test_what_is_no_url_is_refused():
    with pytest.raises(InvalidInput, match="is not a URL"):
        address("http://h\u3002\u3002x:1")


def test_bounds():
    assert bound(float("inf")) is None and bound(2.0) == 2.0
    assert timeouts(float("inf")) == {"connect": 10.0, "read": None, "write": None, "pool": None}
    assert timeouts(2.0)["connect"] == 2.0


def test_a_lane_is_one_connection():
    arguments = lane(Options("http://127.0.0.1:1"))

    assert arguments["limits"].max_connections == 1
    assert arguments["proxy"] is None and arguments["trust_env"] is False


@pytest.mark.parametrize(
    ("error", "began", "late"),
    [
        (httpx.ConnectError("x"), False, False),
        (httpx.ReadError("x"), False, False),
        (
            httpx.RemoteProtocolError("Server disconnected without sending a response."),
            False,
            False,
        ),
        (httpx.RemoteProtocolError("illegal status line"), True, False),
        (httpx.ReadTimeout("x"), False, True),
        (httpx.PoolTimeout("x"), False, True),
        (TimeoutError(), False, True),
        (OutOfTime(), False, True),
    ],
    ids=repr,
)
def test_what_a_failure_means(error, began, late):
    failure = failure_of(error, 5.0)

    assert (failure.began, failure.late) == (began, late)
    assert failure.reason


def test_a_connection_that_takes_long_is_tried_again_while_there_is_time():
    assert not failure_of(httpx.ConnectTimeout("x"), 60.0).late
    assert failure_of(httpx.ConnectTimeout("x"), 2.0).late


def test_a_request_that_cannot_be_sent_is_the_callers():
    with pytest.raises(InvalidInput, match="bad header"):
        failure_of(httpx.LocalProtocolError("bad header"), 1.0)


def raised(outer, inner):
    try:
        try:
            raise inner
        except BaseException as cause:
            raise outer from cause
    except BaseException as error:
        return error


@pytest.mark.parametrize(
    ("inner", "said"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('::1', 1)"), "Connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "certificate verify failed"),
        (ExceptionGroup("x", [ConnectionRefusedError(111, "x")]), "Connection refused"),
        (ValueError("no errno"), "outer"),
    ],
    ids=repr,
)
def test_the_reason_is_the_systems(inner, said):
    assert reason_of(raised(httpx.ConnectError("outer"), inner)) == said


def test_a_reason_is_never_empty():
    assert reason_of(httpx.ReadError("")) == "ReadError"
