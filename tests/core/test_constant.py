"""Constants of files as arrays: what fits, and what would become another value."""

import numpy as np
import pytest

from inferd.core.constant import MAX_DEPTH, Unfit, constant_array
from inferd.core.tensor import BOOL, BYTES, FP16, FP32, INT8, UINT64


@pytest.mark.parametrize(
    ("value", "dtype", "shape", "wanted"),
    [
        (1, FP32, (), np.float32(1)),
        (1, FP32, (1,), [1.0]),
        ([1], FP32, (), np.float32(1)),
        ([[1, 2], [3, 4]], INT8, (-1, 2), [[1, 2], [3, 4]]),
        ((1, 2), INT8, (2,), [1, 2]),
        (2**64 - 1, UINT64, (), np.uint64(2**64 - 1)),
        (2.0, INT8, (), np.int8(2)),
        (True, BOOL, (), True),
        ("é", BYTES, (), "é".encode()),
        (["a", ""], BYTES, (-1,), [b"a", b""]),
        ([], BYTES, (-1, 3), np.empty((0, 3))),
        (float("inf"), FP16, (), np.float16("inf")),
    ],
    ids=["whole", "one", "of-one", "table", "tuple", "wide", "float", "bool", "text", "texts", "none", "inf"],
)  # fmt: skip
def test_a_constant_becomes_an_array(value, dtype, shape, wanted):
    found = constant_array(value, dtype, shape)

    assert found.dtype == dtype.numpy
    assert found.tolist() == np.asarray(wanted).tolist()
    assert found.ndim == len(shape)


@pytest.mark.parametrize(
    ("value", "dtype", "shape", "says"),
    [
        (1, FP32, (-1,), "has the shape []"),
        ([1, 2], FP32, (3,), "has the shape [2]"),
        ([[1], [1, 2]], FP32, (-1, -1), "unequal lengths"),
        ([], FP32, (2,), "an empty list"),
        ("1", FP32, (), "the text '1'"),
        (1, BYTES, (), "no text"),
        ("\ud800", BYTES, (), "no valid text"),
        (True, FP32, (), "no number"),
        (None, FP32, (), "no number"),
        ({"a": 1}, FP32, (), "no number"),
        (1, BOOL, (), "neither true nor false"),
        (1.5, INT8, (), "no whole number"),
        (128, INT8, (), "out of the range -128 to 127"),
        (1e5, FP16, (), "out of the range of float16"),
    ],
    ids=["rank", "size", "ragged", "empty", "text", "number", "half", "bool", "null", "object", "truth",
         "fraction", "large", "half-range"],
)  # fmt: skip
def test_what_would_become_another_value_is_refused(value, dtype, shape, says):
    with pytest.raises(Unfit, match=says.replace("[", "\\[")):
        constant_array(value, dtype, shape)


def test_lists_are_only_so_deep():
    value = 1
    for _ in range(MAX_DEPTH + 1):
        value = [value]

    with pytest.raises(Unfit, match="deep"):
        constant_array(value, FP32, (1,) * (MAX_DEPTH + 1))
