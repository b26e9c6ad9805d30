"""Remembered cost curves: found again, never trusted blindly, never in the way."""

import os
import sys

import pytest
from tests.execution.workers import probe_spec

from inferd.control import curves as subject
from inferd.control.curves import CurveStore
from inferd.core.step import Step
from inferd.execution.executor import Curve

CURVE = Curve(((1, 0.5), (2, 0.75)), 1.1, 4, 2, 0.9, 2)


def test_a_curve_is_found_again(tmp_path):
    CurveStore(tmp_path / "curves").put("k", CURVE)

    assert CurveStore(tmp_path / "curves").get("k") == CURVE
    assert CurveStore(tmp_path / "curves").get("other") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"points": 3}', "\xff"], ids=repr)
def test_a_damaged_file_is_measured_anew(tmp_path, text):
    (tmp_path / "k.json").write_text(text)

    assert CurveStore(tmp_path).get("k") is None


def test_without_a_directory_nothing_is_remembered():
    store = CurveStore(None)
    store.put("k", CURVE)

    assert store.get("k") is None


def test_a_disk_that_takes_nothing_is_no_reason_to_fail(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    store = CurveStore(blocked / "curves")
    store.put("k", CURVE)

    assert store.get("k") is None


def test_what_was_written_is_whole(tmp_path):
    CurveStore(tmp_path).put("k", CURVE)

    assert [p.name for p in tmp_path.iterdir()] == ["k.json"], "no temporary file stays"


def test_the_key_follows_what_a_cost_depends_on(tmp_path, monkeypatch):
    store = CurveStore(tmp_path)
    artifact = tmp_path / "weights.bin"
    artifact.write_bytes(b"one")
    spec = probe_spec(tmp_path, artifact=artifact)
    key = store.key(spec)
    assert store.key(probe_spec(tmp_path, artifact=artifact)) == key
    others = {
        store.key(probe_spec(tmp_path, artifact=artifact, preprocess=(Step("cast", "float32"),))),
        store.key(probe_spec(tmp_path, artifact=artifact, runtime="onnx")),
    }
    artifact.write_bytes(b"two")
    others.add(store.key(spec))
    artifact.write_bytes(b"one")
    assert store.key(spec) == key
    monkeypatch.setattr(subject, "cpu_model", lambda: "another processor")
    others.add(store.key(spec))

    assert len(others | {key}) == 5


def test_a_large_artifact_is_known_by_its_metadata(tmp_path, monkeypatch):
    monkeypatch.setattr(subject, "HASHED_MAX", 2)
    store, artifact = CurveStore(tmp_path), tmp_path / "weights.bin"
    artifact.write_bytes(b"one")
    spec = probe_spec(tmp_path, artifact=artifact)
    key = store.key(spec)
    os.utime(artifact, ns=(1, 1))

    assert store.key(spec) != key


def test_a_large_directory_is_known_by_the_metadata_of_its_files(tmp_path, monkeypatch):
    monkeypatch.setattr(subject, "HASHED_MAX", 4)
    store, folder = CurveStore(tmp_path / "state"), tmp_path / "model"
    folder.mkdir()
    (folder / "settings.json").write_bytes(b"one")
    spec = probe_spec(tmp_path, artifact=folder)
    small = store.key(spec)
    os.utime(folder / "settings.json", ns=(1, 1))
    assert store.key(spec) == small

    (folder / "weights.bin").write_bytes(b"two")
    large = store.key(spec)
    os.utime(folder / "weights.bin", ns=(1, 1))
    assert len({small, large, store.key(spec)}) == 3


def test_an_artifact_that_is_gone_has_a_key_all_the_same(tmp_path):
    assert CurveStore(tmp_path).key(probe_spec(tmp_path, artifact=None))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_processor_has_a_name():
    assert subject.cpu_model()
