"""``check``: what it finds in good and bad models, as data."""

import asyncio
import json
import os

import pytest
from tests.execution.workers import MODEL
from tests.server.applications import SAME, reading, write

from inferd.config.settings import Settings
from inferd.control.check import run_check


@pytest.fixture
def check(monkeypatch):
    def run(path):
        before = len(os.listdir("/proc/self/fd"))
        report = asyncio.run(run_check(str(path), Settings()))
        assert len(os.listdir("/proc/self/fd")) == before
        json.dumps(report.to_json())
        return report

    return run


@pytest.fixture
def repository(tmp_path):
    home = tmp_path / "models" / "probe" / "1"
    home.mkdir(parents=True)
    (home / "probe.py").write_text(MODEL)
    (home.parent / "model.yaml").write_text("runtime: python\nclass: probe:Probe\n")
    return home.parent.parent


def levels(row):
    return [p["level"] for p in row["problems"]]


def test_a_good_model_is_described(check, repository):
    report = check(repository)
    (row,) = report.models

    assert report.ok
    assert (row["model"], row["version"], row["runtime"]) == ("probe", "1", "python")
    assert row["signature"]["inputs"][0]["name"] == "x"
    assert row["costs"] and row["memory"]["resident"] > 0
    assert set(levels(row)) <= {"remark"}


def test_a_model_that_does_not_load_is_a_problem_with_its_reason(check, repository, monkeypatch):
    monkeypatch.setenv("PROBE_LOAD", "raise")
    report = check(repository)
    (row,) = report.models

    assert not report.ok
    assert levels(row) == ["error"]
    assert "no such weights" in row["problems"][0]["message"]


def test_a_path_that_holds_no_model_is_a_problem(check, tmp_path):
    report = check(tmp_path / "nothing.onnx")

    assert not report.ok
    assert "nothing.onnx" in report.models[0]["problems"][0]["message"]


def test_a_model_that_fails_on_batches_is_remarked(check, repository):
    (repository / "probe" / "1" / "probe.py").write_text("""
from inferd import Model


class Probe(Model):
    inputs = {"x": ("float32", [-1, 2])}
    outputs = {"y": ("float32", [-1])}

    def predict(self, x):
        if len(x) > 1:
            raise ValueError("one at a time")
        return x[:, 0]
""")
    report = check(repository)

    assert report.ok
    assert any("batches of more than 1" in p["message"] for p in report.models[0]["problems"])
    assert report.models[0]["batch_limit"] == 1


def test_a_pipeline_is_checked_with_its_models(check, tmp_path):
    report = check(reading(tmp_path) / "reading")
    model, pipeline = report.models

    assert report.ok
    assert (model["model"], pipeline["model"], pipeline["runtime"]) == (
        "double",
        "reading",
        "pipeline",
    )
    assert [s["name"] for s in pipeline["signature"]["inputs"]] == ["x", "loud"]
    assert pipeline["steps"] == ["cut", "double", "join", "likely", "shout"]
    assert pipeline["parts"] == ["double"] and pipeline["load_seconds"] > 0
    assert "nothing went through all of its steps" in pipeline["problems"][0]["message"]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"pipeline.yaml": SAME.replace("double", "doubel")}, "no model named 'doubel'"),
        ({"steps.py": "raise OSError('not here')"}, "OSError: not here"),
        (
            {
                "model.yaml": "warmup: s.json",
                "s.json": '[{"data": {"x": [-2, 0, 0, 0], "loud": true}}]',
            },
            "its golden request failed: step 'cut': ValueError: a bad item",
        ),
        (
            {
                "double/model.yaml": "signature: {inputs: [{name: x, dtype: float32, shape: [-1, 5]}]}"
            },
            "model 'double' has failed",
        ),
    ],
    ids=["name", "code", "sample", "part"],
)
def test_what_is_wrong_with_a_pipeline_is_said(check, tmp_path, files, says):
    report = check(write(reading(tmp_path) / "reading", files))
    told = [p["message"] for row in report.models for p in row["problems"] if p["level"] == "error"]
    assert not report.ok
    assert any(says in message for message in told), told
