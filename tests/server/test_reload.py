"""``--reload`` on a running server: what changed takes over, what is broken does not."""

import time

import pytest
from tests.server.applications import reading
from tests.system import models
from tests.system.serving import serving, until


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return models.acts(tmp_path_factory.mktemp("reload") / "models")


@pytest.fixture(scope="module")
def server(folder):
    with serving(folder.parent / "server", folder, "--reload", traces=True) as running:
        yield running


def answer(server, model="acts"):
    return server.ask(f"/models/{model}/predict", [1, 2, 3, 4])


def test_changed_code_takes_over(server, folder):
    code = folder / "acts" / "1" / "acting.py"
    assert answer(server).result == [3, 5, 7, 9]
    before = server.workers("acts")

    code.write_text(code.read_text().replace("x * 2 +", "x * 10 +"))
    until(lambda: answer(server).result == [11, 21, 31, 41], 10)

    until(lambda: len(server.processes()) == 2, 10)  # the old worker has gone
    assert server.workers("acts") != before


def test_broken_code_does_not(server, folder):
    code = folder / "acts" / "1" / "acting.py"
    good = code.read_text()

    code.write_text("this is not Python")
    until(lambda: "the old version serves on" in server.log, 10)

    assert answer(server).status == 200
    code.write_text(good)
    logged = server.log.count("loading anew")
    until(lambda: server.log.count("loading anew") > logged, 10)
    assert answer(server).status == 200


def test_a_broken_model_yaml_is_logged_once_and_the_old_one_serves_on(server, folder):
    file = folder / "acts" / "model.yaml"
    good = file.read_text()

    file.write_text(good + "instancs: 3\n")
    until(lambda: "cannot reload" in server.log, 10)
    time.sleep(1.2)

    assert server.log.count("cannot reload") == 1
    assert "instancs" in server.log
    assert answer(server).status == 200
    file.write_text(good)


def test_a_new_version_takes_over_and_the_old_one_goes(server, folder):
    models.affine(folder / "acts" / "2.tmp.onnx", plus=5.0)
    (folder / "acts" / "model.yaml").write_text("runtime: onnx\n")
    (folder / "acts" / "2").mkdir()
    (folder / "acts" / "2.tmp.onnx").rename(folder / "acts" / "2" / "acts.onnx")

    until(lambda: answer(server).json.get("result") == [7, 9, 11, 13], 15)

    assert server.describe("acts")["version"] == "2"
    until(lambda: server.ask("/models/acts/versions/1/predict", [1, 2, 3, 4]).status == 404, 10)


def test_a_pipeline_is_loaded_anew_with_its_code(tmp_path):
    folder = reading(tmp_path) / "reading"
    asked = {"x": [1, 1, 1, 1], "loud": True}
    with serving(tmp_path / "server", folder, "--reload", traces=True) as server:
        assert server.ask(data=asked).result["text"] == "1 ROWS, PLAIN!"
        code = (folder / "steps.py").read_text()
        (folder / "steps.py").write_text(code.replace('+ "!"', '+ "?"'))
        until(lambda: server.ask(data=asked).result["text"] == "1 ROWS, PLAIN?", 15)

        (folder / "steps.py").write_text("this is not Python")
        until(lambda: "the old version serves on" in server.log, 15)
        assert server.ask(data=asked).result["text"] == "1 ROWS, PLAIN?"
        assert '"loading anew","model":"double"' not in server.log

        # a model and a pipeline that asks it, both new
        (folder / "more" / "1").mkdir(parents=True)
        models.affine(folder / "more" / "1" / "more.onnx", plus=5.0)
        (folder / "steps.py").write_text(code)
        text = (folder / "pipeline.yaml").read_text()
        (folder / "pipeline.yaml").write_text(text.replace("model: double", "model: more"))
        until(lambda: server.ask("/models/reading/predict", asked).result["sum"] == 4 * 7, 15)
