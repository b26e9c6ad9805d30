"""The example of docs/pipelines.md is written out as it stands there, shown and asked."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import inferd
from inferd.cli.main import main

PAGE = (Path(__file__).parents[2] / "docs" / "pipelines.md").read_text()
FILES = re.findall(r"```\w+\n# (desk/\S+)\n(.*?)```", PAGE, re.DOTALL)
(SESSION,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"\$ inferd (.*?)\n(.*?)(?=\$ |\Z)", SESSION, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    for name, text in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_the_page_has_all_files() -> None:
    assert [name for name, _ in FILES] == [
        "desk/pipeline.yaml", "desk/steps.py", "desk/mood/1/mood.py", "desk/mood/model.yaml",
    ]  # fmt: skip


@pytest.mark.parametrize(("command", "answer"), COMMANDS, ids=[c.split()[0] for c, _ in COMMANDS])
def test_what_it_shows_is_what_happens(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    answer: str,
) -> None:
    monkeypatch.chdir(folder)

    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out == answer


def test_a_letter_that_is_no_complaint_gets_the_default(folder: Path) -> None:
    with inferd.load(folder / "desk") as desk:
        assert desk.predict("I love it.") == {"score": 1.0, "reply": "Thank you!"}
        assert [row["score"] for row in desk.predict(["I love it. I hate it.", ""])] == [-1.0, 0.0]
