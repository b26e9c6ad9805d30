import gzip
import random
import zlib

import pytest

from inferd.api.coding import (
    MAX_MEMBERS,
    compress,
    compressed,
    expand,
    expanded,
    sent_coding,
    wished,
    worth,
)
from inferd.core.errors import InvalidInput, TooLarge, UnsupportedMedia
from inferd.transport.message import HTTPResponse

TEXT = b"a body of some words " * 4000


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_what_is_compressed_expands_to_itself(coding):
    assert expand(compress(TEXT, coding), coding, len(TEXT)) == TEXT


def test_other_implementations_are_read():
    bare = zlib.compressobj(wbits=-15)

    assert expand(gzip.compress(TEXT), "gzip", len(TEXT)) == TEXT
    assert expand(gzip.compress(b"two ") + gzip.compress(b"members"), "gzip", 99) == b"two members"
    assert expand(zlib.compress(TEXT), "deflate", len(TEXT)) == TEXT
    assert expand(bare.compress(TEXT) + bare.flush(), "deflate", len(TEXT)) == TEXT


def test_members_of_any_size_are_expanded_and_bounded_in_number():
    noise = random.Random(5).randbytes(300_000)
    sizes = [0, 1, 400, 511, 512, 513, 70_000, 0, 200_000]
    parts = [noise[:size] for size in sizes]
    body = b"".join(gzip.compress(part) for part in parts)

    assert expand(memoryview(body), "gzip", 1 << 20) == b"".join(parts)
    assert expand(gzip.compress(b"") * MAX_MEMBERS, "gzip", 1) == b""
    with pytest.raises(TooLarge, match=f"over {MAX_MEMBERS} members"):
        expand(gzip.compress(b"") * (3 << 20), "gzip", 1)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("level", [0, 9])
def test_a_body_is_expanded_whatever_its_pieces(coding, level):
    wbits = {"gzip": 31, "deflate": 15}[coding]
    for text in (bytes(3 << 20), random.Random(7).randbytes(700_001), b"ab" * 131_072):
        machine = zlib.compressobj(level, wbits=wbits)
        body = machine.compress(text) + machine.flush()
        assert expand(body, coding, len(text)) == text
        with pytest.raises(TooLarge):
            expand(body, coding, len(text) - 1)
        with pytest.raises(InvalidInput):
            expand(body[:-1], coding, len(text))


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_over_the_limit_is_given_up(coding):
    with pytest.raises(TooLarge, match="over 100 bytes once expanded"):
        expand(compress(TEXT, coding), coding, 100)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("body", [b"not compressed", compress(TEXT, "gzip")[:-9]])
def test_a_broken_body_is_invalid(coding, body):
    with pytest.raises(InvalidInput):
        expand(body, coding, len(TEXT))


@pytest.mark.parametrize(
    ("value", "coding"),
    [(b"gzip", "gzip"), (b"X-GZip", "gzip"), (b"deflate", "deflate"), (b"identity", None)],
)
def test_content_encodings(value, coding):
    assert sent_coding(value) == coding


def test_an_unknown_content_encoding_is_refused():
    with pytest.raises(UnsupportedMedia, match="gzip, deflate") as caught:
        sent_coding(b"br")
    assert "'br'" in caught.value.message


@pytest.mark.parametrize(
    ("value", "wish"),
    [
        (b"gzip", ("gzip", True)),
        (b"deflate, identity", ("deflate", True)),
        (b"gzip, deflate, br", ("gzip", False)),
        (b"deflate;q=0.9, gzip;q=0.1", ("deflate", False)),
        (b"gzip;q=0", None),
        (b"br, zstd", None),
        (b"identity, gzip;q=0.5", None),
        (b"gzip;q=x", None),
        (b"", None),
    ],
)
def test_accept_encodings(value, wish):
    assert wished(value) == wish


def test_what_is_worth_compressing():
    sole, any_of = wished(b"gzip"), wished(b"gzip, br")
    small, large = HTTPResponse(200, b"{}"), HTTPResponse(200, TEXT)
    tensors = HTTPResponse(200, TEXT, b"application/octet-stream")

    assert [worth(r, sole) for r in (small, large, tensors)] == [True, True, True]
    assert [worth(r, any_of) for r in (small, large, tensors)] == [False, True, False]
    assert not worth(HTTPResponse(204), sole)


async def whole(body):
    response = await compressed(HTTPResponse(200, body, headers=[(b"A", b"b")]), "gzip")
    return response, await expanded(response.body, "gzip", len(body))


@pytest.mark.parametrize("body", [b"{}", TEXT], ids=["small", "large"])
def test_responses_are_compressed_here_or_in_a_thread(body):
    import asyncio

    response, again = asyncio.run(whole(body))

    assert again == body
    assert dict(response.headers) == {
        b"A": b"b", b"Content-Encoding": b"gzip", b"Vary": b"Accept-Encoding",
    }  # fmt: skip
