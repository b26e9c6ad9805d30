"""Real models and a pipeline on disk, and snapshots of generated texts.

``WRITE_SNAPSHOTS=1 pytest tests/deploy`` writes the snapshots anew: read the difference before it lands.
"""

import os
from pathlib import Path

import pytest
from tests.cli.conftest import write_model

from inferd import __version__

SNAPSHOTS = Path(__file__).parent / "snapshots"

PIPELINE = """
inputs: [x]
steps:
  first: {model: sums, inputs: {x: x}}
  twice: {python: "steps:twice", inputs: {y: first.y}}
  second: {model: pairs, inputs: {x: twice.output}}
outputs:
  z: second.z
"""

STEPS = """
from typing import Annotated

import numpy as np


def twice(y: Annotated[np.ndarray, "float32", (2,)]) -> Annotated[np.ndarray, "float32", (2,)]:
    return y * 2
"""


def write_pairs(path):
    """Write an ONNX model of two numbers that answers with their sum."""
    import numpy as np
    from onnx import TensorProto, helper, save

    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["z"])],
        "pairs",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor("w", TensorProto.FLOAT, [2, 1], np.ones(2, np.float32))],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def write_app(folder):
    """Write an application: a pipeline of two models and a Python step."""
    for name, write in (("sums", write_model), ("pairs", write_pairs)):
        (folder / name / "1").mkdir(parents=True)
        write(folder / name / "1" / f"{name}.onnx")
    (folder / "pipeline.yaml").write_text(PIPELINE)
    (folder / "steps.py").write_text(STEPS)
    return folder


@pytest.fixture
def app(tmp_path):
    return write_app(tmp_path / "app")


@pytest.fixture
def shop(tmp_path):
    """A repository of one model in two versions, with a model.yaml and what should stay behind."""
    folder = tmp_path / "shop" / "sums"
    for version in ("1", "2"):
        (folder / version).mkdir(parents=True)
        write_model(folder / version / "sums.onnx")
    (folder / "model.yaml").write_text("task: add\n")
    (folder / "2" / ".secret").write_text("no")
    (folder / "2" / "__pycache__").mkdir()
    (folder / "2" / "__pycache__" / "x.pyc").write_bytes(b"")
    return tmp_path / "shop"


@pytest.fixture
def snapshot():
    """Compare a text to the one that was written down; the version of inferd may differ."""

    def check(name, text):
        text = text.replace(__version__, "VERSION")
        file = SNAPSHOTS / name
        if os.environ.get("WRITE_SNAPSHOTS"):
            file.write_text(text)
        assert text == file.read_text()

    return check
