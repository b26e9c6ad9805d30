"""The session and the program of docs/open-inference-protocol.md, on a real server."""

import re
import shlex
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from tests.system.serving import serving

PAGE = Path(__file__).resolve().parents[2] / "docs" / "open-inference-protocol.md"
TEXT = PAGE.read_text()
SHARE, STORY, PROGRAM = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
(LABELS,) = re.findall(r"```\n(red\n.*?)```", TEXT, re.DOTALL)


def session():
    """Return the commands of the page, each with what it prints."""
    (text,) = re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)
    parts = [part.partition("\n") for part in re.split(r"(?m)^\$ ", text)[1:]]
    return [(command, printed.strip()) for command, _, printed in parts]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("oip")
    for name, code in (("share", SHARE), ("story", STORY)):
        (folder / "models" / name / "1").mkdir(parents=True)
        (folder / "models" / name / "1" / f"{name}.py").write_text(code)
    (folder / "models" / "share" / "1" / "labels.txt").write_text(LABELS)
    with serving(folder / "server", "models/", cwd=folder) as running:
        yield running


@pytest.mark.parametrize(("command", "printed"), session(), ids=lambda text: text[-40:])
def test_the_session_is_what_happens(server, command, printed):
    words = shlex.split(command)
    url = words[-1].replace("http://localhost:8000", f"http://127.0.0.1:{server.data[1]}")
    body = words[words.index("-d") + 1].encode() if "-d" in words else None
    # What `curl -d` sends unasked.
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}

    assert ask(url, body, kind) == printed


def ask(url, body, kind):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, kind), timeout=30) as answer:
            return answer.read().decode().strip()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.read().decode()


def test_the_program_is_what_it_says(server):
    found = {}

    exec(PROGRAM.replace('"localhost", 8000', f'"127.0.0.1", {server.data[1]}'), found)
    found["connection"].close()

    np.testing.assert_array_equal(found["output"], np.float32([[0.125, 0.25, 0.625]]))
