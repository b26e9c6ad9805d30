from __future__ import annotations

import pytest

from inferd.core.errors import ModelFileError
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BOOL, BYTES, FP32, INT64
from inferd.runtimes.signatures import declared, learn_outputs, reconcile, settle, trial_inputs

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
