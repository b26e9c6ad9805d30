import pytest

from inferd.core.errors import ConfigError
from inferd.deploy.reading import pipelines, read_specs, transforms_of


def test_a_path_is_read_as_it_would_be_served(app, shop):
    assert [s.name for s in read_specs(str(shop))] == ["sums"]
    assert sorted(s.name for s in read_specs(str(app))) == ["app", "pairs", "sums"]


def test_trust_is_passed_on(shop):
    with pytest.raises(ConfigError, match="--trust-pickle other"):
        read_specs(str(shop), ["other"])


def test_pipelines_are_read(app):
    found = pipelines(read_specs(str(app)))

    assert list(found) == ["app"]
    assert [call.model for call in found["app"].models] == ["sums", "pairs"]


def test_transforms_of_pipelines_are_named(app):
    file = app / "pipeline.yaml"
    text = file.read_text().replace("inputs: [x]\n", "inputs: {x: {dtype: float32, shape: [4]}}\n")
    step = "  soft: {transform: [softmax], inputs: {z: second.z}}\noutputs:\n  s: soft.z\n"
    file.write_text(text.replace("outputs:\n", step))

    assert list(transforms_of(read_specs(str(app)))) == ["softmax"]
