from __future__ import annotations

import asyncio

import pytest
from tests.control.pipeline.test_parts import PLAIN, written

from inferd.control.pipeline.loaded import LoadedPipeline, StepTally
from inferd.core.message import Timings
from inferd.repository.spec import ModelSpec
from inferd.routing.table import LOADING


def test_a_pipeline_that_was_only_read_describes_itself(tmp_path):
    async def main():
        spec = ModelSpec(
            "app", "3", "pipeline", tmp_path, task="ocr", version_labels={"stable": "3"}
        )
        one = LoadedPipeline(spec, written(tmp_path, PLAIN))
        version = one.version
        assert (version.model, version.version, version.state, version.task) == (
            "app",
            "3",
            LOADING,
            "ocr",
        )
        assert version.parts == ("one", "two") and version.labels == {"stable": "3"}
        told = version.describe()
        assert [s["name"] for s in told["pipeline"]["steps"]] == ["a", "b"]
        assert (told["parts"], told["instances"], told["step_times"]) == (["one", "two"], [], {})
        assert told["slowest_own_ms"] is None and "counters" not in told
        assert one.label == "app v3"

    asyncio.run(main())


def test_what_steps_did_is_counted_and_told_further():
    heard = []
    tally = StepTally()
    tally("a", 0.1, None, False)
    tally.further = lambda *told: heard.append(told)
    tally("a", 0.3, "model_failed", False)
    tally("b", 0.0, None, True)
    assert tally.to_json() == {
        "a": {"runs": 2, "mean_ms": 200.0, "failed": 1, "skipped": 0},
        "b": {"runs": 0, "mean_ms": 0.0, "failed": 0, "skipped": 1},
    }
    assert (
        tally.slowest(["a", "b", "c"]) == pytest.approx(0.1) and tally.slowest(["b", "c"]) is None
    )
    assert heard == [("a", 0.3, "model_failed", False), ("b", 0.0, None, True)]


def test_answers_that_prove_it_are_not_told_further(tmp_path):
    async def main():
        one = LoadedPipeline(ModelSpec("app", "1", "pipeline", tmp_path), written(tmp_path, PLAIN))
        one.answered(1, Timings())  # nobody listens
        heard = []
        one.further = lambda *told: heard.append(told)
        one.answered(1, Timings())
        one.proven = True
        one.answered(3, Timings(run=2.0))
        assert heard == [(3, Timings(run=2.0))]

    asyncio.run(main())
