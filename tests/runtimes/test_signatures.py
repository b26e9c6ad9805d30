from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inferd.core.errors import ModelFileError
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BOOL, BYTES, FP32, INT64
from inferd.runtimes.signatures import (
    declared,
    fix_ones,
    learn_outputs,
    reconcile,
    settle,
    trial_inputs,
)

X = TensorSpec("x", FP32, (-1, -1), ("n", "s"))
Y = TensorSpec("y", FP32, (-1, 3), ("n", None))


def row(name, dtype, shape):
    return {"name": name, "dtype": dtype, "shape": shape}


def test_a_declaration_narrows_what_is_free_and_keeps_symbols():
    options = {"signature": {"inputs": [row("x", "float32", [-1, 4])]}}
    got = reconcile(Signature((X,), (Y,)), options, "m.onnx")
    assert got.inputs[0].shape == (-1, 4) and got.inputs[0].symbols == ("n", "s") and got.batched


def test_order_is_the_files():
    b = TensorSpec("b", INT64, (-1,))
    options = {"signature": {"inputs": [row("b", "int64", [-1]), row("x", "float32", [-1, 4])]}}
    got = reconcile(Signature((X, b), (Y,)), options, "m")
    assert [s.name for s in got.inputs] == ["x", "b"]


@pytest.mark.parametrize(
    "wrong",
    [
        row("z", "float32", [-1, 4]),
        row("y", "float64", [-1, 3]),
        row("y", "float32", [-1, 4]),
        row("y", "float32", [-1]),
    ],
    ids=["name", "dtype", "size", "rank"],
)
def test_a_contradiction_is_refused(wrong):
    with pytest.raises(ModelFileError, match=r"^m.onnx: model.yaml declares the output"):
        reconcile(Signature((X,), (Y,)), {"signature": {"outputs": [wrong]}}, "m.onnx")


def test_batching_can_be_denied_and_bounded():
    found = Signature((X,), (Y,))
    assert not settle(found, {"signature": {"batched": False}}).batched
    assert settle(found, {"signature": {"max_batch": 4}}).max_batch == 4
    assert (
        settle(Signature((X,), (Y,), max_batch=2), {"signature": {"max_batch": 4}}).max_batch == 2
    )
    assert settle(found, {}).batched


@pytest.mark.parametrize(
    ("inputs", "output", "batched"),
    [
        ([("a", "b")], ("b", "a"), False),
        ([("a", "b")], ("c", "d"), True),
        ([("a", "b")], ("a", "b"), True),
        ([("n", "n")], ("n", "n"), True),
        ([("a", "b"), ("b", "c")], ("b", "c"), True),
        ([()], (), True),
    ],
    ids=["crossed", "other", "same", "one-name", "one-of-two", "none"],
)
def test_axis_0_that_is_named_like_another_axis_of_an_input_is_no_batch(inputs, output, batched):
    x = tuple(TensorSpec(f"x{i}", FP32, (-1, -1), names) for i, names in enumerate(inputs))
    found = Signature(x, (TensorSpec("y", FP32, (-1, -1), output),))

    assert settle(found, {}).batched is batched
    assert settle(found, {"signature": {"batched": True}}).batched


def test_nonsense_names_the_place():
    with pytest.raises(ModelFileError, match=r"^m.onnx: signature"):
        declared({"signature": {"inputs": [row("x", "nope", [1])]}}, "m.onnx")
    assert declared({}, "m") is None


def test_trial_inputs_fit_the_signature():
    specs = (
        X,
        TensorSpec("t", BYTES, (-1,)),
        TensorSpec("b", BOOL, (2,)),
        TensorSpec("s", INT64, ()),
    )
    made = trial_inputs(Signature(specs, ()))
    assert {k: v.shape for k, v in made.items()} == {"x": (2, 8), "t": (2,), "b": (2,), "s": ()}
    assert made["t"][0] == b"hello world"


def test_outputs_are_learned_or_asked_for():
    learned = learn_outputs(lambda inputs: {"y": inputs["x"][:, 0]}, Signature((X,), ()), "m")
    assert [(s.name, s.dtype, s.shape) for s in learned] == [("y", FP32, (-1,))]
    with pytest.raises(ModelFileError, match="m: its outputs are not declared") as caught:
        learn_outputs(lambda inputs: 1 / 0, Signature((X,), ()), "m")
    assert "signature:" in (caught.value.help or "")


def constant(width):
    return lambda inputs: {"y": np.zeros((len(inputs["x"]), width), np.float32)}


def follows(inputs):
    return {"y": inputs["x"][:, ::8]}


def refuses_more(inputs):
    if inputs["x"].shape[1] > 8:
        raise ValueError("too long")
    return {"y": inputs["x"][:, :1]}


def counts_words(inputs):
    return {"y": np.zeros((len(inputs["t"]), inputs["t"][0].count(b" ")), np.float32)}


FREE = TensorSpec("y", FP32, (-1, -1))


@pytest.mark.parametrize(
    ("spec", "output", "run", "shape"),
    [
        pytest.param(X, FREE, constant(1), (-1, 1), id="one"),
        pytest.param(X, FREE, constant(3), (-1, -1), id="more"),
        pytest.param(X, replace(FREE, symbols=("n", "dim_1")), constant(1), (-1, 1), id="symbol"),
        pytest.param(X, replace(FREE, symbols=("n", "s")), constant(1), (-1, -1), id="an-inputs-symbol"),
        pytest.param(X, FREE, follows, (-1, -1), id="follows"),
        pytest.param(X, FREE, refuses_more, (-1, -1), id="refused"),
        pytest.param(TensorSpec("t", BYTES, (-1,)), FREE, counts_words, (-1, -1), id="values"),
        pytest.param(TensorSpec("x", FP32, (3,)), TensorSpec("y", FP32, (-1,)),
                     lambda inputs: {"y": inputs["x"][:1]}, (1,), id="no-batch"),
    ],
)  # fmt: skip
def test_free_axes_that_always_are_one_are_fixed(spec, output, run, shape):
    found = fix_ones(run, Signature((spec,), (output,)))

    assert found.outputs[0].shape == shape


def test_two_runs_at_most_within_the_batch_and_none_where_nothing_is_free():
    seen = []

    def run(inputs):
        seen.append(inputs["x"].shape)
        return constant(1)(inputs)

    fix_ones(run, Signature((X,), (TensorSpec("y", FP32, (-1, 1)),)))
    assert seen == []
    fix_ones(run, Signature((X,), (FREE,)))
    assert seen == [(2, 8), (3, 64)]
    seen.clear()
    fix_ones(run, Signature((X,), (FREE,), max_batch=1))
    assert seen == [(1, 8), (1, 64)]
    seen.clear()
    learned = learn_outputs(run, Signature((X,), ()), "m")
    assert (seen, learned[0].shape) == ([(2, 8), (3, 64)], (-1, 1))
