import numpy as np
import pytest

from inferd.core.errors import ConfigError
from inferd.core.tensor import BOOL, BYTES, FP16, FP32, INT64, UINT8, UINT64, is_uneven
from inferd.routing.pipeline.check.literals import constant_array
from inferd.routing.pipeline.spec import Constant, Value


def array(value, dtype, shape=(), *, uneven=False):
    wanted = Value(dtype, shape, uneven)
    return constant_array(Constant(value, "p.yaml:3"), wanted, "the input 'x' of the model 'm'")


@pytest.mark.parametrize(
    ("value", "dtype", "shape", "expected"),
    [
        (0.5, FP32, (), 0.5),
        (3, FP32, (1,), [3.0]),
        ([3], FP32, (), 3.0),
        ([[1, 2], [3, 4]], UINT8, (-1, 2), [[1, 2], [3, 4]]),
        (3.0, INT64, (), 3),
        (2**64 - 1, UINT64, (), 2**64 - 1),
        (True, BOOL, (), True),
        ("grün", BYTES, (), "grün".encode()),
        (["a", ""], BYTES, (2,), [b"a", b""]),
        ([], FP32, (-1, 4), []),
        ([], BYTES, (-1,), []),
        (float("inf"), FP16, (), float("inf")),
    ],
    ids=str,
)
def test_a_constant_becomes_an_array_of_the_type(value, dtype, shape, expected):
    found = array(value, dtype, shape)

    assert found.dtype == dtype.numpy
    assert found.tolist() == expected


def test_an_empty_list_has_the_axes_of_the_type():
    assert array([], FP32, (-1, -1, 4)).shape == (0, 0, 4)


def test_a_list_of_unequal_arrays_is_a_column():
    found = array([[1, 2], [3]], FP32, (-1, -1), uneven=True)

    assert is_uneven(found)
    assert [e.tolist() for e in found] == [[1, 2], [3]]
    assert found[0].dtype == np.float32
    assert array([], FP32, (-1, -1), uneven=True).shape == (0,)


@pytest.mark.parametrize(
    ("value", "dtype", "shape", "reason"),
    [
        (256, UINT8, (), "holds 256, out of the range 0 to 255"),
        (-1, UINT64, (), "holds -1, out of the range"),
        (0.5, INT64, (), "holds 0.5, which is no whole number"),
        (float("nan"), INT64, (), "holds nan, which is no whole number"),
        (float("inf"), INT64, (), "holds inf, which is no whole number"),
        (1e6, FP16, (), "holds 1000000.0, out of the range of float16"),
        (1e39, FP32, (), "out of the range of float32"),
        ("1", FP32, (), "holds the text '1'"),
        (1, BYTES, (), "holds 1, which is no text"),
        ("\ud800", BYTES, (), "which is no valid text"),
        (True, FP32, (), "holds True, which is no number"),
        (1, BOOL, (), "holds 1, which is neither true nor false"),
        ([1, 2], FP32, (3,), "has the shape [2]"),
        (1, FP32, (-1,), "has the shape []"),
        ([], FP32, (4,), "is an empty list"),
        ([], FP32, (), "is an empty list"),
        ([[1], [1, 2]], FP32, (-1, -1), "holds lists of unequal lengths"),
        ([1, [2]], FP32, (-1,), "holds lists of unequal lengths"),
    ],
    ids=str,
)
def test_what_would_become_another_value_is_refused(value, dtype, shape, reason):
    with pytest.raises(ConfigError) as error:
        array(value, dtype, shape)

    assert error.value.message.startswith("p.yaml:3: the input 'x' of the model 'm' is ")
    assert reason in error.value.message


@pytest.mark.parametrize(
    ("value", "shape", "reason"),
    [(1, (-1, -1), "1 is no list"), ([[1]], (2, -1), "has 1 elements"), ([1], (-1, -1), "the shape []")],
    ids=["single", "count", "flat"],
)  # fmt: skip
def test_what_is_no_such_list_is_refused(value, shape, reason):
    with pytest.raises(ConfigError) as error:
        array(value, FP32, shape, uneven=True)

    assert reason in error.value.message
