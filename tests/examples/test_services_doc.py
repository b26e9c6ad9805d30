"""docs/services.md: its deployment file is read as it says, and its table has every key."""

import re
from pathlib import Path

import pytest
from tests.system.serving import run

from inferd.routing.remote.spec import EMBED, GRPC, HTTP, KEYS, OPENAI, read_deployment

DOC = (Path(__file__).parents[2] / "docs" / "services.md").read_text()

BLOCKS = re.findall(r"```yaml\n(.*?)```", DOC, re.DOTALL)


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "deployment.yaml"
    path.write_text(BLOCKS[0])
    return path


def test_the_example_is_a_deployment(written):
    asr, nlu = read_deployment(written).values()

    assert [e.authority for e in asr.endpoints] == ["h1:8000", "h2:8000"]
    assert (asr.protocol, nlu.protocol, nlu.timeout) == (HTTP, GRPC, 2.0)


def test_the_engines_are_a_deployment(tmp_path, monkeypatch):
    monkeypatch.setenv("ENGINE_KEY", "hush")
    path = tmp_path / "deployment.yaml"
    path.write_text(BLOCKS[1])
    chat, vectors = read_deployment(path).values()

    assert (chat.protocol, chat.model, chat.key.value) == (OPENAI, "qwen2.5-7b", "hush")
    assert (vectors.protocol, vectors.task) == (OPENAI, EMBED)


def test_the_table_has_every_key():
    table = DOC.partition("## The file")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", table, re.M)
    assert set(re.findall(r"\w+", " ".join(rows))) == set(KEYS)


def test_the_command_has_the_flag():
    assert "--deployment" in run("serve", "--help").stdout
    assert "inferd serve --deployment deployment.yaml" in DOC
