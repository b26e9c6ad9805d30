from __future__ import annotations

import pytest

from inferd.core.errors import ConfigError
from inferd.core.step import Step
from inferd.repository.modelfile import (
    KEYS,
    check_runtime,
    places,
    read_modelfile,
    reference,
    spec_fields,
)
from inferd.repository.spec import Batching, Instances, ModelSpec

FULL = """\
runtime: torch
artifact: net.pth
factory: net:Net
parameters: {classes: 3}
signature:
  inputs:  [{name: x, dtype: float32, shape: [-1, 4]}]
  outputs: [{name: y, dtype: float32, shape: [-1, 3]}]
preprocess:
  - cast: float32
  - normalize: {mean: [1.0], std: [2]}
postprocess:
  - softmax
  - top_k: 3
batching: {max_size: 32, max_delay: 2ms}
instances: {min: 1, max: 4}
threads: 2
task: classify
warmup: samples.json
replay: false
run_timeout: 1.5s
load_timeout: 3m
recycle_after: 100
executor: inline
version_labels: {stable: 1, canary: "2"}
explainer: why
"""


@pytest.fixture
def read(tmp_path):
    def parsed(text):
        path = tmp_path / "model.yaml"
        path.write_text(text)
        return spec_fields(read_modelfile(path))

    return parsed


def test_every_key_reaches_its_field(read, tmp_path):
    fields, options = read(FULL)

    assert options == {"factory": "net:Net", "parameters": {"classes": 3}, "threads": 2}
    assert fields["batching"] == Batching(32, 0.002) and fields["instances"] == Instances(1, 4)
    assert fields["postprocess"] == (
        Step("softmax", None, f"{tmp_path}/model.yaml:12"), Step("top_k", 3, f"{tmp_path}/model.yaml:13"),
    )  # fmt: skip
    assert fields["preprocess"][1].params == {"mean": [1.0], "std": [2]}
    assert (fields["run_timeout"], fields["load_timeout"], fields["replay"]) == (1.5, 180.0, False)
    assert fields["signature"]["inputs"][0]["shape"] == [-1, 4]
    assert fields["version_labels"] == {"stable": "1", "canary": "2"}
    assert fields["explainer"] == "why"
    assert set(fields) - {"artifact"} <= set(ModelSpec.__dataclass_fields__)


def test_where_it_was_said_is_known_for_each_key_and_tensor(tmp_path):
    file = tmp_path / "model.yaml"
    file.write_text(FULL)
    found = places(read_modelfile(file))

    assert set(found) >= {"runtime", "factory", "executor"}
    assert found["parameters"] == f"{file}:4"
    assert found["signature.inputs.x"] == f"{file}:6"
    assert found["signature.outputs.y"] == f"{file}:7"


def test_automatic_is_the_default_and_can_be_said(read):
    fields, options = read("batching: auto\ninstances: auto\nthreads: auto\n")
    assert (fields, options) == ({"batching": Batching(), "instances": Instances()}, {})
    assert read("instances: 3")[0]["instances"] == Instances(3, 3)
    assert read("") == ({}, {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("runtme: onnx", "model.yaml:1: runtme: unknown key", id="unknown"),
        pytest.param("\nbatching: {max_sze: 3}", "model.yaml:2: batching.max_sze: unknown key", id="nested"),
        pytest.param("signature:\n  inputs:\n  - {name: x, dtype: int8, shape: [-1, 0]}",
                     "model.yaml:3: signature.inputs[0]: shape [-1, 0]: an axis of size 0", id="empty-axis"),
        pytest.param("batching: {max_size: 0}", "batching.max_size: 0 is out of range", id="zero"),
        pytest.param("batching: 3", "batching: must be auto or a mapping, not 3", id="batching"),
        pytest.param("batching: {max_delay: 2 weeks}", "unknown unit 'weeks'", id="unit"),
        pytest.param("instances: {min: 3, max: 2}", "instances.min: 3 is above max", id="order"),
        pytest.param("instances: -1", "instances: -1 is out of range", id="negative"),
        pytest.param("instances: true", "must be a whole number, not True", id="bool"),
        pytest.param("class: Sentiment", "does not name an object in a module", id="class"),
        pytest.param("factory: 'a.b:c d'", "does not name an object", id="factory"),
        pytest.param("artifact: ../x.onnx", "must lie in the model's own directory", id="parent"),
        pytest.param("artifact: /x.onnx", "must lie in the model's own directory", id="absolute"),
        pytest.param("executor: proces", "executor: 'proces' is not allowed", id="choice"),
        pytest.param("version_labels: [1]", "version_labels: must be a mapping of labels", id="labels"),
        pytest.param("version_labels:\n  a b: 1", "model.yaml:2: version_labels.a b: 'a b' is no label", id="label"),
        pytest.param("version_labels: {a: v1}", "version_labels.a: must be the number of a version, not 'v1'", id="version"),
        pytest.param("version_labels: {a: true}", "must be the number of a version, not True", id="version-bool"),
        pytest.param("version_labels: {a: -1}", "must be the number of a version, not -1", id="version-negative"),
        pytest.param("explainer: [why]", "explainer: must be text, not ['why']", id="explainer"),
        pytest.param("replay: maybe", "replay: must be true or false", id="flag"),
        pytest.param("run_timeout: 0", "longer than nothing", id="timeout"),
        pytest.param("signature: {inputs: []}", "signature.inputs: must be a list of tensors", id="empty"),
        pytest.param("signature: {inputs: [{name: x, shape: [1]}]}", "missing 'dtype'", id="no-dtype"),
        pytest.param("signature: {inputs: [{name: x, dtype: flt, shape: [1]}]}", "unknown datatype 'flt'", id="dtype"),
        pytest.param("signature: {inputs: [{name: x, dtype: float, shape: [-2]}]}", "shape must be", id="shape"),
        pytest.param("signature: {inputs: [{name: x, dtype: float, shape: [1]}, {name: x, dtype: float, shape: [1]}]}", "given twice", id="twice"),
        pytest.param("preprocess: cast", "must be a list of steps", id="steps"),
        pytest.param("preprocess:\n- cast: 1\n  pad: 2", "model.yaml:2: preprocess[0]: must be one step", id="two-steps"),
        pytest.param("preprocess:\n- 3", "preprocess[0]: must be one step", id="number-step"),
        pytest.param("preprocess:\n- pad: {value: 2026-01-01}", "is a date", id="date"),
        pytest.param("parameters: [1]", "must be a mapping", id="parameters"),
        pytest.param("trust_pickle: true", "never by a file beside it", id="trust"),
        pytest.param("cache: {ttl: 60s}", "not cached yet", id="cache"),
        pytest.param("- a", "must be a mapping", id="list"),
        pytest.param("a: !!python/object:os.system x", "not valid YAML", id="tag"),
        pytest.param("runtime: onnx\nruntime: torch", "model.yaml:2: runtime: given twice", id="duplicate"),
        pytest.param("recycle_after: 1.5", "must be a whole number", id="fraction"),
    ],
)  # fmt: skip
def test_what_is_wrong_names_file_line_and_key(read, tmp_path, text, says):
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert says in caught.value.message and str(tmp_path / "model.yaml") in caught.value.message


def test_the_nearest_key_is_offered(read):
    with pytest.raises(ConfigError) as caught:
        read("instnces: 2")
    assert caught.value.help == "did you mean 'instances'?"


def test_keys_of_another_runtime_are_not_ignored(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text("task: classify\nfactory: net:Net\n")
    section = read_modelfile(path)
    check_runtime(section, "torch")
    with pytest.raises(
        ConfigError, match=r"model.yaml:2: factory: is used by the runtime torch only"
    ):
        check_runtime(section, "onnx")


def test_the_reference_has_every_key():
    text = reference()
    assert all(f"| `{key.name}` |" in text for key in KEYS)
