from __future__ import annotations

import textwrap
from types import SimpleNamespace

import numpy as np
import pytest

from inferd.core.errors import ModelFailed, ModelFileError
from inferd.core.qualified import packed
from inferd.core.signature import TensorSpec
from inferd.core.tensor import FP32, is_uneven, uneven
from inferd.runtimes.registry import create
from inferd.runtimes.steps import StepsRuntime

CODE = textwrap.dedent(
    """
    from typing import Annotated

    import numpy as np

    Strip = Annotated[np.ndarray, "float32", (-1,)]

    def cut(count: int) -> list[Strip]:
        return [np.full(n, n, np.float32) for n in range(count)]

    def total(strips: list[Strip], plus: float = 0.5) -> float:
        return sum(float(s.sum()) for s in strips) + plus

    def fails(x: float) -> float:
        raise ValueError(f"not {x}")

    def vague(x):
        return x
    """
)


@pytest.fixture
def load(tmp_path):
    (tmp_path / "code.py").write_text(CODE)

    def loaded(**functions):
        options = {
            "directory": str(tmp_path), "given": {"more": ["strips", "plus"]},
            "functions": {step: f"code:{name}" for step, name in functions.items()},
            "at": dict.fromkeys(functions, "pipeline.yaml:7"),
        }  # fmt: skip
        runtime = create("steps")
        return runtime, runtime.load(tmp_path / "pipeline.yaml", options)

    return loaded


def test_all_steps_are_one_model_whose_names_tell_them_apart(load):
    runtime, signature = load(cut="cut", total="total", more="total")
    assert isinstance(runtime, StepsRuntime) and not signature.batched
    assert [s.name for s in signature.inputs] == [
        "cut.count",
        "total.strips[]",
        "more.strips[]",
        "more.plus",
    ]
    assert [s.name for s in signature.outputs] == ["cut.output[]", "total.output", "more.output"]
    assert signature.inputs[1].shape == (-1, -1)


def test_the_names_say_which_step_is_meant(load):
    runtime, _ = load(cut="cut", total="total")
    got = runtime.run({"cut.count": np.array(3)})
    assert list(got) == ["cut.output[]", "cut.output[0]", "cut.output[1]", "cut.output[2]"]
    strips = packed("total", {"strips": uneven([np.ones(2, np.float32)])}, {"strips"})
    assert runtime.run(strips)["total.output"] == 2.5


@pytest.mark.parametrize(
    ("functions", "says"),
    [
        ({"a": "vague"}, "pipeline.yaml:7: step 'a': "),
        ({"a": "cutt"}, "pipeline.yaml:7: step 'a': "),
    ],
    ids=["hints", "name"],
)
def test_a_step_that_cannot_be_names_its_line(load, functions, says):
    with pytest.raises(ModelFileError) as caught:
        load(**functions)
    assert caught.value.message.startswith(says) and caught.value.help


def test_what_a_function_raises_is_told_with_type_and_text(load, capsys):
    runtime, _ = load(fails="fails")
    for _ in range(3):
        with pytest.raises(ModelFailed, match=r"^ValueError: not 2\.0$"):
            runtime.run({"fails.x": np.array(2.0)})
    assert capsys.readouterr().err.count("Traceback") == 1  # the log is not flooded


def test_a_step_may_be_added(load):
    runtime, _ = load(cut="cut")
    spec = TensorSpec("x", FP32, (-1,))
    answers = type("Twice", (SimpleNamespace,), {"__call__": lambda self, t: {"y": t["x"] * 2}})
    runtime.steps["twice"] = answers(inputs=(spec,), outputs=(spec,), uneven=frozenset())
    assert [s.name for s in runtime.signature().inputs] == ["cut.count", "twice.x"]
    assert runtime.run({"twice.x": np.ones(1)})["twice.y"] == 2
    runtime.close()
    assert not runtime.steps and runtime.version().startswith("python 3")


def test_lists_come_out_as_columns(load):
    from inferd.core.qualified import unpacked

    runtime, _ = load(cut="cut")
    assert is_uneven(unpacked(runtime.run({"cut.count": np.array(3)}))[1]["output"])
