import numpy as np
import pytest

from inferd.codecs.protobuf.messages import inference
from inferd.codecs.protobuf.typed import elements
from inferd.codecs.values import MAX_TEXTS
from inferd.core.errors import InvalidInput, TooLarge
from inferd.core.tensor import BOOL, BYTES, FP32, FP64, INT8, INT64, UINT16, UINT64

CONTENTS = inference("InferTensorContents")
CASES = {
    "bool": (BOOL, "bool_contents", [True, False]),
    "narrow": (INT8, "int_contents", [-128, 127]),
    "unsigned": (UINT16, "uint_contents", [0, 65535]),
    "wide": (INT64, "int64_contents", [-(2**63), 2**53 + 1]),
    "widest": (UINT64, "uint64_contents", [2**64 - 1]),
    "floats": (FP32, "fp32_contents", [float("inf"), -0.0]),
    "none": (FP32, "fp32_contents", []),
}


@pytest.mark.parametrize(("dtype", "field", "values"), CASES.values(), ids=CASES)
def test_elements_are_read(dtype, field, values):
    array = elements(getattr(CONTENTS(**{field: values}), field), dtype, "x")

    assert array.dtype == dtype.numpy
    assert array.tolist() == values


def test_texts_stay_bytes():
    array = elements(CONTENTS(bytes_contents=[b"\xff\x00", b""]).bytes_contents, BYTES, "x")

    assert array.dtype == np.dtype(object)
    assert array.tolist() == [b"\xff\x00", b""]


@pytest.mark.parametrize(
    ("dtype", "value"), [(INT8, 128), (INT8, -129), (UINT16, 65536)], ids=["over", "under", "short"]
)
def test_what_does_not_fit_is_refused_with_its_value(dtype, value):
    with pytest.raises(InvalidInput, match=f"{value} is out of range"):
        elements([0, value], dtype, "input 'x'")


def test_the_count_of_texts_is_bounded():
    with pytest.raises(TooLarge):
        elements([b""] * (MAX_TEXTS + 1), BYTES, "x")


@pytest.mark.parametrize(
    ("dtype", "field", "value"),
    [(UINT64, "uint64_contents", (1 << 64) - 1), (INT64, "int64_contents", -(1 << 63)),
     (BOOL, "bool_contents", True), (FP64, "fp64_contents", 0.1)],
    ids=str,
)  # fmt: skip
def test_many_elements_are_read_slice_by_slice(dtype, field, value):
    contents = CONTENTS(**{field: [value] * 150_000})
    found = elements(getattr(contents, field), dtype, "x")

    assert found.dtype == dtype.numpy
    assert found.tolist() == [value] * 150_000
