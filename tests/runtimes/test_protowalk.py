from __future__ import annotations

import pytest

from inferd.runtimes.protowalk import MAX_DEPTH, Corrupt, fields, messages, varint


def tag(number, wire):
    return bytes([number << 3 | wire])


def block(number, data):
    return tag(number, 2) + bytes([len(data)]) + data


def test_fields_are_framed_and_not_copied():
    data = (
        tag(1, 0) + b"\x96\x01" + block(2, b"abc") + tag(3, 5) + b"1234" + tag(4, 1) + b"12345678"
    )

    found = list(fields(data, 0, len(data)))

    assert [(f.number, f.wire, f.value) for f in found] == [
        (1, 0, 150),
        (2, 2, 0),
        (3, 5, 0),
        (4, 1, 0),
    ]
    assert data[found[1].start : found[1].end] == b"abc"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"\x08", "ends within a number", id="cut"),
        pytest.param(b"\x12\x05ab", "claims 5 bytes where 2 are left", id="short"),
        pytest.param(b"\x12" + b"\xff" * 9 + b"\x01", "claims", id="huge"),
        pytest.param(b"\x08" + b"\xff" * 11, "more than 10 bytes", id="endless"),
        pytest.param(b"\x0b", "unknown wire type 3", id="group"),
        pytest.param(b"\x00\x01", "no field has number 0", id="zero"),
        pytest.param(b"\x0d12", "claims 4 bytes where 2 are left", id="fixed"),
    ],
)
def test_malformed_bytes_say_where(data, says):
    with pytest.raises(Corrupt, match=says):
        list(fields(data, 0, len(data)))


def test_varints_keep_64_bits():
    assert varint(b"\xff" * 9 + b"\x01", 0, 10) == (2**64 - 1, 10)


def test_messages_are_found_at_any_depth():
    tensor = block(13, b"entry")
    inner = block(5, tensor)
    graph = block(1, block(5, block(6, inner)))  # node -> attribute -> graph -> tensor
    data = block(7, graph)

    assert [data[a:b] for a, b in messages(data, "model", "entry")] == [b"entry"]


def test_nesting_is_bounded():
    data = b""
    for _ in range(MAX_DEPTH):
        data = _long(1, _long(5, _long(6, data)))
    with pytest.raises(Corrupt, match="nested more than"):
        list(messages(_long(7, data), "model", "entry"))


def _long(number, data):
    size = len(data)
    length = b""
    while size >= 0x80:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return tag(number, 2) + length + bytes([size]) + data
