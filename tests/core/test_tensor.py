"""The table of datatypes, and what counts as one."""

import numpy as np
import pytest

from inferd.core.errors import InvalidInput
from inferd.core.tensor import (
    BY_CODE,
    BY_NAME,
    BYTES,
    DTYPES,
    FP32,
    INT64,
    as_bytes,
    dtype_named,
    dtype_of,
    is_uneven,
    nbytes,
    uneven,
)


def test_names_and_codes_are_unique():
    assert len(BY_NAME) == len(BY_CODE) == len(DTYPES)
    assert all(0 < d.code < 256 for d in DTYPES)


@pytest.mark.parametrize("dtype", DTYPES, ids=repr)
def test_every_datatype_is_found_by_its_names_and_its_arrays(dtype):
    assert dtype_named(dtype.name) is dtype
    assert dtype_named(dtype.name.lower()) is dtype
    assert dtype_of(np.empty(0, dtype.numpy)) is dtype
    if dtype is not BYTES:
        assert dtype_named(dtype.numpy.name) is dtype
        assert dtype.itemsize == dtype.numpy.itemsize


@pytest.mark.parametrize(
    ("said", "meant"),
    [("float", FP32), ("Float32", FP32), ("int", INT64), ("str", BYTES), ("STRING", BYTES)],
    ids=str,
)
def test_people_write_datatypes_as_they_know_them(said, meant):
    assert dtype_named(said) is meant


def test_an_unknown_datatype_is_told_the_nearest():
    with pytest.raises(InvalidInput, match="unknown datatype 'flaot32'") as caught:
        dtype_named("flaot32")
    assert caught.value.help == "did you mean 'float32'?"


@pytest.mark.parametrize("array", [np.array("x"), np.array([b"x"]), np.array([None])], ids=repr)
def test_texts_of_any_kind_are_bytes(array):
    assert dtype_of(array) is BYTES


def test_byte_order_does_not_matter():
    assert dtype_of(np.zeros(1, ">f4")) is FP32


@pytest.mark.parametrize("dtype", ["complex64", "datetime64[s]", "longdouble"], ids=str)
def test_what_has_no_name_is_refused(dtype):
    with pytest.raises(InvalidInput, match="cannot be sent"):
        dtype_of(np.zeros(1, dtype))


@pytest.mark.parametrize(
    ("element", "data"),
    [("grüße", "grüße".encode()), (b"x", b"x"), (bytearray(b"y"), b"y"), (memoryview(b"z"), b"z")],
    ids=["str", "bytes", "bytearray", "memoryview"],
)
def test_elements_become_bytes(element, data):
    assert as_bytes(element) == data


def test_an_element_that_is_no_text_is_refused():
    with pytest.raises(InvalidInput, match="not int"):
        as_bytes(3)


def test_payloads_are_counted():
    texts = np.array([b"ab", "ü"], dtype=object)

    assert nbytes(texts) == 2 + 4 + 2 + 4
    assert nbytes(np.zeros((2, 3), np.float32)) == 24


def test_rows_of_unequal_shapes_make_a_column():
    rows = [np.ones((2, 3)), np.ones((2, 3)), np.ones((0, 3))]

    for given in (rows, rows[:2], [np.array([b"a"], object)]):
        column = uneven(given)
        assert column.shape == (len(given),)
        assert is_uneven(column)
        assert [row.shape for row in column] == [row.shape for row in given]


@pytest.mark.parametrize(
    "array",
    [np.ones(2), np.array([b"a", "b"], object), np.array([[b"a"]], object), np.empty(0, object)],
    ids=["numbers", "texts", "table", "empty"],
)
def test_other_arrays_are_no_such_column(array):
    assert not is_uneven(array)
