from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from inferd.core.errors import ConfigError, ModelFailed
from inferd.core.signature import TensorSpec
from inferd.core.step import Step
from inferd.core.tensor import BYTES, FP32, INT64
from inferd.execution import forward
from inferd.execution.forward import Forward, add_transforms, needs_library
from inferd.runtimes.registry import create

SCORES = TensorSpec("scores", FP32, (3,))


def test_transforms_are_applied_to_one_example(tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\ncow\n")
    chain = Forward(
        [SCORES], [Step("softmax", None), Step("top_k", 2), Step("labels", "labels.txt")], tmp_path
    )

    assert [(s.name, s.dtype, s.shape) for s in chain.outputs] == [
        ("label", BYTES, (2,)), ("score", FP32, (2,)),
    ]  # fmt: skip
    got = chain({"scores": np.array([0, 3, 1], np.float32)})
    assert got["label"].tolist() in ([b"dog", b"cow"], ["dog", "cow"])
    assert got["score"].shape == (2,) and got["score"][0] > got["score"][1]
    assert not chain.uneven


def test_a_list_of_unequal_length_comes_out_of_one_example(tmp_path):
    labels = Step("labels", {"values": ["a", "b", "c"]})
    chain = Forward([SCORES], [Step("top_k", 3), labels, Step("threshold", 0.5)], tmp_path)
    assert [s.shape for s in chain.outputs] == [(-1,), (-1,)]
    for scores, count in (([0.9, 0.8, 0.1], 2), ([0, 0, 0], 0)):
        got = chain({"scores": np.array(scores, np.float32)})
        assert {a.shape for a in got.values()} == {(count,)}


@pytest.mark.parametrize("step", ["cast", "tokenize", "decode_image", "pad"])
def test_what_stands_before_a_model_is_refused(tmp_path, step):
    with pytest.raises(ConfigError) as caught:
        Forward([SCORES], [Step(step, None, "pipeline.yaml:7")], tmp_path)
    assert caught.value.message.startswith(f"pipeline.yaml:7: {step}: stands before a model")
    assert "Python step" in caught.value.help


@pytest.mark.parametrize(
    ("step", "says"),
    [(Step("sofmax", None, "p:1"), "unknown step"), (Step("labels", "none.txt", "p:1"), "p:1")],
    ids=["name", "file"],
)
def test_what_is_wrong_names_its_line(tmp_path, step, says):
    with pytest.raises(ConfigError, match=says):
        Forward([SCORES], [step], tmp_path)


def test_what_it_cannot_transform_is_a_failure(tmp_path):
    chain = Forward(
        [TensorSpec("ids", INT64, (-1,))],
        [Step("labels", {"values": ["a"], "input": "ids"})],
        tmp_path,
    )
    with pytest.raises(ModelFailed, match="labels"):
        chain({"ids": np.array([5])})


def test_it_is_measured_on_a_made_up_example(tmp_path):
    for spec in (SCORES, TensorSpec("x", FP32, (-1, -1))):
        assert 0 < Forward([spec], [Step("softmax", None)], tmp_path).seconds() < 0.5


def test_a_library_is_needed_by_some_and_not_imported_for_types(tmp_path):
    assert needs_library([Step("argmax", None), Step("decode_tokens", None)])
    assert not needs_library([Step("softmax", None), Step("no such", None)])
    code = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from inferd.core.signature import TensorSpec
        from inferd.core.step import Step
        from inferd.core.tensor import INT64
        from inferd.execution.forward import Forward
        ids = [TensorSpec("ids", INT64, (-1,))]
        chain = Forward(ids, [Step("decode_tokens", None)], Path({str(tmp_path)!r}), dry=True)
        assert [(s.name, s.shape, s.content) for s in chain.outputs] == [("text", (), "text")], chain.outputs
        assert not {{"tokenizers", "onnxruntime", "torch"}} & set(sys.modules)
        """
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_the_worker_of_steps_runs_transforms_too(tmp_path):
    runtime = create("steps")
    runtime.load(tmp_path / "pipeline.yaml", {"directory": str(tmp_path)})
    row = {"inputs": [SCORES.to_json()], "steps": [Step("softmax", None).to_json()]}
    signature = add_transforms(
        runtime, {"options": {"transforms": {"likely": row}}, "directory": str(tmp_path)}
    )
    assert [s.name for s in signature.inputs] == ["likely.scores"]
    got = runtime.run({"likely.scores": np.zeros(3, np.float32)})
    np.testing.assert_allclose(got["likely.scores"], 1 / 3, rtol=1e-6)
    assert forward.SAMPLE
