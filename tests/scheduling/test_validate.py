"""Checking tensors against the external signature."""

import numpy as np
import pytest

from inferd.core.errors import InvalidInput
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature
from inferd.scheduling.validate import REMEMBERED, Validator

SIGNATURE = Signature.from_json({
    "inputs": [
        {"name": "x", "dtype": "float32", "shape": [-1, -1]},
        {"name": "scale", "dtype": "int64", "shape": [-1]},
    ],
    "outputs": [{"name": "y", "dtype": "float32", "shape": [-1]}],
})  # fmt: skip
TEXT = Signature.from_json({"inputs": [{"name": "t", "dtype": "string", "shape": [-1]}]})


def good(rows=2, width=3):
    return {"x": np.zeros((rows, width), np.float32), "scale": np.zeros(rows, np.int64)}


def texts(*elements):
    out = np.empty(len(elements), dtype=object)
    out[:] = elements
    return {"t": out}


def test_equal_shapes_give_the_same_layout():
    validator = Validator(SIGNATURE, BatchPlan(key_axes=(("x", 1),)))
    first = validator.layout(good())

    assert validator.layout(good()) is first
    assert (first.rows, first.key, first.length, first.nbytes) == (2, (3,), 1, 40)
    assert validator.layout(good(width=4)).key == (4,)
    assert validator.measure(good(), first) == (40, 1)


def test_a_padded_axis_is_the_length_and_no_key():
    validator = Validator(SIGNATURE, BatchPlan(length=("x", 1)))
    layout = validator.layout(good(width=7))

    assert (layout.key, layout.length) == ((), 7)


def test_texts_are_measured_one_by_one():
    validator = Validator(TEXT, BatchPlan(length=("t", 0)))
    short, long = texts(b"ab"), texts(b"x" * 100)

    assert validator.layout(short) is validator.layout(long)
    assert validator.measure(short, validator.layout(short)) == (6, 6)
    assert validator.measure(long, validator.layout(long)) == (104, 104)


def test_an_unbatched_model_has_no_key():
    signature = Signature.from_json({
        "inputs": [{"name": "x", "dtype": "float32", "shape": []}], "batched": False,
    })  # fmt: skip
    layout = Validator(signature, BatchPlan(batched=False)).layout(
        {"x": np.float32([0])[0:1].sum()}
    )

    assert (layout.rows, layout.key) == (1, None)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": good()["x"]}, "'scale' is missing"),
        ({**good(), "skale": np.zeros(2)}, "unknown input 'skale'"),
        ({**good(), "x": np.zeros((2, 3))}, "datatype FP64, expected FP32"),
        ({**good(), "x": np.zeros(2, np.float32)}, r"shape \[2\], expected \[-1, -1\]"),
        ({**good(), "scale": np.zeros((2, 1), np.int64)}, "shape"),
        ({**good(), "scale": np.zeros(3, np.int64)}, "3 rows, others have 2"),
        ({**good(), "x": np.zeros((2, 3), complex)}, "complex128"),
        ({}, "is missing"),
    ],
    ids=["missing", "unknown", "dtype", "rank", "rank-up", "rows", "no-such-dtype", "empty"],
)
def test_what_does_not_fit_is_refused_with_its_values(inputs, message):
    with pytest.raises(InvalidInput, match=message):
        Validator(SIGNATURE, BatchPlan()).layout(inputs)


def test_a_misspelt_input_is_told_the_right_name():
    with pytest.raises(InvalidInput) as caught:
        Validator(SIGNATURE, BatchPlan()).layout({**good(), "skale": np.zeros(2)})
    assert caught.value.help == "did you mean 'scale'?"


def test_what_is_remembered_is_bounded():
    validator = Validator(SIGNATURE, BatchPlan())
    for width in range(2 * REMEMBERED):
        validator.layout(good(width=width))

    assert len(validator._known) <= REMEMBERED


def test_texts_must_be_texts():
    validator = Validator(TEXT, BatchPlan())
    with pytest.raises(InvalidInput, match="must be text or bytes"):
        validator.measure(texts(3), validator.layout(texts(3)))


@pytest.mark.parametrize("shape", [(2**40, 0), (0, 2**59), (2**15, 0)], ids=str)
def test_a_tensor_of_nothing_claims_no_more_than_others_hold(shape):
    signature = Signature.from_json(
        {"inputs": [{"name": "x", "dtype": "float32", "shape": [-1, -1]}]}
    )

    with pytest.raises(InvalidInput, match="holds nothing"):
        Validator(signature, BatchPlan()).layout({"x": np.empty(shape, np.float32)})


def test_an_axis_that_the_signature_fixes_may_be_as_long_as_it_says():
    signature = Signature.from_json(
        {"inputs": [{"name": "x", "dtype": "int8", "shape": [-1, 2**30]}]}
    )

    assert Validator(signature, BatchPlan()).layout({"x": np.empty((0, 2**30), np.int8)}).rows == 0


OPTIONAL = Signature.from_json({
    "inputs": [
        {"name": "x", "dtype": "float32", "shape": [-1, 2]},
        {"name": "scale", "dtype": "int64", "shape": [-1], "default": 3},
    ],
    "outputs": [{"name": "y", "dtype": "float32", "shape": [-1]}],
})  # fmt: skip


def test_what_is_left_out_is_added_and_the_layout_is_that_of_the_whole():
    validator = Validator(OPTIONAL, BatchPlan())
    short = {"x": np.zeros((2, 2), np.float32)}
    whole = short | {"scale": np.ones(2, np.int64)}

    layout = validator.layout(short)

    assert short["scale"].tolist() == [3, 3]
    assert validator.layout(whole) is layout
    assert whole["scale"].tolist() == [1, 1]


def test_what_has_no_default_is_missing_still():
    with pytest.raises(InvalidInput, match="input 'x' is missing"):
        Validator(OPTIONAL, BatchPlan()).layout({"scale": np.ones(2, np.int64)})
