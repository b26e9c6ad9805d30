from __future__ import annotations

import asyncio

import pytest
from tests.scheduling.instances import batcher

from inferd.control.pipeline import steps
from inferd.core.signature import Signature
from inferd.core.tensor import FP32
from inferd.repository.spec import Instances, ModelSpec
from inferd.routing.pipeline.check.typing import plan
from inferd.routing.pipeline.definition.file import read_pipeline
from inferd.routing.pipeline.plan import Callee
from inferd.scheduling.steps import InlineStep, WorkerStep

TEXT = """
inputs: {x: {dtype: float32, shape: [4]}}
steps:
  cut: {python: "steps:cut", inputs: {x: x, n: 3}}
  likely: {transform: [softmax], inputs: {scores: x}}
  text: {transform: [{decode_tokens: tokenizer.json}], inputs: {ids: cut.ids}}
outputs: {likely: likely.scores, total: cut.total}
"""

QUALIFIED = Signature.from_json({
    "inputs": [{"name": "cut.x", "dtype": "float32", "shape": [4]}, {"name": "cut.n", "dtype": "int64", "shape": []},
               {"name": "b.parts[]", "dtype": "float32", "shape": [-1, -1]}],
    "outputs": [{"name": "cut.total", "dtype": "float32", "shape": []},
                {"name": "cut.ids", "dtype": "int64", "shape": [-1]},
                {"name": "b.out", "dtype": "float32", "shape": []}],
    "batched": False,
})  # fmt: skip


@pytest.fixture
def written(tmp_path):
    (tmp_path / "pipeline.yaml").write_text(TEXT)
    return read_pipeline(tmp_path / "pipeline.yaml", "app")


def test_the_worker_is_told_of_functions_and_transforms(tmp_path, written):
    spec = ModelSpec("app", "2", "pipeline", tmp_path, warmup=tmp_path, load_timeout=5)
    found = steps.worker_spec(spec, written, {"t": {"steps": []}})
    assert (found.name, found.version, found.runtime, found.warmup) == ("app", "2", "steps", None)
    assert found.options["functions"] == {"cut": "steps:cut"}
    assert found.options["given"] == {"cut": ["x", "n"]}
    assert found.options["at"] == {"cut": f"{tmp_path}/pipeline.yaml:4"}
    assert found.options["transforms"] == {"t": {"steps": []}}
    assert (found.instances, found.run_timeout, found.load_timeout) == (Instances(1, 1), 60, 5)


@pytest.mark.parametrize(
    ("said", "found"),
    [(Instances(3, 3), (3, 3)), (Instances(None, 4), (1, 4)), (Instances(2, None), (2, 2))],
    ids=["number", "most", "least"],
)
def test_its_instances_are_those_of_the_model_yaml(tmp_path, written, said, found):
    spec = ModelSpec("app", "1", "pipeline", tmp_path, instances=said, run_timeout=3)
    got = steps.worker_spec(spec, written, {})
    assert ((got.instances.min, got.instances.max), got.run_timeout) == (found, 3)


def test_names_give_the_types_of_each_step():
    found = steps.function_callees(QUALIFIED)
    assert list(found) == ["cut", "b"]
    assert [(s.name, s.shape) for s in found["cut"].signature.inputs] == [("x", (4,)), ("n", ())]
    assert [(s.name, s.dtype, s.shape) for s in found["b"].signature.inputs] == [
        ("parts", FP32, (-1, -1))
    ]
    assert found["b"].uneven == {"parts"} and not found["cut"].uneven
    assert not found["cut"].signature.batched


def test_a_quick_transform_runs_in_the_front_and_one_that_needs_a_library_does_not(
    written, monkeypatch
):
    callees = steps.function_callees(QUALIFIED)
    made = plan(written, {"cut": Callee(callees["cut"].signature)})
    placed = steps.place_transforms(made)
    assert list(placed.inline) == ["likely"] and list(placed.worker) == ["text"]
    assert placed.worker["text"]["inputs"] == [{"name": "ids", "dtype": "INT64", "shape": [-1]}]

    monkeypatch.setattr(steps, "INLINE_SECONDS", 0.0)
    slow = steps.place_transforms(made)
    assert not slow.inline and sorted(slow.worker) == ["likely", "text"]

    async def main():
        spec = ModelSpec("app", "1", "pipeline", written.file.parent)
        found = steps.servables(spec, made, placed, batcher())
        assert {n: type(s) for n, s in found.items()} == {
            "cut": WorkerStep, "likely": InlineStep, "text": WorkerStep,
        }  # fmt: skip
        with pytest.raises(RuntimeError, match="bug"):
            steps.servables(spec, made, placed, None)

    asyncio.run(main())
