from pathlib import PurePosixPath

import pytest
from tests.cli.conftest import write_model

from inferd.core.errors import ConfigError, ModelFileError
from inferd.deploy import files
from inferd.deploy.files import of_model
from inferd.repository.store import scan
from inferd.runtimes.detect import Detector

CODE = """
from typing import Annotated
import numpy as np
from inferd import Model

class Sum(Model):
    def predict(self, x: Annotated[np.ndarray, "float32", (-1, 2)]):
        return x
"""


def packed(path, name=None):
    specs = {spec.name: spec for spec in scan([path], Detector())}
    spec = specs[name] if name else next(iter(specs.values()))
    found, asked = of_model(spec)
    return sorted(str(copy.target) for copy in found), asked


def test_of_a_repository_go_the_latest_version_and_its_modelfile(shop):
    assert packed(shop) == (["sums/2/sums.onnx", "sums/model.yaml"], "")


@pytest.mark.parametrize("inner", ["sums", "sums/1"], ids=["model", "version"])
def test_a_model_is_packed_below_its_name(shop, inner):
    names, asked = packed(shop / inner)

    assert "sums/model.yaml" in names
    assert asked == ""


def test_files_beside_the_versions_go_with_them(shop):
    (shop / "sums" / "labels.txt").write_text("a")

    assert "sums/labels.txt" in packed(shop)[0]


def test_a_flat_model_keeps_its_form(tmp_path):
    folder = tmp_path / "flat"
    (folder / "data").mkdir(parents=True)
    write_model(folder / "m.onnx")
    (folder / "model.yaml").write_text("task: add\n")
    (folder / "data" / "labels.txt").write_text("a")

    assert packed(folder) == (["flat/data/labels.txt", "flat/m.onnx", "flat/model.yaml"], "")


def test_a_flat_model_without_a_modelfile_is_given_a_version(tmp_path):
    (tmp_path / "bare").mkdir()
    write_model(tmp_path / "bare" / "m.onnx")

    assert packed(tmp_path / "bare") == (["bare/1/m.onnx"], "")


def test_a_pipeline_goes_without_the_models_beside_it(app):
    (app / "parts").mkdir()
    (app / "parts" / "words.txt").write_text("a")

    assert packed(app, "app")[0] == ["app/parts/words.txt", "app/pipeline.yaml", "app/steps.py"]
    assert packed(app, "sums")[0] == ["sums/1/sums.onnx"]
    assert packed(app / "pipeline.yaml", "sums")[0] == ["sums/1/sums.onnx"]


def test_of_a_lone_file_goes_what_belongs_to_it(tmp_path):
    write_model(tmp_path / "m.onnx")
    for name in ("m.onnx_data", "m.labels.txt", "private.txt", "labels.json", ".env", "memo.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "model.yaml").write_text(
        "postprocess:\n  - classify: {labels: labels.json}\nartifact: m.onnx\n"
    )

    names, asked = packed(tmp_path / "m.onnx")

    assert names == [
        "m/labels.json", "m/m.labels.txt", "m/m.onnx", "m/m.onnx_data", "m/model.yaml",
    ]  # fmt: skip
    assert asked == "m/m.onnx"


def test_a_file_of_a_version_keeps_version_and_modelfile(shop):
    assert packed(shop / "sums" / "1" / "sums.onnx") == (
        ["sums/1/sums.onnx", "sums/model.yaml"],
        "sums/1/sums.onnx",
    )


def test_of_code_goes_the_code_beside_it_and_what_it_needs(tmp_path):
    (tmp_path / "sum.py").write_text(CODE)
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "requirements.txt").write_text("numpy\n")
    (tmp_path / "notes.md").write_text("x")

    names, asked = packed(f"{tmp_path}/sum.py:Sum")

    assert names == ["Sum/helper.py", "Sum/requirements.txt", "Sum/sum.py"]
    assert asked == "Sum/sum.py:Sum"


def test_a_class_of_an_installed_package_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError, match="json is no file"):
        packed("json:Sum")


def test_a_link_that_leads_out_is_refused(shop, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "key.pem").write_text("secret")
    (shop / "sums" / "2" / "extra").mkdir()
    (shop / "sums" / "2" / "extra" / "key.pem").symlink_to(tmp_path / "outside" / "key.pem")

    with pytest.raises(ModelFileError, match="leads out"):
        packed(shop)


def test_a_link_beside_a_lone_file_stays_behind(tmp_path):
    home, outside = tmp_path / "home", tmp_path / "outside"
    home.mkdir()
    outside.mkdir()
    (outside / "m.key").write_text("secret")
    write_model(home / "m.onnx")
    (home / "m.key").symlink_to(outside / "m.key")

    assert packed(home / "m.onnx")[0] == ["m/m.onnx"]


def test_a_directory_of_everything_is_refused(shop, monkeypatch):
    monkeypatch.setattr(files, "MOST_FILES", 3)
    for number in range(4):
        (shop / "sums" / "2" / f"{number}.txt").write_text("x")

    with pytest.raises(ConfigError, match="over 3 files"):
        packed(shop)


def test_targets_stay_below_the_models(shop, app):
    for path in (shop, app):
        for spec in scan([path], Detector()):
            for copy in of_model(spec)[0]:
                assert not copy.target.is_absolute()
                assert ".." not in copy.target.parts
                assert isinstance(copy.target, PurePosixPath)


def test_a_page_goes_with_its_model_wherever_it_lies(tmp_path):
    def paged(folder):
        (folder / "page").mkdir()
        (folder / "page" / "index.html").write_text("x")
        (folder / "page" / ".hidden").write_text("x")

    bare = tmp_path / "bare"
    (bare / "1").mkdir(parents=True)
    write_model(bare / "1" / "m.onnx")
    paged(bare)
    assert packed(bare)[0] == ["bare/1/m.onnx", "bare/page/index.html"]

    (bare / "model.yaml").write_text("task: add\n")
    assert packed(bare)[0] == ["bare/1/m.onnx", "bare/model.yaml", "bare/page/index.html"]

    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "model.yaml").write_text("task: add\n")
    write_model(flat / "m.onnx")
    paged(flat)
    assert packed(flat)[0] == ["flat/m.onnx", "flat/model.yaml", "flat/page/index.html"]
    assert packed(flat / "m.onnx")[0] == ["m/m.onnx", "m/model.yaml", "m/page/index.html"]

    app = tmp_path / "app"
    (app / "sums" / "1").mkdir(parents=True)
    write_model(app / "sums" / "1" / "sums.onnx")
    (app / "pipeline.yaml").write_text(
        "inputs: [x]\nsteps: {a: {model: sums, inputs: {x: x}}}\noutputs: {y: a.y}\n"
    )
    paged(app)
    assert packed(app, "app")[0] == ["app/page/index.html", "app/pipeline.yaml"]
    assert packed(app, "sums")[0] == ["sums/1/sums.onnx"]
