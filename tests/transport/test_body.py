"""Bodies cut at every place."""

import itertools

import pytest

from inferd.transport.body import ChunkedBody, DroppedBody, FixedBody
from inferd.transport.framing import Refused
from inferd.transport.limits import Limits

CHUNKED = b"5;x\r\nhello\r\n4\r\n\r\n\r\n\r\n0\r\nT: v\r\n\r\n"


def feed(body, raw, cuts):
    pieces = [raw[a:b] for a, b in itertools.pairwise([0, *cuts, len(raw)])]
    for i, piece in enumerate(pieces):
        rest = body.feed(piece)
        if body.done:
            return rest + b"".join(pieces[i + 1 :])
        assert rest == b""
    return None


@pytest.mark.parametrize("tail", [b"", b"NEXT", b"\r\n\r\n0\r\n\r\n"], ids=["end", "more", "alike"])
def test_chunked_body_cut_anywhere_in_two(tail):
    raw = CHUNKED + tail
    for cuts in itertools.combinations(range(1, len(raw)), 2):
        body = ChunkedBody(100, Limits())
        assert feed(body, raw, cuts) == tail
        assert body.take() == b"hello\r\n\r\n"


def test_fixed_body_cut_anywhere():
    raw = b"0123456789NEXT"
    for cuts in itertools.combinations(range(1, len(raw)), 2):
        body, dropped = FixedBody(10), DroppedBody(10)
        assert feed(body, raw, cuts) == feed(dropped, raw, cuts) == b"NEXT"
        assert body.take() == b"0123456789"
        assert dropped.take() == b""


def test_fixed_body_mixes_small_and_large_pieces():
    pieces = [b"a", b"b", b"c" * 5000, b"d", b"e" * 3000, b"f", b"g"]
    body = FixedBody(sum(map(len, pieces)))
    for piece in pieces:
        body.feed(piece)
    assert body.done
    assert body.take() == b"".join(pieces)
    assert body.held == len(body.take()) - 1  # what is kept until the last piece


def test_an_unfinished_chunked_body_counts_what_it_holds():
    body = ChunkedBody(100, Limits())
    body.feed(b"5\r\nhel")
    assert (body.held, body.done) == (3, False)


def test_bytes_after_the_end_are_not_swallowed():
    body = ChunkedBody(100, Limits())
    assert body.feed(b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n") == b"GET / HTTP/1.1\r\n\r\n"


def test_overflow_is_refused_while_it_arrives():
    body = ChunkedBody(10, Limits())
    with pytest.raises(Refused) as caught:
        body.feed(b"ff\r\n" + b"x" * 11)
    assert caught.value.status == 413
