import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inferd.codecs import rawtensor
from inferd.codecs.rawtensor import BF16, from_raw, to_raw
from inferd.core.errors import InvalidInput, TooLarge
from inferd.core.tensor import BOOL, BYTES, DTYPES, FP32, INT16, dtype_of

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def texts(*elements):
    out = np.empty(len(elements), object)
    out[:] = elements
    return out


@st.composite
def tensors(draw):
    dtype, shape = draw(st.sampled_from(DTYPES)), draw(SHAPES)
    if dtype is BYTES:
        return draw(hnp.arrays(object, shape, elements=st.binary(max_size=9)))
    return draw(hnp.arrays(dtype.numpy, shape, elements=hnp.from_dtype(dtype.numpy)))


@given(tensors())
def test_what_is_written_is_what_is_read(array):
    read = from_raw(bytes(to_raw(array)), dtype_of(array), array.shape, "it")

    assert (read.dtype, read.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(read, array)


@given(tensors())
def test_the_bytes_are_those_of_numpy(array):
    if not array.dtype.hasobject:
        assert bytes(to_raw(array)) == array.tobytes()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int32).reshape(2, 3).T,
        np.arange(6, dtype=np.int32)[::2],
        np.arange(6, dtype=">i4"),
        np.array(7, np.int32),
    ],
    ids=["transposed", "every other", "big-endian", "scalar"],
)
def test_any_layout_is_written_row_major_and_little_endian(array):
    assert bytes(to_raw(array)) == array.astype("<i4").tobytes()


def test_numbers_are_neither_copied_to_write_nor_to_read():
    array = np.arange(8, dtype=np.float32)
    buffer = bytearray(array.tobytes())

    assert np.shares_memory(np.frombuffer(to_raw(array), np.uint8), array)
    assert np.shares_memory(from_raw(memoryview(buffer), FP32, (2, 4), "x"), np.frombuffer(buffer))


def test_an_element_of_bytes_follows_its_length():
    assert to_raw(texts(b"a", "é", b"")) == b"\1\0\0\0a\2\0\0\0\xc3\xa9\0\0\0\0"


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        (1.0, b"\x80\x3f"),
        (-2.5, b"\x20\xc0"),
        (1.00390625, b"\x80\x3f"),
        (1.01171875, b"\x82\x3f"),
        (np.inf, b"\x80\x7f"),
        (3.4e38, b"\x80\x7f"),
    ],
    ids=["one", "negative", "a tie to even", "a tie up", "infinity", "beyond the largest"],
)
def test_bf16_is_rounded_to_the_nearest(value, raw):
    assert to_raw(np.float32([value]), BF16) == raw


@given(st.integers(0, 0xFFFF))
def test_bf16_reads_back_as_it_was(bits):
    raw = bits.to_bytes(2, "little")
    array = from_raw(raw, BF16, (1,), "x")

    assert array.dtype == np.float32
    if np.isnan(array[0]):
        assert np.isnan(from_raw(to_raw(array, BF16), BF16, (1,), "x")[0])
    else:
        assert to_raw(array, BF16) == raw


@pytest.mark.parametrize(
    ("raw", "dtype", "shape", "message"),
    [
        (bytes(7), FP32, (2,), r"tensor 'x' takes 8 bytes as FP32 \[2\], got 7"),
        (bytes(9), FP32, (2,), "takes 8 bytes"),
        (b"a", FP32, (0,), "takes 0 bytes"),
        (b"", INT16, (), "takes 2 bytes"),
        (bytes(3), BF16, (2,), "takes 4 bytes as BF16"),
        (b"", BYTES, (1,), "takes at least 4 bytes"),
        (bytes(4), BYTES, (2,), "takes at least 8 bytes"),
        (b"\5\0\0\0abcd", BYTES, (1,), "element 0 does not end within the 8 bytes"),
        (b"\xff\xff\xff\xffabcd", BYTES, (1,), "element 0 does not end within"),
        (b"\4\0\0\0abcd\1\0", BYTES, (2,), "element 1 does not end within"),
        (b"\1\0\0\0ab", BYTES, (1,), "1 bytes after its 1 elements"),
        (b"", FP32, (0, 2**40, 2**40), "no array has the shape"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(raw, dtype, shape, message):
    with pytest.raises(InvalidInput, match=message):
        from_raw(raw, dtype, shape, "tensor 'x'")


def test_a_byte_that_is_no_boolean_is_true():
    assert from_raw(b"\0\1\2", BOOL, (3,), "x").view(np.uint8).tolist() == [0, 1, 1]


def test_texts_are_counted(monkeypatch):
    monkeypatch.setattr(rawtensor, "MAX_TEXTS", 2)

    with pytest.raises(TooLarge, match="3 texts; at most 2"):
        from_raw(bytes(12), BYTES, (3,), "x")


@given(st.binary(max_size=40), st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=3))
def test_any_bytes_are_read_or_refused(raw, dtype, shape):
    try:
        array = from_raw(raw, dtype, tuple(shape), "x")
    except InvalidInput:
        return
    assert array.shape == tuple(shape)
    assert len(raw) == (len(to_raw(array)) if dtype is BYTES else array.nbytes)
