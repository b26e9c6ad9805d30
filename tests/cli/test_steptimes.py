"""The time of each step, as a running server tells it."""

import json

import pytest
from tests.cli.conftest import serving
from tests.cli.test_pipeline import PIPELINE, STEPS

from inferd.cli.main import main
from inferd.cli.steptimes import WHOLE, rows, table


@pytest.fixture(scope="module")
def served(tmp_path_factory, model):
    """A server of a pipeline and its model."""
    folder = tmp_path_factory.mktemp("served")
    app = folder / "adder"
    (app / "sums" / "1").mkdir(parents=True)
    (app / "sums" / "1" / "sums.onnx").write_bytes(model.read_bytes())
    (app / "pipeline.yaml").write_text(PIPELINE.replace("sums.first < 0", "pick.output < 0"))
    (app / "steps.py").write_text(STEPS)
    picky = folder / "picky"
    picky.mkdir()
    (picky / "steps.py").write_text(
        STEPS.replace("return x * 2", "raise ValueError('not this one')")
    )
    (picky / "pipeline.yaml").write_text(
        'inputs: [x]\nsteps: {a: {python: "steps:twice", inputs: {x: x}}}\noutputs: {y: a.output}\n'
    )
    with serving(folder, app, picky) as server:
        yield server.url


def test_durations_are_put_together_by_step():
    told = [{"queue": 9.0, "step-a": ms / 1e3, WHOLE: 0.1} for ms in range(1, 21)]
    told[0]["step-b"] = 0.5
    found = {row.name: row.to_json() for row in rows(told)}
    assert found["a"] == {"name": "a", "ran": 20, "median_ms": 10.5, "p95_ms": 19.0}
    assert found["b"] == {"name": "b", "ran": 1, "median_ms": 500.0, "p95_ms": 500.0}
    assert list(found) == ["a", "b", WHOLE]
    assert table(rows(told)).splitlines()[1].split() == ["a", "20", "10.500", "ms", "19.000", "ms"]


@pytest.mark.parametrize("data", [[], ["--data", "1,2,3,4"]], ids=["made up", "given"])
def test_a_running_server_is_asked(served, capsys, data):
    arguments = ["pipeline", "show", "adder", "--url", served + "/", "--runs", "3", *data]
    assert main([*arguments, "--format", "json"]) == 0

    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)["times"]}

    assert [*found] == ["twice", "sums", "pick", WHOLE]  # the one that is skipped is not told of
    assert {row["ran"] for row in found.values()} == {3}
    assert 0 < found["twice"]["median_ms"] < found[WHOLE]["median_ms"]

    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["step", "runs", "median", "p95"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["addre", "--runs", "2"], 1, "no model named 'addre'"),
        (["sums", "--runs", "2"], 1, "'sums' told of no steps"),
        (["adder", "--runs", "2", "--data", "1,2"], 1, "400: "),
        (["picky", "--runs", "2"], 1, "help: it was asked with a made-up example"),
        (["adder"], 2, "say how many requests with --runs"),
        (["adder", "--runs", "1", "--model", "b"], 2, "--model is for a path"),
    ],
    ids=["nobody", "a model", "refused", "made up", "runs", "model"],
)
def test_what_cannot_be_shown_says_why(served, capsys, arguments, code, said):
    assert main(["pipeline", "show", *arguments, "--url", served]) == code, capsys.readouterr()
    assert said in capsys.readouterr().err
