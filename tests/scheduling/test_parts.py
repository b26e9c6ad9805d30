"""Cutting a request into parts and joining the answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.core.errors import ModelFailed, TooLarge
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, FP32
from inferd.scheduling.parts import MAX_PARTS, join, no_rows, split


@given(st.integers(1, 50), st.integers(1, 20))
def test_parts_joined_are_the_whole(total, rows):
    inputs = {"x": np.arange(total * 2).reshape(total, 2), "y": np.arange(total)}
    parts = split(inputs, rows)
    whole = join(parts)

    assert all(0 < len(p["x"]) == len(p["y"]) <= rows for p in parts)
    assert {k: v.tolist() for k, v in whole.items()} == {k: v.tolist() for k, v in inputs.items()}


def test_parts_are_views():
    inputs = {"x": np.zeros((4, 2))}

    assert all(np.shares_memory(p["x"], inputs["x"]) for p in split(inputs, 2))


def test_parts_are_bounded_in_number():
    inputs = {"x": np.zeros((3 * MAX_PARTS + 1, 1), np.uint8)}

    assert len(split(inputs, 4)) == 3 * MAX_PARTS // 4 + 1
    with pytest.raises(TooLarge, match=f"run one by one; at most {MAX_PARTS} are"):
        split(inputs, 1)
    with pytest.raises(TooLarge, match=f"run 3 at a time; at most {3 * MAX_PARTS} are"):
        split(inputs, 3)


def test_answers_of_unequal_shape_are_an_error_that_says_what_to_do():
    with pytest.raises(ModelFailed, match="unequal shapes"):
        join([{"y": np.zeros((2, 3))}, {"y": np.zeros((2, 4))}])


def test_no_rows_have_outputs_of_the_signature():
    signature = Signature((), (TensorSpec("y", FP32, (-1, 3)), TensorSpec("t", BYTES, (-1, -1))))

    found = no_rows(signature, {})

    assert {k: (a.shape, a.dtype.kind) for k, a in found.items()} == {
        "y": ((0, 3), "f"), "t": ((0, 0), "O"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "answered", "symbols", "shape"),
    [
        ((-1, -1, 2), (-1, -1, 2), ((), ()), (0, 5, 2)),
        ((-1, -1, 2), (-1, -1, 3), ((), ()), (0, 0, 3)),
        ((-1, -1, 2), (-1, 4, -1), (("n", "s", None), ("n", None, "s")), (0, 4, 5)),
        ((-1, -1, 2), (-1, -1, 2), (("n", "s", None), ("n", "k", None)), (0, 0, 2)),
    ],
    ids=["same-shape", "other-shape", "symbol", "other-symbol"],
)
def test_no_rows_follow_the_inputs_where_that_is_known(given, answered, symbols, shape):
    signature = Signature(
        (TensorSpec("x", FP32, given, symbols[0]),), (TensorSpec("y", FP32, answered, symbols[1]),)
    )

    assert no_rows(signature, {"x": np.empty((0, 5, 2), np.float32)})["y"].shape == shape
