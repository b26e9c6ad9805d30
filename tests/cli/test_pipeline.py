import json

import pytest

from inferd.cli.main import main

PIPELINE = """\
description: doubles and adds
inputs: [x]
steps:
  twice: {python: "steps:twice", inputs: {x: x}}
  sums: {model: sums, inputs: {x: twice.output}}
  never: {python: "steps:twice", inputs: {x: x}, when: sums.first < 0}
  pick: {python: "steps:first", inputs: {y: sums.y}}
outputs:
  y: sums.y
  first: pick.output
"""
STEPS = """\
from typing import Annotated

import numpy as np


def twice(x: Annotated[np.ndarray, "float32", (4,)]) -> Annotated[np.ndarray, "float32", (4,)]:
    return x * 2


def first(y: Annotated[np.ndarray, "float32", (2,)]) -> float:
    return float(y[0])
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory, model):
    """An application: a pipeline of two functions and an ONNX model."""
    app = tmp_path_factory.mktemp("apps") / "adder"
    (app / "sums" / "1").mkdir(parents=True)
    (app / "sums" / "1" / "sums.onnx").write_bytes(model.read_bytes())
    (app / "pipeline.yaml").write_text(PIPELINE.replace("sums.first < 0", "pick.output < 0"))
    (app / "steps.py").write_text(STEPS)
    return app


def test_a_file_is_shown_without_loading_anything(app, capsys):
    assert main(["pipeline", "show", str(app)]) == 0

    text = capsys.readouterr().out

    assert text.startswith("pipeline adder: doubles and adds\n")
    assert "  2   sums: model sums\n        x <- twice.output\n" in text
    assert "        when pick.output < 0\n" in text


@pytest.mark.parametrize(
    "path", ["pipeline.yaml", ".", ".."], ids=["file", "directory", "repository"]
)
def test_every_way_to_name_it(app, capsys, path):
    assert main(["pipeline", "show", str(app / path), "--format", "mermaid"]) == 0
    assert capsys.readouterr().out.startswith('flowchart LR\n  i0(["x"])\n')


def test_the_json_form(app, capsys):
    assert main(["pipeline", "show", str(app), "--format", "json"]) == 0

    found = json.loads(capsys.readouterr().out)

    assert found["name"] == "adder"
    assert [s["name"] for s in found["steps"]] == ["twice", "sums", "pick", "never"]
    assert "times" not in found


def test_a_wrong_file_is_exit_code_2_with_file_and_line(tmp_path, capsys):
    (tmp_path / "pipeline.yaml").write_text(PIPELINE.replace("twice.output", "twce.output"))

    assert main(["pipeline", "show", str(tmp_path)]) == 2

    error = capsys.readouterr().err
    assert f"{tmp_path / 'pipeline.yaml'}:5: steps.sums.inputs.x: there is no step 'twce'" in error
    assert "help: did you mean 'twice'?" in error


def test_where_there_is_none_or_there_are_several(app, tmp_path, capsys):
    assert main(["pipeline", "show", str(tmp_path)]) == 1
    assert "there is no pipeline.yaml" in capsys.readouterr().err

    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        text = PIPELINE.replace("sums.first", "pick.output")
        (tmp_path / name / "pipeline.yaml").write_text(text)
    assert main(["pipeline", "show", str(tmp_path)]) == 1
    assert "--model with one of: one, two" in capsys.readouterr().err
    assert main(["pipeline", "show", str(tmp_path), "--model", "two"]) == 0
    assert capsys.readouterr().out.startswith("pipeline two")
    assert main(["pipeline", "show", str(tmp_path), "--model", "three"]) == 1
    assert "there is no pipeline 'three'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "1,2"], "--data is for runs"),
        (["--runs", "2", "--format", "mermaid"], "a Mermaid graph shows no times"),
        (["--runs", "0"], "--runs"),
        (["--timeout", "soon"], "--timeout"),
        (["--format", "png"], "--format"),
    ],
    ids=["data", "mermaid", "runs", "timeout", "format"],
)
def test_a_wrong_call_is_exit_code_2(app, capsys, arguments, said):
    assert main(["pipeline", "show", str(app), *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sample", "arguments"),
    [
        (None, ["--data", "1,2,3,4"]),
        (None, ["--data", "@{}/rows.json"]),
        ([{"data": [1, 2, 3, 4]}], []),
    ],
    ids=["given", "file", "sample"],
)
def test_the_time_of_each_step_is_shown_with_types(app, tmp_path, capsys, sample, arguments):
    (tmp_path / "rows.json").write_text('{"data": [[1, 2, 3, 4], [0, 0, 0, 1]]}')
    if sample is not None:
        (app / "samples.json").write_text(json.dumps(sample))
        (app / "model.yaml").write_text("warmup: samples.json\n")
    given = [a.format(tmp_path) for a in arguments]

    assert main(["pipeline", "show", str(app), "--runs", "3", *given]) == 0

    text = capsys.readouterr().out
    rows = {line.split()[0]: line.split() for line in text.partition("\nstep ")[2].splitlines()[1:]}
    assert "        -> y  float32[2]\n" in text
    assert "  x  float32[4]\n" in text
    assert rows["sums"][1:4] == ["3", "0", "0"]
    assert rows["never"][1:4] == ["0", "3", "0"]
    shares = [float(row[-1].removesuffix("%")) for row in rows.values()]
    assert sum(shares) == pytest.approx(100, abs=0.3)


def test_times_are_json_where_asked(app, capsys):
    arguments = ["--runs", "2", "--data", "1,2,3,4", "--format", "json"]

    assert main(["pipeline", "show", str(app / "pipeline.yaml"), *arguments]) == 0

    found = json.loads(capsys.readouterr().out)
    assert [t["name"] for t in found["times"]] == ["twice", "sums", "pick", "never"]
    assert found["times"][0]["ran"] == 2
    assert found["inputs"] == {"x": "float32[4]"}


def test_without_a_sample_it_says_what_to_give(tmp_path, app, capsys):
    import shutil

    bare = tmp_path / "bare"
    shutil.copytree(app, bare, ignore=shutil.ignore_patterns("model.yaml", "samples.json"))

    assert main(["pipeline", "show", str(bare), "--runs", "1"]) == 1
    assert "there is no sample to ask with\nhelp: give --data" in capsys.readouterr().err
