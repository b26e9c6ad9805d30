import json

import pytest
from tests.server.applications import reading

from inferd.cli.check import render
from inferd.cli.main import main


def test_a_good_model_is_shown_with_signature_costs_and_memory(model, capsys):
    assert main(["check", str(model)]) == 0

    text = capsys.readouterr().out

    assert "sums  version 1  (onnxruntime" in text
    assert "x float32[?, 4] -> y float32[?, 2]" in text
    assert "batch of   1 " in text
    assert "memory" in text
    assert "ok: would serve" in text


def test_the_report_is_json_where_asked(model, capsys):
    assert main(["check", str(model), "--json"]) == 0

    report = json.loads(capsys.readouterr().out)

    assert report["ok"] is True
    assert report["models"][0]["signature"]["inputs"][0]["name"] == "x"


@pytest.mark.parametrize(
    "content",
    [None, b"", b"no model at all", b"\x80\x04]q\x00."],
    ids=["missing", "empty", "text", "pickle"],
)
def test_a_bad_file_is_exit_code_1_and_is_named(tmp_path, capsys, content):
    path = tmp_path / "bad.onnx"
    if content is not None:
        path.write_bytes(content)

    assert main(["check", str(path)]) == 1

    captured = capsys.readouterr()

    assert "bad.onnx" in captured.out
    assert "not ok" in captured.out
    assert "Traceback" not in captured.out + captured.err


def test_problems_and_remarks_are_shown_with_their_help():
    problem = {"level": "error", "message": "is empty", "help": "copy it again"}
    remark = {"level": "remark", "message": "slow", "help": None}
    good = {"model": "a", "version": "1", "problems": [remark]}
    bad = {"model": "b", "version": "1", "problems": [problem]}
    text = "\n".join(render({"ok": False, "models": [good, bad]}))

    assert "  remark: slow" in text
    assert "  error: is empty\n    help: copy it again" in text
    assert text.endswith("not ok: would not serve")
    assert "\n".join(render({"ok": True, "models": [good]})).endswith("with 1 remark")


def test_a_pipeline_is_shown_with_its_steps(tmp_path, capsys):
    assert main(["check", str(reading(tmp_path) / "reading")]) == 0

    text = capsys.readouterr().out

    assert "reading  version 1  (pipeline)" in text
    assert "steps      cut, double, join, likely, shout" in text


def test_what_a_pipeline_has_for_nothing_is_remarked(tmp_path, capsys):
    app = reading(tmp_path) / "reading"
    (app / "pipeline.yaml").write_text(
        "inputs: {x: {dtype: float32, shape: [4]}, n: {dtype: int8, shape: []}}\nsteps:\n"
        "  double: {model: double, inputs: {x: x}}\n  again: {model: double, inputs: {x: double.y}}\n"
        "outputs: {y: double.y}\n"
    )
    assert main(["check", str(app)]) == 0

    text = capsys.readouterr().out

    assert f"remark: {app}/pipeline.yaml:1: inputs.n: no step takes it" in text
    assert f"remark: {app}/pipeline.yaml:4: steps.again: no output follows from it" in text
