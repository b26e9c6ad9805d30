"""Heads of answers: what is read, and what two readers might read differently is refused."""

import pytest

from inferd.transport.outgoing_head import (
    CHUNKED,
    UNTIL_CLOSE,
    Chunked,
    Garbage,
    Plain,
    decoder,
    parse_answer,
)


def head(*lines, status=b"200 OK", version=b"1.1"):
    return b"\r\n".join((b"HTTP/" + version + b" " + status, *lines, b"", b""))


def test_status_and_headers():
    found = parse_answer(head(b"Content-Length: 5", b"X-A: 1 ", b"X-A: 2"))

    assert (found.status, found.length, found.keep) == (200, 5, True)
    assert found.headers == {b"content-length": b"5", b"x-a": b"1"}


@pytest.mark.parametrize(
    ("raw", "length", "keep"),
    [
        (head(b"Transfer-Encoding: Chunked"), CHUNKED, True),
        (head(), UNTIL_CLOSE, False),
        (head(status=b"204 No Content"), 0, True),
        (head(b"Content-Length: 9", status=b"304 Not Modified"), 0, True),
        (head(b"Content-Length: 1", b"Connection: Close"), 1, False),
        (head(b"Content-Length: 1", version=b"1.0"), 1, False),
        (head(b"Content-Length: 1", b"Connection: keep-alive", version=b"1.0"), 1, True),
    ],
    ids=["chunked", "unsaid", "204", "304", "close", "1.0", "1.0-kept"],
)  # fmt: skip
def test_how_long_the_body_is_and_whether_the_connection_is_kept(raw, length, keep):
    found = parse_answer(raw)

    assert (found.length, found.keep) == (length, keep)


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/3.0 200 OK\r\n\r\n",
        head(b"Content-Length: 1", b"Content-Length: 2"),
        head(b"Content-Length: 1", b"Transfer-Encoding: chunked"),
        head(b"Transfer-Encoding: gzip"),
        head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        head(b"Content-Length: -1"),
        head(b"Content-Length: 99999999999999999999"),
        head(b"no colon"),
        head(b"Upgrade: x", b"Connection: upgrade", status=b"101 Switching Protocols"),
    ],
    ids=["ssh", "3.0", "lengths", "both", "gzip", "codings", "negative", "huge", "colon", "101"],
)  # fmt: skip
def test_what_is_not_certain_is_refused(raw):
    with pytest.raises(Garbage):
        parse_answer(raw)


def test_a_plain_body_ends_by_its_length():
    body = Plain(4)

    assert (body.feed(b"ab"), body.done) == (b"ab", False)
    assert (body.feed(b"cdef"), body.done, body.more) == (b"cd", True, True)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100], ids=str)
def test_a_chunked_body_is_read_however_it_is_cut(size):
    raw = b"3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\nTrailer: 1\r\n\r\n"
    body = decoder(CHUNKED)
    parts = [body.feed(raw[at : at + size]) for at in range(0, len(raw), size)]

    assert b"".join(parts) == b"abcdefgh"
    assert body.done
    assert not body.more


def test_what_follows_a_chunked_body_is_noticed_and_not_taken():
    body = Chunked()

    assert body.feed(b"1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb") == b"a"
    assert body.done
    assert body.more


def test_bad_chunks_are_refused():
    with pytest.raises(Garbage, match="chunked"):
        Chunked().feed(b"zz\r\n")


def test_marks_without_data_are_refused():
    with pytest.raises(Garbage, match="marks"):
        Chunked().feed(b"1;" + b"x" * 80_000)
