"""Proving a program: what is declared is held against answers, and refusals say what was asked."""

from pathlib import Path

import numpy as np
import pytest

from inferd.core.errors import InvalidInput, ModelFailed, ModelFileError
from inferd.core.signature import Signature
from inferd.core.step import Step
from inferd.execution.origin import Origin
from inferd.execution.program import Program
from inferd.execution.proof import prove
from inferd.transforms.compile import compile_chain

DECLARED = Origin("m v1", "m.pth", {"signature.outputs.y": "model.yaml:3"})
SILENT = Origin("m v1", "m.onnx")


def signature(shape=(-1, 3), dtype="float32", **given):
    return Signature.from_json({
        "inputs": [{"name": "x", "dtype": "float32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "dtype": dtype, "shape": list(shape)}],
        **given,
    })  # fmt: skip


class Answers:
    """A runtime that answers what ``answer`` makes of x."""

    name = "answers"
    releases_gil = True
    keeps_inputs = False

    def __init__(self, answer):
        self.answer = answer

    def run(self, inputs):
        found = self.answer(inputs["x"])
        return found if isinstance(found, dict) else {"y": found}


def three(x):
    return np.zeros((len(x), 3), np.float32)


def proven(answer, found=None, origin=DECLARED, *, golden=None, pre=(), post=(), warmup=None, **verbs):  # fmt: skip
    found = found or signature()
    runtime = Answers(answer)
    for name, verb in verbs.items():
        setattr(runtime, name, verb)
    steps = [[Step(*s) for s in steps] for steps in (pre, post)]
    chain = compile_chain(found, *steps, Path())
    program = Program(runtime, chain, "m v1")
    golden = golden or [chain.example()]
    inputs, answered = prove(program, golden, found, origin, warmup)
    assert "run" not in vars(runtime), "the runtime is left as it was"
    return inputs, answered


def test_what_the_runtime_was_given_is_kept():
    def greedy(x):
        out = three(x)
        x *= 1000
        return out

    step = ("normalize", {"mean": 0.25, "std": 0.25}, "")
    inputs, answered = proven(greedy, pre=[step])

    assert inputs["x"].tolist() == [[1.0] * 4]
    assert answered == signature()


@pytest.mark.parametrize(
    ("declared", "dtype", "words"),
    [
        ((-1, 2), "float32", "with shape [-1, 2], the model answered shape [1, 3]"),
        ((-1,), "float32", "with shape [-1], the model answered shape [1, 3]"),
        ((-1, -1, 3), "float32", "with shape [-1, -1, 3], the model answered shape [1, 3]"),
        ((-1, 3), "int64", "as INT64, the model answered FP32"),
        ((-1, 3), "string", "as BYTES, the model answered FP32"),
    ],
    ids=["size", "rank", "higher-rank", "dtype", "text"],
)
def test_a_declared_output_that_is_not_so_is_refused(declared, dtype, words):
    with pytest.raises(ModelFileError) as caught:
        proven(three, signature(declared, dtype))

    told = f"model m v1 (m.pth): output 'y' is declared {words} (declared in model.yaml:3)"
    assert caught.value.message == told
    fix = "write into signature.outputs: {name: y, dtype: float32, shape: [-1, 3]}"
    assert fix in caught.value.help


def test_steps_after_the_model_do_not_hide_what_it_answered():
    with pytest.raises(ModelFileError, match=r"shape \[-1, 2\], the model answered shape \[1, 3\]"):
        proven(three, signature((-1, 2)), post=[("softmax", None, "")])


def test_what_a_class_makes_of_its_answer_is_what_it_declares():
    origin = Origin("m v1", "m.py", by_class=True)

    proven(three, signature((-1,)), origin, postprocess=lambda out: {"y": out["y"].sum(1)})
    with pytest.raises(
        ModelFileError, match=r"\[-1, 2\], the model answered shape \[1, 3\]"
    ) as caught:
        proven(three, signature((-1, 2)), origin, postprocess=lambda out: out)
    assert "`outputs` or the type hints of m.py" in caught.value.message
    assert '"y": ("float32", [-1, 3])' in caught.value.help


def test_an_output_nobody_answers():
    with pytest.raises(ModelFileError, match="'y' is declared, and the model answered none"):
        proven(lambda x: {"z": three(x)})


@pytest.mark.parametrize(
    ("said", "dtype", "found"),
    [((-1, 5), "float32", (-1, -1)), ((-1,), "float32", (-1, -1)), ((-1, 3), "int64", (-1, 3))],
    ids=["size", "rank", "dtype"],
)
@pytest.mark.parametrize("learned", [False, True], ids=["artifact", "learned"])
def test_where_nobody_declared_it_the_answer_counts(said, dtype, found, learned, capfd):
    origin = Origin("m v1", "m.py", by_class=True) if learned else SILENT
    _, answered = proven(three, signature(said, dtype), origin, learned=learned)

    (output,) = answered.outputs
    assert (output.shape, output.dtype.name) == (found, "FP32")
    assert "the answer counts" in capfd.readouterr().err


def test_sizes_of_a_model_without_a_batch_are_all_compared():
    free = signature((2, -1), batched=False)
    with pytest.raises(ModelFileError) as caught:
        proven(lambda x: np.zeros((3, 7), np.float32), free)

    assert "shape: [3, -1]" in caught.value.help


@pytest.mark.parametrize(
    ("golden", "words"),
    [
        (None, "a made-up input (x [1, 4]) was refused: the model raised KeyError: 'k'"),
        ("s.json", "golden request 2 of s.json was refused: the model raised KeyError: 'k'"),
    ],
    ids=["made-up", "sample"],
)
def test_a_refused_request_is_said_to_be_made_up_or_a_sample(golden, words):
    asked = []

    def refuses(x):
        asked.append(x)
        if golden is None or len(asked) == 2:
            raise KeyError("k")
        return three(x)

    with pytest.raises(ModelFileError) as caught:
        samples = [{"x": np.ones((1, 4), np.float32)}] * 3 if golden else None
        proven(refuses, golden=samples, warmup=golden)
    assert f"model m v1 (m.pth): {words}" in caught.value.message
    assert ("warmup: samples.json" in caught.value.help) is (golden is None)


def test_a_refused_made_up_input_names_the_line_it_was_made_from():
    origin = Origin("m v1", "m.pth", {"signature.inputs.x": "model.yaml:2"})

    def refuses(x):
        raise ModelFailed("mat1 and mat2", help="mend it")

    with pytest.raises(ModelFileError) as caught:
        proven(refuses, origin=origin)
    assert "from the signature at model.yaml:2, was refused: mat1 and mat2" in caught.value.message
    assert caught.value.help.startswith("mend it; or give samples")
    assert caught.value.help.endswith("correct model.yaml:2, if the model takes other shapes")


def test_a_step_that_refuses_what_was_made_up_is_told_the_same_way():
    def strict(tensors):
        raise InvalidInput("no such key")

    with pytest.raises(
        ModelFileError, match=r"a made-up input \(x \[1, 4\]\) was refused: no such"
    ):
        proven(three, preprocess=strict)


@pytest.mark.parametrize(
    ("symbols", "words"),
    [
        ((), "axis 0 is taken for the batch, and 1 row of x [1, 4] gave y [4, 3]"),
        (("a", "b"), "(the file calls it 'a' in the input, 'b' in 'y'), and 1 row"),
        (("a", "a"), "axis 0 is taken for the batch, and 1 row"),
    ],
    ids=["no-names", "names", "same-names"],
)
def test_an_axis_that_is_no_batch_says_how_to_say_so(symbols, words):
    found = signature().to_json()
    for side, name in zip(("inputs", "outputs"), symbols, strict=False):
        found[side][0]["symbols"] = [name, None]

    with pytest.raises(ModelFileError) as caught:
        proven(lambda x: np.zeros((4, 3), np.float32), Signature.from_json(found), SILENT)
    assert words in caught.value.message
    assert "signature: {batched: false}" in caught.value.help
