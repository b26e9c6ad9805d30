import numpy as np
import pytest

from inferd.codecs.values import MAX_TEXTS, Ragged, depth_of, to_array
from inferd.core.errors import InvalidInput, TooLarge
from inferd.core.tensor import BOOL, BYTES, DTYPES, FP16, FP32, FP64, INT8, INT64, UINT8, UINT64


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d not in (BOOL, BYTES)], ids=repr)
def test_numbers_become_the_datatype(dtype):
    array = to_array([[1, 2], [3, 4]], dtype, 2, "data")

    assert array.dtype == dtype.numpy
    assert array.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        ([True, 0.5], FP32, r"data\[0\] must be a number \(FP32\), got a boolean"),
        (["1.5"], FP32, r"data\[0\] must be a number \(FP32\), got '1.5'"),
        ([1, True], INT64, r"data\[1\] must be an integer"),
        ([1.0], INT64, r"data\[0\] must be an integer \(INT64\), got 1.0"),
        ([None], INT64, "got null"),
        ([300], UINT8, r"data\[0\]: 300 is out of range for UINT8"),
        ([1, -1], UINT64, r"data\[1\]: -1 is out of range"),
        ([-129], INT8, "out of range"),
        ([2**63], INT64, "out of range"),
        ([1e20], INT64, "out of range"),
        ([1, 1e39], FP32, r"data\[1\]: 1e\+39 is out of range for FP32"),
        ([70000], FP16, "out of range for FP16"),
        ([10**400], FP64, "out of range for FP64"),
        ([1], BOOL, r"data\[0\] must be true or false"),
        ([None], BOOL, "must be true or false"),
        ([5], BYTES, r"data\[0\] must be a text"),
        ([{"x": 1}], BYTES, "(?s)must be a text, got an object.*JSON too is sent as text"),
        ([{"b64": "!"}], BYTES, "is not valid"),
        (["\ud800"], BYTES, "is not valid"),
        ([{}], FP32, "got an object"),
        ([[1]], FP32, r"data\[0\] is a list"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(value, dtype, message):
    with pytest.raises(InvalidInput, match=message):
        to_array(value, dtype, 1, "data")


def test_null_is_nan_in_float_tensors():
    assert np.isnan(to_array([None, 1.0], FP32, 1, "data")).tolist() == [True, False]


def test_infinity_stays_infinity():
    assert to_array([float("inf")], FP32, 1, "data").tolist() == [float("inf")]


def test_the_largest_float32_in_its_shortest_form_is_in_range():
    assert np.isfinite(to_array([3.4028235e38], FP32, 1, "data")).all()


def test_texts_become_bytes():
    array = to_array([["a", "ü"], [{"b64": "/w=="}, ""]], BYTES, 2, "data")

    assert array.tolist() == [[b"a", "ü".encode()], [b"\xff", b""]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1, 2], [3]], r"data\[1\] has 1 values where data\[0\] has 2"),
        ([[[1], [2]], [[3], []]], None),
    ],
    ids=["rows", "inner"],
)
def test_ragged_names_the_first_row_that_differs(value, message):
    with pytest.raises(
        Ragged, match=message or r"data\[1\]\[1\] has 0 values where data\[0\]\[0\]"
    ):
        to_array(value, FP32, depth_of(value), "data")


def test_a_value_among_lists_is_named():
    with pytest.raises(InvalidInput, match=r"data\[1\] must be a list .* got a number|got 3"):
        to_array([[1, 2], 3], FP32, 2, "data")


@pytest.mark.parametrize(
    ("value", "shape"), [([], (0, 0)), ([[], []], (2, 0))], ids=["none", "empty rows"]
)
def test_empty_lists(value, shape):
    assert to_array(value, FP32, 2, "data").shape == shape


def test_texts_are_bounded_in_number():
    with pytest.raises(
        TooLarge, match=f"data holds {MAX_TEXTS + 1} texts; at most {MAX_TEXTS} are"
    ):
        to_array([""] * (MAX_TEXTS + 1), BYTES, 1, "data")
