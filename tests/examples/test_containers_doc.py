"""The commands of docs/containers.md that write files are run as they stand there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.deploy.conftest import write_app

from inferd.cli.main import main
from inferd.deploy.dockerfile import BUILD_ARGS, DRAIN_DELAY, GRACE, HEALTH, STOP_TIMEOUT, USER

PAGE = (Path(__file__).parents[2] / "docs" / "containers.md").read_text()
LINES = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
COMMANDS = [line for line in LINES if line.startswith("inferd ")]
WHEEL = "inferd-0.1.0-py3-none-any.whl"


@pytest.fixture
def here(tmp_path, monkeypatch):
    write_app(tmp_path / "app")
    (tmp_path / "shop").mkdir()
    (tmp_path / "app" / "sums").rename(tmp_path / "shop" / "sums")
    write_app(tmp_path / "again")
    (tmp_path / "again" / "sums").rename(tmp_path / "app" / "sums")
    (tmp_path / WHEEL).write_bytes(b"wheel")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: " ".join(shlex.split(c)[1:]))
def test_a_command_of_the_page_works(here, command):
    words = shlex.split(command)[1:]
    if words[0] == "build" and "--no-build" not in words:
        words.append("--no-build")
    if words[0] != "split":
        words += ["--wheel", WHEEL]

    assert main(words) == 0


def test_what_compose_is_asked_to_start_is_what_it_was_told(here):
    assert main(["compose", "shop/", "--replicas", "3", "--wheel", WHEEL]) == 0
    [loop] = [line for line in LINES if line.startswith("for ")]
    named = re.search(r"in (.*?);", loop)[1].split()
    done = subprocess.run(
        [Path(sys.executable).with_name("docker-compose"), "-f", "compose/compose.yaml", "config",
         "--services"],
        capture_output=True, text=True, timeout=50, check=True,
    )  # fmt: skip

    assert set(done.stdout.split()) == {*named, "nginx"}


def test_services_of_the_page_are_where_it_says(here):
    assert main(["split", "app/pipeline.yaml", "--services", "first,second"]) == 0
    for file in re.findall(r"--config (\S+)", PAGE):
        assert yaml.safe_load((here / file).read_text())["models"]


def test_numbers_of_the_page_are_those_of_the_code():
    assert f"the user {USER}" in PAGE
    assert f"`{' '.join(HEALTH)}`" in PAGE
    assert f"accepting for {DRAIN_DELAY} seconds, answers what it has within {STOP_TIMEOUT}" in PAGE
    assert f"should wait {GRACE} " in PAGE
    assert set(re.findall(r"PIP_\w+", PAGE)) <= set(BUILD_ARGS)
