from __future__ import annotations

import os
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


def test_what_is_gone_is_no_error(spec):
    assert (
        fingerprint(replace(spec, directory=spec.directory / "gone", artifact=None, modelfile=None))
        == ()
    )
