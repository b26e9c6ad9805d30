"""From a spec to a loaded program, the same in a worker and inline."""

import numpy as np
import pytest
from tests.execution.workers import CURVE, probe_spec

from inferd.core.errors import InferdError, ModelFileError
from inferd.core.step import Step
from inferd.execution.executor import Curve
from inferd.execution.loading import describe_loaded, load_program
from inferd.execution.supervisor import parse_loaded


def load(spec, curve=CURVE):
    return load_program(spec.to_json(), threads=1, curve=curve, cpus=1)


def test_a_spec_becomes_a_program_that_answers(tmp_path):
    program, loaded = load(probe_spec(tmp_path))

    assert program.warm({"x": np.zeros((1, 2), np.float32)}) is None
    assert loaded.runtime == "python"
    assert loaded.curve == CURVE
    assert loaded.load_seconds > 0
    assert loaded.golden
    assert [s.name for s in loaded.signature.inputs] == ["x"]
    program.close()


def test_what_it_says_crosses_to_the_front_unchanged(tmp_path):
    _, loaded = load(probe_spec(tmp_path))
    back = parse_loaded(describe_loaded(loaded))

    assert back.signature == loaded.signature
    assert (back.plan, back.curve, back.runtime) == (loaded.plan, loaded.curve, loaded.runtime)
    assert [g["x"].tolist() for g in back.golden] == [g["x"].tolist() for g in loaded.golden]


def test_a_model_is_measured_where_nothing_is_remembered(tmp_path):
    _, loaded = load(probe_spec(tmp_path), curve=None)

    assert loaded.curve.points[0][0] == 1


def test_a_remembered_bound_bounds_the_batch(tmp_path):
    _, loaded = load(probe_spec(tmp_path), curve=Curve(((1, 0.1),), largest=4))

    assert loaded.plan.max_batch == 4


def test_transforms_give_the_external_signature(tmp_path):
    steps = (Step("normalize", {"mean": [0, 0], "std": [1, 1]}, "model.yaml:3"),)
    _, loaded = load(probe_spec(tmp_path, preprocess=steps))

    assert loaded.model_signature.inputs[0].shape == (-1, 2)
    assert loaded.signature.inputs[0].shape == (-1, 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"runtime": "caffe"}, "caffe"),
        ({"options": {"class": "probe:Nothing"}}, "Nothing"),
        ({"options": {"class": "absent:Probe"}}, "absent"),
        ({"preprocess": (Step("normalise", {}, "model.yaml:7"),)}, "normalise"),
    ],
    ids=["runtime", "class", "module", "step"],
)
def test_what_cannot_be_loaded_says_why(tmp_path, changes, words):
    if "options" in changes:
        changes["options"]["directory"] = str(tmp_path)
    with pytest.raises(InferdError, match=words):
        load(probe_spec(tmp_path, **changes))


def test_a_model_that_runs_out_of_memory_says_so(tmp_path):
    source = """
    from inferd import Model

    class Probe(Model):
        inputs = {"x": ("float32", [-1, 2])}
        outputs = {"y": ("float32", [-1])}

        def load(self, path):
            raise MemoryError

        def predict(self, x):
            return x[:, 0]
    """
    with pytest.raises(ModelFileError, match="memory|MemoryError"):
        load(probe_spec(tmp_path, source))
