"""Small models for tests of a running server: ONNX files, Python classes, ragged sequences.

Every model answers ``2 x + 1``, so an answer names the request it belongs to.
"""

import json
import textwrap

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

ABORTS, RAISES, HANGS = -1.0, -2.0, -3.0
"""First values that make ``acts`` abort its process, raise, or hang."""

ACTS = textwrap.dedent(
    """
    import json
    import os
    import time
    from pathlib import Path

    from inferd import Model


    class Acts(Model):
        inputs = {"x": ("float32", [-1, 4])}
        outputs = {"y": ("float32", [-1, 4])}

        def __init__(self, seconds=0.0, record=None, broken=None, quick=False):
            self.seconds = seconds
            self.record = open(record, "a", buffering=1) if record else None
            self.broken = broken
            self.quick = quick

        def load(self, path):
            if self.broken and Path(self.broken).exists():
                os.abort()

        def predict(self, x):
            start = time.monotonic()
            first = x[:, 0].tolist()
            if -1.0 in first:
                os.abort()
            if -2.0 in first:
                raise ValueError("a bad item")
            if -3.0 in first:
                time.sleep(600)
            if self.record:
                self.record.write(json.dumps([start, first]) + "\\n")
            if self.seconds and not (self.quick and max(first) == 0.5):
                time.sleep(self.seconds)
            return x * 2 + 1
    """
)


def affine(path, plus=1.0, columns=4):
    """Write an ONNX model ``y = 2 x + plus`` over rows of four; return the path."""
    weights = [
        numpy_helper.from_array(np.array(2.0, dtype=np.float32), "two"),
        numpy_helper.from_array(np.array(plus, dtype=np.float32), "plus"),
    ]
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["m"]),
        helper.make_node("Add", ["m", "plus"], ["y"]),
    ]
    return _save(path, nodes, weights, ("x", TensorProto.FLOAT, ["n", columns]),
                 ("y", TensorProto.FLOAT, ["n", columns]))  # fmt: skip


def wide(path, repeats=2048):
    """Write an ONNX model that answers each row ``repeats`` times over: small in, large out."""
    weights = [numpy_helper.from_array(np.array([1, repeats], dtype=np.int64), "repeats")]
    nodes = [helper.make_node("Tile", ["x", "repeats"], ["y"])]
    return _save(path, nodes, weights, ("x", TensorProto.FLOAT, ["n", 4]),
                 ("y", TensorProto.FLOAT, ["n", 4 * repeats]))  # fmt: skip


def sentences(folder):
    """Write a repository with ``sentences``: token ids of any length -> their masked mean."""
    nodes = [
        helper.make_node("Cast", ["ids"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["mask"], ["m"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "m"], ["real"]),
        helper.make_node("ReduceSum", ["real", "one"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["m", "one"], ["count"], keepdims=0),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
    ]
    weights = [numpy_helper.from_array(np.array([1], dtype=np.int64), "one")]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "length"])
        for name in ("ids", "mask")
    ]
    outputs = [helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["n"])]
    artifact = folder / "sentences" / "1" / "sentences.onnx"
    artifact.parent.mkdir(parents=True)
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        artifact,
    )
    (folder / "sentences" / "model.yaml").write_text(
        "preprocess:\n  - pad: {axis: 1, value: 0, mask: mask}\n"
    )
    return folder


def _save(path, nodes, weights, given, answered):
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(*given)],
        [helper.make_tensor_value_info(*answered)], weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(model, path)
    return path


def acts(folder, name="acts", *, more=(), **parameters):
    """Write a repository with the Python model ``Acts``; return the repository.

    ``parameters``: ``seconds`` of a batch (but for the golden one where ``quick``), file to
    ``record`` starts in, file ``broken`` whose presence aborts a load.
    ``more``: further lines of ``model.yaml``.
    """
    version = folder / name / "1"
    version.mkdir(parents=True)
    (version / "acting.py").write_text(ACTS)
    lines = ["runtime: python", "class: acting:Acts", *more]
    if parameters:
        lines.append(f"parameters: {json.dumps(parameters, default=str)}")
    (folder / name / "model.yaml").write_text("\n".join(lines) + "\n")
    return folder


def starts(record):
    """Return what ``Acts`` recorded: (monotonic seconds, first values) per batch."""
    return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
