import json

from tests.server.applications import reading

from inferd.cli.main import main


def test_a_file_is_described(model, capsys):
    assert main(["describe", str(model)]) == 0

    text = capsys.readouterr().out

    assert "sums  version 1" in text
    assert "input   x  float32[?, 4]" in text
    assert "output  y  float32[?, 2]" in text


def test_a_server_is_described_alike(server, capsys):
    assert main(["describe", server.url]) == 0

    text = capsys.readouterr().out

    assert "sums  version 1" in text
    assert "input   x  float32[?, 4]" in text


def test_as_json(server, capsys):
    assert main(["describe", server.url, "--model", "sums", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)["models"][0]

    assert found["model"] == "sums"
    assert found["signature"]["outputs"][0] == {"name": "y", "dtype": "FP32", "shape": [-1, 2]}


def test_what_is_not_there_is_exit_code_1(server, model, tmp_path, capsys):
    assert main(["describe", server.url, "--model", "sumz"]) == 1
    assert main(["describe", str(model), "--model", "sumz"]) == 1
    assert main(["describe", str(tmp_path / "missing.onnx")]) == 1

    text = capsys.readouterr().err

    assert text.count("error: ") == 3
    assert "missing.onnx" in text


def test_a_pipeline_is_shown_with_its_steps(tmp_path, capsys):
    assert main(["describe", str(reading(tmp_path) / "reading")]) == 0

    text = capsys.readouterr().out

    assert "reading  version 1  (pipeline)" in text
    assert "steps  cut, double, join, likely, shout" in text
