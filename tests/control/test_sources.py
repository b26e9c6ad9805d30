from __future__ import annotations

import pytest
from tests.server.applications import SAME, everything, reading, write
from tests.system.models import affine

from inferd.control.sources import calls_of, chosen, read_specs, wholes, with_parts
from inferd.core.errors import ConfigError, InvalidInput


@pytest.fixture
def folder(tmp_path):
    return everything(tmp_path / "models")


def named(specs):
    return [(spec.name, spec.version) for spec in specs]


def test_the_latest_of_each_is_read_and_what_pipelines_name(tmp_path):
    folder = reading(tmp_path)
    for version in ("2", "3"):
        (folder / "reading/double" / version).mkdir()
        affine(folder / "reading/double" / version / "double.onnx")
    assert named(read_specs([folder])) == [("reading", "1"), ("double", "3")]
    write(folder, {"same/pipeline.yaml": SAME.replace("model: double", "model: double@1"),
                   "other/pipeline.yaml": SAME.replace("model: double", "model: double@stable"),
                   "reading/double/model.yaml": "version_labels: {stable: 2}\n"})  # fmt: skip
    assert sorted(named(read_specs([folder]))) == [
        ("double", "1"), ("double", "2"), ("double", "3"), ("other", "1"), ("reading", "1"), ("same", "1"),
    ]  # fmt: skip


def test_a_version_that_is_not_there_is_left_to_who_loads(tmp_path):
    folder = reading(tmp_path)
    write(folder, {"same/pipeline.yaml": SAME.replace("model: double", "model: double@7")})
    assert sorted(named(read_specs([folder]))) == [("double", "1"), ("reading", "1"), ("same", "1")]


def test_a_pipeline_that_cannot_be_read_says_where(tmp_path):
    write(tmp_path, {"app/pipeline.yaml": "steps: 5\n"})
    with pytest.raises(ConfigError, match=r"pipeline\.yaml:1"):
        read_specs([tmp_path / "app"])


def test_what_a_pipeline_asks(folder):
    specs = {spec.name: spec for spec in read_specs([folder])}
    assert [call.model for call in calls_of(specs["whole"])] == ["double", "reading"]
    assert [s.name for s in wholes(specs.values())] == ["same", "telling", "whole"]
    assert [s.name for s in with_parts(specs["whole"], list(specs.values()))] == [
        "whole",
        "double",
        "reading",
    ]
    assert [s.name for s in with_parts(specs["double"], list(specs.values()))] == ["double"]


def test_the_one_that_is_meant(folder, tmp_path):
    assert [s.name for s in chosen(folder / "reading", None, None, False)] == ["reading", "double"]
    assert [s.name for s in chosen(folder, "telling", None, False)] == ["telling", "teller"]
    assert [s.name for s in chosen(folder, "double", "1", False)] == ["double"]
    assert [s.name for s in chosen(folder / "reading", None, None, True)] == ["reading", "double"]
    with pytest.raises(InvalidInput, match="holds several models"):
        chosen(folder, None, None, False)
    with pytest.raises(InvalidInput, match="holds no such model"):
        chosen(folder, "nobody", None, False)
