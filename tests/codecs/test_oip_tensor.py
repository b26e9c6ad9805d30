import numpy as np
import pytest

from inferd.codecs.oip_tensor import (
    Tail,
    datatype,
    joined,
    read,
    sizes,
    split,
    write_json,
    write_raw,
)
from inferd.codecs.rawtensor import BF16
from inferd.core.errors import InvalidInput, Unsupported
from inferd.core.tensor import FP16, FP32


def test_a_body_is_split_where_its_json_ends():
    text, tail = split(b'{"a":1}abc', 7)

    assert text == b'{"a":1}'
    assert bytes(tail.take(2, "x")) == b"ab"
    assert bytes(tail.take(1, "x")) == b"c"
    tail.end()


def test_a_body_that_is_json_alone_has_no_tail():
    text, tail = split(b"{}", None)

    assert text == b"{}"
    with pytest.raises(InvalidInput, match="has no binary part"):
        tail.take(0, "x")


def test_a_json_part_beyond_the_body_is_refused():
    with pytest.raises(InvalidInput, match="is 5, and the body has 2 bytes"):
        split(b"{}", 5)


def test_a_tail_gives_no_more_than_it_has_and_leaves_nothing():
    tail = Tail(b"abc")

    with pytest.raises(InvalidInput, match="takes 4 bytes of the binary part, 3 are left"):
        tail.take(4, "x")
    tail.take(1, "x")
    with pytest.raises(InvalidInput, match="2 bytes of the binary part belong to no tensor"):
        tail.end()


def test_bf16_is_a_datatype_of_the_wire():
    assert datatype("BF16", "x") is BF16


@pytest.mark.parametrize("value", ["fp32", 5, None], ids=str)
def test_an_unknown_datatype_is_refused(value):
    with pytest.raises(InvalidInput, match="datatype"):
        datatype(value, "x")


@pytest.mark.parametrize("value", [[-1], [1.0], [True], "1", None, [1] * 33], ids=str)
def test_a_shape_is_a_list_of_sizes(value):
    with pytest.raises(InvalidInput, match="x"):
        sizes(value, "x")


@pytest.mark.parametrize("dtype", [FP16, BF16], ids=str)
def test_half_floats_are_read_in_binary_alone(dtype):
    raw = write_raw("x", np.float32([1.5, -2]) if dtype is BF16 else np.float16([1.5, -2]), dtype)[
        1
    ]

    assert read({}, {"binary_data_size": 4}, dtype, (2,), Tail(raw), "x").tolist() == [1.5, -2]
    with pytest.raises(InvalidInput, match="no JSON form"):
        read({"data": [1.5, -2]}, {}, dtype, (2,), Tail(None), "x")


@pytest.mark.parametrize(
    ("entry", "size", "message"),
    [
        ({"data": [1]}, 4, 'both "data" and binary_data_size'),
        ({}, -4, "must be a number of bytes"),
        ({}, "4", "must be a number of bytes"),
        ({}, True, "must be a number of bytes"),
        ({}, 3, "takes 4 bytes as FP32"),
        ({}, 8, "takes 8 bytes of the binary part"),
    ],
)
def test_a_binary_size_that_does_not_fit_is_refused(entry, size, message):
    with pytest.raises(InvalidInput, match=message):
        read(entry, {"binary_data_size": size}, FP32, (1,), Tail(bytes(4)), "x")


def test_the_first_tensor_of_a_body_is_aligned():
    for name in ("a", "ab", "abc", "abcdefgh"):
        entry, raw = write_raw(name, np.float64([1, 2]))
        body, size = joined({"inputs": [entry]}, [raw])

        assert size % 8 == 0
        assert body[size:] == np.float64([1, 2]).tobytes()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.float16([1]), "is FP16, which has no JSON form"),
        (np.array([b"\xff"], object), "not UTF-8"),
    ],
    ids=["FP16", "bytes"],
)
def test_what_json_cannot_carry_is_said_to_be_binary(array, message):
    with pytest.raises(Unsupported, match=message) as refused:
        write_json("y", array)

    assert "binary" in refused.value.help


def test_a_size_is_one_that_memory_might_have():
    """A number of thousands of digits cannot even be told."""
    for size in (1 << 63, 10**4000, -1, True, 1.0):
        with pytest.raises(InvalidInput, match="must be a list of sizes"):
            sizes([1, size], "x")
