"""Signatures: JSON and back, and how a batch is found in an artifact's shapes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.core.errors import InvalidInput
from inferd.core.signature import Signature, TensorSpec, infer_batching, is_text
from inferd.core.tensor import BYTES, DTYPES, FP32

SPECS = st.builds(
    TensorSpec,
    st.text(max_size=8),
    st.sampled_from(DTYPES),
    st.lists(st.integers(-1, 9), max_size=3).map(tuple),
    content=st.sampled_from([None, "image", "text"]),
    default=st.sampled_from([None, "", 0, False, [1, 2]]),
)


@given(
    st.lists(SPECS, max_size=3).map(tuple), st.lists(SPECS, max_size=3).map(tuple), st.booleans(),
    st.none() | st.integers(1, 64), st.booleans(),
    st.none() | st.lists(st.text(max_size=8), max_size=3).map(tuple),
)  # fmt: skip
def test_a_signature_round_trips(inputs, outputs, batched, most, ragged, parameters):
    signature = Signature(inputs, outputs, batched, most, ragged, parameters)

    assert Signature.from_json(signature.to_json()) == signature


def test_symbols_round_trip():
    spec = TensorSpec("x", FP32, (-1, -1), ("batch", "words"))

    assert TensorSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("defaults", "lone"),
    [
        ([None], "0"), ([1], "0"), ([None, None], None), ([None, 1], "0"), ([0, None, ""], "1"),
        ([1, 2], "0"), ([], None),
    ],
    ids=str,
)  # fmt: skip
def test_a_value_without_a_name_is_for_the_only_input_that_is_needed(defaults, lone):
    specs = [TensorSpec(str(i), FP32, (-1,), default=d) for i, d in enumerate(defaults)]
    found = Signature(tuple(specs), ()).lone

    assert (found and found.name) == lone


@pytest.mark.parametrize(
    "row",
    [
        {}, {"name": "x", "dtype": "float32"}, {"name": "x", "dtype": "nope", "shape": []},
        {"name": "x", "dtype": "float32", "shape": 3},
        {"name": "x", "dtype": "float32", "shape": [True]},
        {"name": "x", "dtype": "float32", "shape": [-2]},
        {"name": "x", "dtype": "float32", "shape": ["a"]}, None,
    ],
    ids=["empty", "no-shape", "dtype", "number", "bool", "minus-two", "text", "none"],
)  # fmt: skip
def test_nonsense_is_refused(row):
    with pytest.raises(InvalidInput):
        TensorSpec.from_json(row)


def shapes(*rows):
    half = len(rows) // 2
    specs = [TensorSpec(str(i), FP32, tuple(r)) for i, r in enumerate(rows)]
    return Signature(tuple(specs[:half]), tuple(specs[half:]))


@pytest.mark.parametrize(
    ("signature", "batched", "most", "first"),
    [
        (shapes((-1, 4), (-1, 3)), True, None, (-1, 4)),
        (shapes((1, 4), (1, 3)), True, 1, (-1, 4)),
        (shapes((1, 4), (-1, 3)), True, 1, (-1, 4)),
        (shapes((4,), (3,)), False, None, (4,)),
        (shapes((-1, 4), (2, 3)), False, None, (-1, 4)),
        (shapes((-1, 4), ()), False, None, (-1, 4)),
    ],
    ids=["free", "one", "mixed", "fixed", "other", "scalar"],
)
def test_the_batch_is_found_in_the_shapes(signature, batched, most, first):
    found = infer_batching(signature)

    assert (found.batched, found.max_batch) == (batched, most)
    assert found.inputs[0].shape == first


def test_a_signature_of_nothing_has_no_batch():
    assert not infer_batching(Signature((), ())).batched


def test_tensors_are_found_by_name():
    signature = shapes((-1, 4), (-1, 3))

    assert signature.input("0") is signature.inputs[0]
    assert signature.output("1") is signature.outputs[0]
    assert signature.input("1") is signature.output("0") is None


@pytest.mark.parametrize(
    ("content", "text"), [(None, True), ("text", True), ("image", False)], ids=str
)
def test_texts_are_told_from_images(content, text):
    assert is_text(TensorSpec("t", BYTES, (-1,), content=content)) == text
    assert not is_text(TensorSpec("t", FP32, (-1,)))
