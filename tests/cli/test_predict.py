import io
import json
import sys

import numpy as np
import pytest
from tests.cli.conftest import serving
from tests.server.applications import reading

from inferd.cli.main import main


@pytest.fixture(params=["file", "server"])
def target(request, model):
    """The same model as a file and behind a server."""
    if request.param == "file":
        return [str(model), "--executor", "inline"]
    return [request.getfixturevalue("server").url]


@pytest.fixture
def predict(target, capfd):
    def run(*arguments):
        code = main(["predict", target[0], *arguments, *target[1:]])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.mark.parametrize(
    ("data", "result"),
    [
        ("1,2,3,4", [10.0, 100.0]),
        ("[1, 2, 3, 4]", [10.0, 100.0]),
        ("[[1, 2, 3, 4]]", [[10.0, 100.0]]),
        ('{"x": [1, 2, 3, 4]}', [10.0, 100.0]),
        ('{"data": [1, 2, 3, 4]}', [10.0, 100.0]),
    ],
)
def test_an_argument_is_answered(predict, data, result):
    code, out, _ = predict(data)

    assert code == 0
    assert json.loads(out) == {"result": result}


def test_a_file_is_answered(predict, tmp_path):
    np.save(tmp_path / "a.npy", np.ones((2, 4), np.float32))
    (tmp_path / "a.csv").write_text("1,2,3,4\n0,0,0,1\n")

    assert json.loads(predict("--file", str(tmp_path / "a.npy"))[1]) == {
        "result": [[4.0, 40.0]] * 2
    }
    assert json.loads(predict(str(tmp_path / "a.csv"))[1]) == {
        "result": [[10.0, 100.0], [1.0, 10.0]]
    }


def test_standard_input_is_answered(predict, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"[1, 2, 3, 4]")))

    assert json.loads(predict("-")[1]) == {"result": [10.0, 100.0]}


def test_data_that_does_not_fit_is_one_message_and_exit_code_1(predict):
    code, out, err = predict("1,2")

    assert code == 1
    assert out == ""
    assert err.startswith("error: ")
    assert "[4]" in err


def test_the_model_and_version_can_be_named(target, capfd):
    arguments = ["predict", target[0], "1,2,3,4", "--model", "sums", "--version", "1", *target[1:]]

    assert main(arguments) == 0
    assert json.loads(capfd.readouterr().out) == {"result": [10.0, 100.0]}

    assert main([*arguments[:3], "--model", "sumz", *target[1:]]) == 1
    assert "sums" in capfd.readouterr().err


def test_a_worker_of_its_own_is_the_default(model, capfd):
    assert main(["predict", str(model), "1,2,3,4"]) == 0
    assert json.loads(capfd.readouterr().out) == {"result": [10.0, 100.0]}


def test_a_pickled_model_is_asked_where_it_is_trusted(tmp_path, capfd):
    torch = pytest.importorskip("torch")
    path = tmp_path / "net"
    path.mkdir()
    torch.save(torch.nn.Linear(4, 2), path / "net.pth")
    (path / "model.yaml").write_text(
        "signature:\n  inputs: [{name: x, dtype: float32, shape: [-1, 4]}]\n"
        "  outputs: [{name: y, dtype: float32, shape: [-1, 2]}]\n"
    )

    assert main(["predict", str(path), "1,2,3,4"]) == 1
    assert "--trust-pickle net" in capfd.readouterr().err
    assert main(["predict", str(path), "1,2,3,4", "--trust-pickle", "net"]) == 0
    assert len(json.loads(capfd.readouterr().out)["result"]) == 2


def test_lines_of_numbers_are_a_batch(predict, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"1,2,3,4\n1e0,0,0,0\n")))

    assert json.loads(predict("-")[1]) == {"result": [[10.0, 100.0], [1.0, 10.0]]}


@pytest.mark.parametrize(
    "arguments", [("flowers.csv",), ("--file", "flowers.gif"), ("1", "--file", "x")],
    ids=["name", "file", "both"],
)  # fmt: skip
def test_a_wrong_call_exits_with_2(predict, arguments):
    code, out, err = predict(*arguments)

    assert (code, out) == (2, "")
    assert arguments[-1] in err or "both" in err
    assert "Traceback" not in err


def test_without_data_the_call_is_explained(predict):
    code, _, err = predict()

    assert code == 2
    assert "--file" in err


STORY = """
from collections.abc import Iterator

from inferd import Model


class Story(Model):
    def predict(self, prompt: str, count: int = 3) -> Iterator[str]:
        for number in range(count):
            if number == 5:
                raise ValueError("five is too many")
            yield f"{prompt}{number} "
"""


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    folder = tmp_path_factory.mktemp("story")
    (folder / "story").mkdir()
    (folder / "story" / "model.py").write_text(STORY)
    return folder / "story"


@pytest.fixture(scope="module")
def telling(story):
    with serving(story.parent, story, "--executor", "inline") as server:
        yield server


@pytest.fixture(params=["file", "server"])
def told(request, story, capfd):
    target = [str(story), "--executor", "inline"]
    if request.param == "server":
        target = [request.getfixturevalue("telling").url]

    def run(*arguments):
        code = main(["predict", target[0], *arguments, "--stream", *target[1:]])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_stream_is_printed_piece_by_piece(told):
    assert told("once") == (0, "once0 once1 once2 \n", "")
    assert told('{"data": "a", "parameters": {"count": 1}}')[1] == "a0 \n"


def test_a_stream_that_fails_has_printed_its_pieces(told):
    code, out, err = told('{"data": "a", "parameters": {"count": 9}}')

    assert code == 1
    assert out == "a0 a1 a2 a3 a4 "
    assert "five is too many" in err


def test_what_does_not_stream_is_one_line_of_json(predict):
    assert predict("1,2,3,4", "--stream")[:2] == (0, "[10.0,100.0]\n")


def test_a_pipeline_is_asked_with_its_models(tmp_path, capsys):
    asked = '{"x": [1, 1, 1, 1], "loud": true}'
    assert main(["predict", str(reading(tmp_path) / "reading"), asked]) == 0
    assert json.loads(capsys.readouterr().out)["result"]["text"] == "1 ROWS, PLAIN!"
    assert main(["predict", str(tmp_path / "reading"), '{"x": [-2, 0, 0, 0], "loud": true}']) == 1
    assert "step 'cut': ValueError: a bad item" in capsys.readouterr().err
