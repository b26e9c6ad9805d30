"""Preparing an application: results that are kept, and a folder that appears whole or not at all."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from examples.kit.prepare import application, kept, made_from, place


def test_a_result_is_made_once_for_what_it_is_made_from(tmp_path: Path) -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text(str(len(made)))

    first = kept("thing", "a" * 64, make, tmp_path)
    again = kept("thing", "a" * 64, make, tmp_path)
    other = kept("thing", "b" * 64, make, tmp_path)

    assert first == again != other
    assert len(made) == 2
    assert (first / "file").read_text() == "1"


def test_a_result_that_failed_is_not_kept(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        kept("thing", "a" * 64, fail, tmp_path)
    folder = kept("thing", "a" * 64, lambda folder: (folder / "whole").touch(), tmp_path)

    assert [p.name for p in folder.iterdir()] == ["whole"]


def test_what_it_is_made_from_are_values_files_and_libraries(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("1")
    before = made_from("x", files=[file], libraries=["numpy"])

    assert made_from("x", files=[file], libraries=["numpy"]) == before
    assert made_from("y", files=[file], libraries=["numpy"]) != before
    assert made_from("x", files=[file], libraries=["no-such-library"]) != before
    file.write_text("2")
    assert made_from("x", files=[file], libraries=["numpy"]) != before


def test_an_application_is_made_aside_under_its_name_and_replaced_whole(tmp_path: Path) -> None:
    seen = []

    def make(folder: Path) -> None:
        seen.append(folder)
        (folder / f"file{len(seen)}").write_text("x")

    assert application(tmp_path, "app", "1", make)
    assert not application(tmp_path, "app", "1", make)
    assert application(tmp_path, "app", "2", make)

    assert [folder.name for folder in seen] == ["app", "app"]  # so that it can be served to try it
    assert [p.name for p in (tmp_path / "app").iterdir()] == ["file2"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [".app.built", "app"]


def test_who_comes_while_an_application_is_made_waits_for_it(tmp_path: Path) -> None:
    came_second = []

    def late() -> None:
        came_second.append(application(tmp_path, "app", "1", lambda _: None))

    waiting = threading.Thread(target=late)

    def make(folder: Path) -> None:
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive(), "it does not wait"
        (folder / "file").touch()

    assert application(tmp_path, "app", "1", make)
    waiting.join()

    assert came_second == [False]
    assert (tmp_path / "app" / "file").is_file()


def test_ctrl_c_is_told_in_a_line(tmp_path: Path) -> None:
    script = (
        "from examples.kit.prepare import options\noptions('x', 'y', [])\nraise KeyboardInterrupt"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert done.stderr == "stopped; run it again: what is whole is kept\n"
    assert done.returncode != 0


def test_an_application_that_cannot_be_made_leaves_the_old_one(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        raise SystemExit("no")

    application(tmp_path, "app", "1", lambda folder: (folder / "old").touch())
    with pytest.raises(SystemExit):
        application(tmp_path, "app", "2", fail)

    assert [p.name for p in (tmp_path / "app").iterdir()] == ["old"]
    assert application(tmp_path, "app", "2", lambda folder: (folder / "new").touch())
    assert [p.name for p in (tmp_path / "app").iterdir()] == ["new"]


def test_files_and_folders_are_put_in_place(tmp_path: Path) -> None:
    source = tmp_path / "from"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "a.txt").write_text("a")

    place(source, tmp_path / "to")
    place(source / "inner" / "a.txt", tmp_path / "deep" / "b.txt")

    assert (tmp_path / "to" / "inner" / "a.txt").read_text() == "a"
    assert (tmp_path / "deep" / "b.txt").read_text() == "a"
