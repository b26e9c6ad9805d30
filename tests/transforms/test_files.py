"""Files beside the model, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inferd.transforms import files
from inferd.transforms.files import locate, read, read_labels
from inferd.transforms.parameter import StepError


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    inside = tmp_path / "model"
    inside.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (inside / "labels.txt").write_text("a\nb\n")
    (inside / "folder").mkdir()
    return inside


def test_a_file_and_a_link_inside(directory: Path) -> None:
    (directory / "link.txt").symlink_to("labels.txt")
    (directory / "folder" / "more.txt").write_text("c")

    assert locate(directory, "labels.txt", "file").name == "labels.txt"
    assert locate(directory, "folder/more.txt", "file").name == "more.txt"
    assert read(directory, "link.txt", "file", 100) == b"a\nb\n"


@pytest.mark.parametrize(
    "name",
    ["../secret.txt", "/etc/passwd", "folder/../../secret.txt", "C:\\x", "out.txt", "up/secret.txt",
     "folder", "missing.txt", "a\0b", "x" * 5000],
    ids=["up", "absolute", "inner-up", "drive", "link", "linked-folder", "folder", "missing", "nul",
         "long"],
)  # fmt: skip
def test_what_is_refused(directory: Path, name: str) -> None:
    (directory / "out.txt").symlink_to("../secret.txt")
    (directory / "up").symlink_to("..")

    with pytest.raises(StepError, match="^file: "):
        read(directory, name, "file", 100)


def test_a_missing_file_names_the_nearest(directory: Path) -> None:
    with pytest.raises(StepError) as caught:
        locate(directory, "label.txt", "file")

    assert caught.value.help == "did you mean 'labels.txt'?"


def test_too_large_a_file(directory: Path) -> None:
    with pytest.raises(StepError, match="over the 3 bytes"):
        read(directory, "labels.txt", "file", 3)


@pytest.mark.parametrize(
    ("name", "content", "labels"),
    [
        pytest.param("l.txt", "a\r\n b \nc\n\n", ["a", "b", "c"], id="lines"),
        pytest.param("l.txt", "\ufeffa\n\nc", ["a", "", "c"], id="bom-and-empty-line"),
        pytest.param("l.json", '["a", "b"]', ["a", "b"], id="list"),
        pytest.param("l.json", '{"1": "b", "0": "a"}', ["a", "b"], id="by-number"),
        pytest.param("l.json", '{"id2label": {"0": "a"}, "x": 1}', ["a"], id="configuration"),
    ],
)
def test_forms_of_labels(tmp_path: Path, name: str, content: str, labels: list[str]) -> None:
    (tmp_path / name).write_text(content, "utf-8", newline="")

    assert read_labels(tmp_path, name, "file") == labels


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param("l.txt", b"\xff\xfe", "not UTF-8", id="encoding"),
        pytest.param("l.txt", b"\n\n", "is empty", id="empty"),
        pytest.param("l.json", b"{", "not JSON", id="json"),
        pytest.param("l.json", b"[" * 100000, "not JSON", id="deep"),
        pytest.param("l.json", b'{"cat": 0}', "class numbers", id="other-way-round"),
        pytest.param("l.json", b'"a"', "list of labels", id="text"),
        pytest.param("l.json", json.dumps([["a"]]).encode(), "must hold texts", id="nested"),
    ],
)
def test_what_is_no_list_of_labels(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(StepError, match=said):
        read_labels(tmp_path, name, "file")


def test_labels_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_LABELS_BYTES", 2)
    (tmp_path / "l.txt").write_text("abc")

    with pytest.raises(StepError, match="over the 2 bytes"):
        read_labels(tmp_path, "l.txt", "file")
