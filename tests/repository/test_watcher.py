from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest

from inferd.repository.spec import ModelSpec
from inferd.repository.watcher import fingerprint


@pytest.fixture
def spec(tree):
    root = tree(
        {
            "m/1/a.onnx": "x",
            "m/1/labels.txt": "a",
            "m/1/sub/w.bin": "",
            "m/model.yaml": "",
            "m/1/.hidden": "",
        }
    )
    folder = root / "m/1"
    return ModelSpec(
        "m",
        "1",
        "onnx",
        folder,
        folder / "a.onnx",
        modelfile=root / "m/model.yaml",
        origin=str(root),
    )


@pytest.mark.parametrize("path", ["a.onnx", "labels.txt", "sub/w.bin", "../model.yaml"])
def test_a_change_of_any_of_its_files_is_seen(spec, path):
    before = fingerprint(spec)
    assert fingerprint(spec) == before
    file = spec.directory / path
    file.write_text("changed")
    os.utime(file, ns=(1, 1))
    assert fingerprint(spec) != before


def test_files_come_and_go(spec):
    before = fingerprint(spec)
    (spec.directory / "new.py").write_text("")
    added = fingerprint(spec)
    assert added != before
    (spec.directory / "new.py").unlink()
    assert fingerprint(spec) == before
    (spec.directory / ".hidden").write_text("x")
    (spec.directory / "__pycache__").mkdir()
    assert fingerprint(spec) == before
    (spec.directory / "a.onnx").unlink()
    assert fingerprint(spec) != before


def test_beside_a_lone_file_nothing_else_counts(tree):
    root = tree({"iris.onnx": "x", "other.txt": "x"})
    spec = ModelSpec("iris", "1", "onnx", root, root / "iris.onnx", origin=str(root / "iris.onnx"))
    before = fingerprint(spec)
    (root / "other.txt").write_text("changed")
    assert fingerprint(spec) == before
    (root / "iris.onnx").write_text("changed")
    assert fingerprint(spec) != before


def test_code_named_by_class(tree):
    root = tree({"app.py": "x", "helper.py": "x", "data.csv": "x", "pkg/inner.py": "x"})
    spec = ModelSpec("M", "1", "python", root, options={"class": "app:M"}, origin="app:M")
    for path, seen in (("app.py", True), ("helper.py", True), ("data.csv", False)):
        before = fingerprint(spec)
        (root / path).write_text("changed")
        assert (fingerprint(spec) != before) is seen, path
    inner = replace(spec, options={"class": "pkg.inner:M"})
    before = fingerprint(inner)
    (root / "pkg/inner.py").write_text("changed")
    assert fingerprint(inner) != before


@pytest.mark.parametrize("path", ["helper.py", "deep/er.py", "__init__.py", "words.txt"], ids=str)
def test_all_of_the_package_a_class_lives_in(tree, path):
    root = tree({"pkg/__init__.py": "", "pkg/mod.py": "x", "pkg/helper.py": "x", "pkg/deep/er.py": "x",
                 "pkg/words.txt": "x", "other/a.py": "x"})  # fmt: skip
    spec = ModelSpec("R", "1", "python", root, options={"class": "pkg.mod:R"}, origin="pkg.mod:R")
    before = fingerprint(spec)
    (root / "other/a.py").write_text("changed")
    assert fingerprint(spec) == before
    (root / "pkg" / path).write_text("changed")
    assert fingerprint(spec) != before


def test_what_lies_beside_a_lone_file_counts_once_there_is_a_model_yaml(tree):
    root = tree({"s.py": "x", "model.yaml": "", "labels.txt": "x", "pkg/a.py": "x"})
    spec = ModelSpec("S", "1", "python", root, options={"class": "s:S"}, origin="s:S",
                     modelfile=root / "model.yaml")  # fmt: skip
    for path in ("labels.txt", "model.yaml", "s.py"):
        before = fingerprint(spec)
        (root / path).write_text("changed")
        assert fingerprint(spec) != before, path


def test_what_is_gone_is_no_error(spec):
    assert (
        fingerprint(replace(spec, directory=spec.directory / "gone", artifact=None, modelfile=None))
        == ()
    )


@pytest.mark.parametrize(
    ("path", "seen"),
    [("pipeline.yaml", True), ("steps.py", True), ("lib/deep/x.py", True), ("labels.txt", True),
     ("model.yaml", True), ("asr/1/asr.onnx", False), ("asr/model.yaml", False)],
    ids=["file", "steps", "package", "labels", "model.yaml", "model", "model's"],
)  # fmt: skip
def test_a_pipeline_is_its_file_and_its_code_and_none_of_its_models(tree, path, seen):
    root = tree({"pipeline.yaml": "x", "steps.py": "x", "lib/deep/x.py": "x", "labels.txt": "x",
                 "model.yaml": "", "asr/1/asr.onnx": "x", "asr/model.yaml": ""})  # fmt: skip
    spec = ModelSpec("app", "1", "pipeline", root, artifact=root / "pipeline.yaml",
                     modelfile=root / "model.yaml")  # fmt: skip
    before = fingerprint(spec)
    (root / path).write_text("changed")
    assert (fingerprint(spec) != before) is seen
    shutil.rmtree(root)
    assert fingerprint(spec) == ()
