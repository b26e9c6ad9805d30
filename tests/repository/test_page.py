from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from inferd.core.errors import ModelFileError
from inferd.repository import page
from inferd.repository.page import MEDIA, folder_of, read_page
from inferd.repository.store import scan
from inferd.repository.watcher import fingerprint
from inferd.runtimes.detect import Detector


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "m" / "page"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("<h1>m</h1>")
    return folder


def left_out(folder: Path) -> dict[str, str]:
    return dict(read_page(folder).left_out)


def test_files_are_read_with_their_types(folder: Path) -> None:
    for ending in MEDIA:
        (folder / f"a{ending}").write_bytes(ending.encode())

    found = read_page(folder)

    assert found.left_out == []
    assert found.files["index.html"].body == b"<h1>m</h1>"
    assert found.files["index.html"].media == b"text/html; charset=utf-8"
    assert {name: file.media.decode() for name, file in found.files.items() if name[0] == "a"} == {
        f"a{ending}": media for ending, media in MEDIA.items()
    }


def test_a_tag_changes_with_the_bytes(folder: Path) -> None:
    before = read_page(folder).files["index.html"].tag
    assert read_page(folder).files["index.html"].tag == before

    (folder / "index.html").write_text("<h1>n</h1>")

    assert read_page(folder).files["index.html"].tag != before


@pytest.mark.parametrize(
    "name", ["program.exe", "page.py", "a.HTML", "none", "a b.css", "-a.css", "ü.css", "model.onnx"]
)
def test_what_does_not_belong_is_left_out_and_said(folder: Path, name: str) -> None:
    (folder / name).write_text("x")

    assert list(read_page(folder).files) == ["index.html"]
    assert list(left_out(folder)) == [name]


def test_hidden_files_are_passed_over(folder: Path) -> None:
    (folder / ".secret.html").write_text("x")

    assert list(read_page(folder).files) == ["index.html"]
    assert left_out(folder) == {}


def test_a_directory_is_left_out(folder: Path) -> None:
    (folder / "inner.js").mkdir()

    assert "flat" in left_out(folder)["inner.js"]


def test_what_cannot_be_looked_at_is_left_out(folder: Path) -> None:
    (folder / "a.txt").symlink_to("x" * 300)

    found = read_page(folder)

    assert list(found.files) == ["index.html"]
    assert "cannot be read" in dict(found.left_out)["a.txt"]


def test_a_link_out_of_the_page_is_left_out(folder: Path) -> None:
    (folder.parent / "secret.txt").write_text("secret")
    (folder / "a.txt").symlink_to(folder.parent / "secret.txt")
    (folder / "b.txt").symlink_to(folder / "nothing.txt")
    (folder / "c.html").symlink_to(folder / "index.html")

    found = read_page(folder)

    assert sorted(found.files) == ["c.html", "index.html"]
    assert sorted(left_out(folder)) == ["a.txt", "b.txt"]
    assert b"secret" not in b"".join(file.body for file in found.files.values())


def test_what_is_no_regular_file_is_left_out(folder: Path) -> None:
    os.mkfifo(folder / "pipe.txt")

    assert "regular" in left_out(folder)["pipe.txt"]


def test_files_are_bounded_in_size_number_and_sum(folder: Path, monkeypatch) -> None:
    for number in range(5):
        (folder / f"f{number}.txt").write_bytes(b"x" * 30)
    (folder / "g.txt").write_bytes(b"x" * 60)
    monkeypatch.setattr(page, "MOST_BYTES", 50)
    assert list(left_out(folder)) == ["g.txt"]

    monkeypatch.setattr(page, "MOST_BYTES", 100)
    assert left_out(folder) == {}
    monkeypatch.setattr(page, "MOST_IN_ALL", 100)
    found = read_page(folder)
    assert sum(len(file.body) for file in found.files.values()) == 100
    assert list(found.files) == ["index.html", "f0.txt", "f1.txt", "f2.txt"]

    monkeypatch.setattr(page, "MOST_FILES", 2)
    assert list(read_page(folder).files) == ["index.html", "f0.txt"]


def test_without_an_index_there_is_no_page(folder: Path) -> None:
    (folder / "index.html").rename(folder / "start.html")

    found = read_page(folder)

    assert found.files == {}
    assert "index.html" in dict(found.left_out)["page"]


def test_a_page_that_is_gone_is_none(tmp_path: Path) -> None:
    assert read_page(tmp_path / "page").files == {}


# ------------------------------------------------------------------------------ where it lies


def spec_of(path: Path):
    (spec,) = scan([path], Detector())
    return spec


def model(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("class: m:M\n" if name.endswith("model.yaml") else "x")
    return folder


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["model.yaml", "m.py", "page/index.html"], "page"),
        (["m.py", "page/index.html"], "page"),
        (["model.yaml", "1/m.py", "page/index.html"], "page"),
        (["1/m.py", "page/index.html"], "page"),
        (["model.yaml", "1/m.py", "1/page/index.html", "page/index.html"], "1/page"),
        (["pipeline.yaml", "page/index.html"], "page"),
        (["1/pipeline.yaml", "page/index.html"], "page"),
        (["model.yaml", "m.py"], None),
        (["model.yaml", "m.py", "pages/index.html"], None),
    ],
)
def test_a_page_lies_beside_the_model(
    tmp_path: Path, files: list[str], expected: str | None
) -> None:
    folder = model(tmp_path / "app", *files)

    assert spec_of(folder).page == (folder / expected if expected else None)


def test_a_file_named_by_itself_has_one_only_beside_its_model_yaml(tmp_path: Path) -> None:
    folder = model(tmp_path / "home", "m.py", "page/index.html")
    assert spec_of(f"{folder}/m.py:M").page is None

    (folder / "model.yaml").write_text("task: classify\n")
    assert spec_of(f"{folder}/m.py:M").page == folder / "page"


def test_a_page_that_leads_out_of_the_path_is_refused(tmp_path: Path) -> None:
    folder = model(tmp_path / "app", "model.yaml", "1/m.py")
    (tmp_path / "elsewhere").mkdir()
    (folder / "page").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ModelFileError, match="leads out"):
        folder_of(folder / "1", folder, folder)
    with pytest.raises(ModelFileError, match="leads out"):
        spec_of(folder)


def test_a_page_is_watched(tmp_path: Path) -> None:
    spec = spec_of(model(tmp_path / "app", "model.yaml", "1/m.py", "page/index.html"))
    before = fingerprint(spec)

    (spec.page / "new.css").write_text("x")

    assert fingerprint(spec) != before
    assert fingerprint(replace(spec, page=None)) != fingerprint(spec)


def test_a_page_beside_a_pipeline_is_no_model(tmp_path: Path) -> None:
    folder = model(
        tmp_path / "app", "pipeline.yaml", "page/index.html", "page/icon.svg", "page/a.js"
    )

    assert [spec.name for spec in scan([folder], Detector())] == ["app"]
