"""A repository of small models for clients of the Open Inference Protocol, written for a test."""

import textwrap

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

DATATYPES = (
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16",
    "FP32", "FP64", "BYTES",
)  # fmt: skip

PYTHON = textwrap.dedent(
    """
    import numpy as np

    from inferd import Model


    class Echo(Model):
        def predict(self, inputs):
            return {name + "_out": array for name, array in inputs.items()}


    class Teller(Model):
        inputs = {"text_input": ("bytes", [-1])}
        outputs = {"text_output": ("bytes", [-1])}

        def predict(self, text_input, parameters=None):
            for word in ("caf\\u00e9", " ", "for", " ", "two"):
                yield word
    """
)


def repository(folder):
    """Write ``affine``, ``scores``, ``image``, ``echo`` and ``teller``; return the repository."""
    for name, columns in (("affine", 4), ("scores", 3)):
        _save(
            folder / name / "1" / f"{name}.onnx",
            [helper.make_node("Add", ["x", "one"], ["y"])],
            [numpy_helper.from_array(np.float32(1), "one")],
            ["n", columns],
        )
    _save(
        folder / "image" / "3" / "image.onnx",
        [helper.make_node("Identity", ["x"], ["y"])], [], ["n", 3, 224, 224],
    )  # fmt: skip
    (folder / "scores" / "1" / "labels.txt").write_text("cat\ndog\ncow\n")
    for name in ("echo", "teller"):
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "1" / "code.py").write_text(PYTHON)
    rows = [f"{{name: {n.lower()}, dtype: {n}, shape: [-1, -1]}}" for n in DATATYPES]
    outs = [f"{{name: {n.lower()}_out, dtype: {n}, shape: [-1, -1]}}" for n in DATATYPES]
    (folder / "echo" / "model.yaml").write_text(
        "runtime: python\nclass: code:Echo\nsignature:\n"
        f"  inputs: [{', '.join(rows)}]\n  outputs: [{', '.join(outs)}]\n"
    )
    (folder / "teller" / "model.yaml").write_text("runtime: python\nclass: code:Teller\n")
    return folder


def _save(path, nodes, weights, shape):
    path.parent.mkdir(parents=True)
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)], weights,
    )  # fmt: skip
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def tensors(rows=2, columns=3):
    """Return an input of every datatype for ``echo``, with what is hard to carry where it fits."""
    count = rows * columns
    hard = {
        "INT64": [2**53 + 1, -(2**63)],
        "UINT64": [2**64 - 1],
        "FP32": [np.inf, np.nan],
        "FP64": [-np.inf, 1e300],
        "FP16": [65504],
        "BYTES": [b"", b"\xff\x00", "\u00e9".encode()],
    }
    found = {}
    for name in DATATYPES:
        values = [*hard.get(name, []), *range(count)][:count]
        if name == "BYTES":
            array = np.empty(count, object)
            array[:] = [v if isinstance(v, bytes) else str(v).encode() for v in values]
        else:
            kind = {"FP16": "float16", "FP32": "float32", "FP64": "float64"}
            array = np.array(values).astype(kind.get(name, name.lower())) if name not in (
                "INT64", "UINT64"
            ) else np.array(values, name.lower())  # fmt: skip
        found[name.lower()] = array.reshape(rows, columns)
    return found
