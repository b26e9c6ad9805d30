"""From a spec to a loaded program, the same in a worker and inline."""

import numpy as np
import pytest
from tests.execution.workers import CURVE, probe_spec

from inferd.core.errors import ConfigError, InferdError, ModelFileError
from inferd.core.signature import TensorSpec
from inferd.core.step import Step
from inferd.core.tensor import FP32
from inferd.execution.blocks import Block
from inferd.execution.executor import Curve
from inferd.execution.loading import describe_loaded, load_program
from inferd.execution.supervisor import parse_loaded
from inferd.repository.spec import ModelSpec


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


def declared(shape, dtype="float32", name="y"):
    return {
        "inputs": [{"name": "x", "dtype": "float32", "shape": [-1, 4]}],
        "outputs": [{"name": name, "dtype": dtype, "shape": shape}],
    }


THREE = """
import numpy as np
from inferd import Model

class Three(Model):
    def predict(self, inputs):
        return {"y": np.zeros((len(inputs["x"]), 3), np.float32)}
"""


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        (declared([-1, 3]), None),
        (declared([-1, -1]), None),
        (declared([-1, 2]), "declared with shape [-1, 2], the model answered shape [1, 3]"),
        (declared([-1]), "declared with shape [-1], the model answered shape [1, 3]"),
    ],
    ids=["right", "free", "another size", "another rank"],
)
def test_a_declared_output_is_held_against_the_models_answer(tmp_path, signature, words):
    (tmp_path / "three.py").write_text(THREE)
    options = {"class": "three:Three", "directory": str(tmp_path), "signature": signature}
    spec = probe_spec(tmp_path, options=options, signature=signature)
    if words is None:
        load(spec)
        return
    with pytest.raises(ModelFileError) as caught:
        load(spec)
    assert words in caught.value.message
    assert "signature.outputs" in caught.value.help


def test_a_default_that_fits_no_request_is_told_with_its_line(tmp_path):
    (tmp_path / "three.py").write_text(THREE)
    signature = declared([-1, 3])
    signature["inputs"][0]["default"] = "red"
    options = {"class": "three:Three", "directory": str(tmp_path), "signature": signature,
               "places": {"signature": "m/model.yaml:2"}}  # fmt: skip
    with pytest.raises(
        ConfigError, match="m/model.yaml:2: signature: input 'x' is FP32 .* default"
    ):
        load(probe_spec(tmp_path, options=options, signature=signature))


@pytest.mark.parametrize("curve", [CURVE, None], ids=["remembered", "measured"])
def test_a_made_up_input_that_is_refused_is_said_to_be_one(tmp_path, curve):
    (tmp_path / "known.py").write_text(
        "from inferd import Model\n\n"
        "class Known(Model):\n"
        "    inputs = {'key': ('string', [-1])}\n"
        "    outputs = {'y': ('float32', [-1])}\n\n"
        "    def predict(self, inputs):\n"
        "        return [{b'cat': 1.0}[k] for k in inputs['key']]\n"
    )
    spec = probe_spec(tmp_path, options={"class": "known:Known", "directory": str(tmp_path)})
    with pytest.raises(ModelFileError) as caught:
        load(spec, curve)
    assert (
        "a made-up input (key [1]) was refused: the model raised KeyError" in caught.value.message
    )
    assert str(tmp_path) in caught.value.message
    assert "warmup: samples.json" in caught.value.help


ASKED = """
from inferd import Model

class Asked(Model):
    def __init__(self, k=1):
        self.k = k

    def predict(self, x: list[float]) -> list[float]:
        return x
"""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"class": "asked:Nobody"}, "model.yaml:1: class: "),
        ({"class": "absent:Asked"}, "model.yaml:1: class: no module 'absent' (from 'absent:Asked')"),
        ({"class": "asked:Asked", "parameters": {"n": 1}},
         "model.yaml:2: parameters: asked:Asked: loading it raised TypeError"),
    ],
    ids=["class", "module", "parameters"],
)  # fmt: skip
def test_an_error_of_the_code_names_the_line_that_asked_for_it(tmp_path, options, words):
    (tmp_path / "asked.py").write_text(ASKED)
    places = {"class": "model.yaml:1", "parameters": "model.yaml:2"}
    given = {**options, "directory": str(tmp_path), "places": places}
    with pytest.raises(ModelFileError) as caught:
        load(probe_spec(tmp_path, options=given))
    assert caught.value.message.startswith(words)
    assert caught.value.help


def test_outputs_that_a_class_declares_are_held_against_its_answer(tmp_path):
    source = """
    from inferd import Model

    class Probe(Model):
        inputs = {"x": ("float32", [-1, 4])}
        outputs = {"y": ("float32", [-1, 3])}

        def predict(self, x):
            return {"y": x[:, :2]}
    """
    with pytest.raises(ModelFileError, match=r"\[-1, 3\], the model answered shape \[1, 2\]"):
        load(probe_spec(tmp_path, source))


def test_outputs_that_were_learned_may_turn_out_otherwise(tmp_path, capfd):
    source = """
    from inferd import Model

    class Probe(Model):
        inputs = {"x": ("float32", [-1, 4])}

        def predict(self, x):
            return x[:, 0] if len(x) > 1 else x[:, :1]
    """
    _, loaded = load(probe_spec(tmp_path, source))

    assert loaded.signature.outputs[0].shape == (-1, -1)
    assert "the answer counts" in capfd.readouterr().err


def onnx_file(path, nodes, inputs, outputs):
    helper = pytest.importorskip("onnx.helper")
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(*node[:3], **node[3]) for node in nodes], "g",
        [value(*row) for row in inputs], [value(*row) for row in outputs],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return probe_spec(path.parent, runtime="onnx", artifact=path, options={})


def test_what_a_file_says_wrongly_of_its_outputs_is_put_right(tmp_path, capfd):
    spec = onnx_file(
        tmp_path / "w.onnx", [("NonZero", ["x"], ["y"], {})],
        [("x", 1, ["n", 4])], [("y", 7, [2, 5])],
    )  # fmt: skip
    program, loaded = load(spec)

    assert loaded.signature.outputs[0].shape == (2, -1)
    assert program.chain.external == loaded.signature
    assert "w.onnx): output 'y' is expected with shape [2, 5]" in capfd.readouterr().err


def test_axes_that_are_crossed_are_no_batch(tmp_path):
    node = ("Transpose", ["x"], ["y"], {})
    crossed = onnx_file(tmp_path / "t.onnx", [node], [("x", 1, ["a", "b"])], [("y", 1, ["b", "a"])])
    assert not load(crossed)[1].signature.batched

    unsaid = onnx_file(tmp_path / "u.onnx", [node], [("x", 1, ["a", "b"])], [("y", 1, ["c", "d"])])
    with pytest.raises(ModelFileError, match="u.onnx.*axis 0 is taken for the batch") as caught:
        load(unsaid)
    assert "batched: false" in caught.value.help


@pytest.mark.parametrize(
    ("node", "inputs", "words"),
    [
        (("Constant", [], ["y"], {"value_float": 1.0}), [], "has no inputs"),
        (("Relu", ["x"], ["y"], {}), [("x", 1, ["n", 0])], "'x', FP32 [-1, 0], has an axis of size 0"),
    ],
    ids=["no-inputs", "empty-axis"],
)  # fmt: skip
def test_a_file_that_nothing_can_be_asked_is_refused(tmp_path, node, inputs, words):
    shape = [] if not inputs else ["n", 0]
    spec = onnx_file(tmp_path / "e.onnx", [node], inputs, [("y", 1, shape)])
    with pytest.raises(ModelFileError) as caught:
        load(spec)
    assert words in caught.value.message and "e.onnx" in caught.value.message


STEPS = """
from typing import Annotated
import numpy as np

def twice(x: float) -> float:
    return x * 2

def fails(x: float) -> float:
    raise ValueError("on any made-up input")
"""


def steps(folder, **options):
    (folder / "steps.py").write_text(STEPS)
    return ModelSpec("app", "1", "steps", folder, artifact=folder / "pipeline.yaml", options={
        "directory": str(folder), "functions": {"a": "steps:twice", "b": "steps:fails"}, **options,
    })  # fmt: skip


def test_steps_are_neither_proven_nor_measured(tmp_path):
    program, loaded = load(steps(tmp_path), curve=None)

    assert loaded.golden == () and loaded.curve == Curve() and not loaded.plan.batched
    assert [s.name for s in loaded.signature.inputs] == ["a.x", "b.x"]
    outcome = program.run([Block(1, {"a.x": np.array(2, np.float32)})], [float("inf")], 0)
    assert outcome.blocks[0].tensors["a.output"] == 4
    failed = program.warm({"b.x": np.array(2, np.float32)})
    assert failed.message == "ValueError: on any made-up input"
    program.close()


def test_transforms_join_the_steps(tmp_path):
    row = {
        "inputs": [TensorSpec("s", FP32, (2,)).to_json()],
        "steps": [Step("softmax", None).to_json()],
    }
    _, loaded = load(steps(tmp_path, transforms={"c": row}), curve=None)
    assert [s.name for s in loaded.signature.inputs] == ["a.x", "b.x", "c.s"]


def test_a_step_that_cannot_be_loaded_names_the_pipeline(tmp_path):
    spec = steps(tmp_path, functions={"a": "steps:thrice"}, at={"a": "pipeline.yaml:4"})
    with pytest.raises(ModelFileError, match=r"pipeline\.yaml:4: step 'a': .*has no 'thrice'"):
        load(spec)
