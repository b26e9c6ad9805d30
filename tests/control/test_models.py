from __future__ import annotations

import pytest
from tests.control.pipeline.test_loader import ask, models
from tests.control.test_loader import run
from tests.server.applications import READING, SAME, everything, write

from inferd.control.models import apart
from inferd.control.sources import read_specs
from inferd.core.errors import ModelFileError
from inferd.routing.table import FAILED, LOADING


def specs_of(folder):
    return {spec.name: spec for spec in read_specs([folder])}


def test_models_and_pipelines_are_told_apart(tmp_path):
    ones, overs = apart(list(specs_of(everything(tmp_path)).values()))
    assert [s.name for s in ones] == ["double", "teller"]
    assert [s.name for s in overs] == ["reading", "same", "telling", "whole"]


def test_pipelines_are_in_the_table_before_the_first_model_is_ready(tmp_path):
    async def main(pids):
        subject = models()
        seen = []

        def watch(model):
            rows = {v.model: v.state for v in subject.table.all()}
            seen.append((model, rows.get("same")))

        subject.table.watch(watch)
        specs = specs_of(everything(tmp_path))
        assert await subject.load_all([specs["same"], specs["double"]]) == []
        assert ("double", None) not in seen and ("double", LOADING) in seen
        assert subject.versions == {("same", "1"), ("double", "1")}
        await subject.stop(1.0)

    run(main)


def test_a_model_that_fails_is_what_is_told(tmp_path):
    async def main(pids):
        write(tmp_path, {"app/pipeline.yaml": SAME.replace("double", "broken"), "app/steps.py": "def f(",
                         "app/broken/1/b.py": "raise ValueError('no')",
                         "app/broken/model.yaml": "class: b:B\n"})  # fmt: skip
        subject = models()
        (failure,) = await subject.load_all(read_specs([tmp_path / "app"]))
        assert isinstance(failure, ModelFileError) and "ValueError: no" in failure.message
        assert subject.table.find("broken").state == FAILED
        assert subject.table.find("app").state == LOADING
        await subject.stop(0.0)

    run(main)


def test_each_is_loaded_replaced_and_unloaded_by_what_it_is(tmp_path):
    async def main(pids):
        subject = models()
        folder = everything(tmp_path)
        specs = specs_of(folder)
        await subject.load(specs["double"])
        await subject.load(specs["same"])
        assert await ask(subject, name="same") == [3, 5, 7, 9]
        await subject.replace(specs["double"], 1.0)
        twice = SAME.replace(
            "outputs: {y: double",
            "  again: {model: double, inputs: {x: double.y}}\noutputs: {y: again",
        )
        write(folder, {"same/pipeline.yaml": twice})
        await subject.replace(specs["same"], 1.0)
        assert await ask(subject, name="same") == [7, 11, 15, 19]
        await subject.unload("double", "1", 1.0)
        assert (
            subject.table.find("same").reason == "waits for model 'double': no model named 'double'"
        )
        await subject.unload("same", "1", 1.0)
        assert subject.table.names() == [] and subject.versions == set()
        await subject.unload("nobody", "1", 1.0)
        await subject.stop(0.0)

    run(main)


@pytest.mark.parametrize("text", [READING, SAME], ids=["own steps", "one step"])
def test_stopping_ends_workers_of_steps_too(tmp_path, text):
    async def main(pids):
        subject = models(executor="process")
        folder = everything(tmp_path)
        write(folder, {"same/pipeline.yaml": text})
        specs = specs_of(folder)
        assert await subject.load_all([specs["same"], specs["double"]]) == []
        for model in subject.workers():
            pids.extend(e.describe()["pid"] for e in model.executors)
        assert len(pids) == 2
        await subject.stop(1.0)

    run(main)  # which sees that the processes are gone
