"""docs/services.md: its deployment file is read as it says, and its table has every key."""

import re
from pathlib import Path

import pytest
from tests.system.serving import run

from inferd.routing.remote.spec import GRPC, HTTP, KEYS, read_deployment

DOC = (Path(__file__).parents[2] / "docs" / "services.md").read_text()


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "deployment.yaml"
    path.write_text(re.search(r"```yaml\n(.*?)```", DOC, re.DOTALL)[1])
    return path


def test_the_example_is_a_deployment(written):
    asr, nlu = read_deployment(written).values()

    assert [e.authority for e in asr.endpoints] == ["h1:8000", "h2:8000"]
    assert (asr.protocol, nlu.protocol, nlu.timeout) == (HTTP, GRPC, 2.0)


def test_the_table_has_every_key():
    rows = re.findall(r"^\| `(\w+)` \|", DOC, re.M)
    assert set(rows) == set(KEYS)


def test_the_command_has_the_flag():
    assert "--deployment" in run("serve", "--help").stdout
    assert "inferd serve --deployment deployment.yaml" in DOC
