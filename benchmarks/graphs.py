"""ONNX graphs of the benchmark models, written with the ONNX helper API from random weights.

Speed depends on shapes and operators, not on what was learnt, so the weights are drawn from a
seeded generator: the same file on every machine, and nothing to download. ``Graph`` gathers nodes
and weights; each layer is a function that adds its nodes and returns the name of its output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

OPSET = 20
IR_VERSION = 10

Dims = Sequence[int | str]


class Graph:
    """Collects the nodes and initializers of one ONNX graph."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def constant(self, array: np.ndarray) -> str:
        """Add ``array`` as an initializer and return its name."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def random(self, *shape: int, scale: float) -> str:
        """Add a normal float32 initializer with standard deviation ``scale``."""
        return self.constant((self.rng.standard_normal(shape) * scale).astype(np.float32))

    def filled(self, value: float, *shape: int) -> str:
        """Add a constant float32 initializer."""
        return self.constant(np.full(shape, value, np.float32))

    def ints(self, *values: int) -> str:
        """Add a one-dimensional int64 initializer (axes, shapes)."""
        return self.constant(np.array(values, np.int64))

    def op(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """Add one node and return the name of its output."""
        out = out or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def model(
        self, inputs: Mapping[str, tuple[int, Dims]], outputs: Mapping[str, Dims | tuple[int, Dims]]
    ) -> ModelProto:
        """Close the graph; inputs are name -> (ONNX type, shape), outputs too, or float32 of a shape."""
        graph = helper.make_graph(
            self.nodes,
            "benchmark",
            [helper.make_tensor_value_info(n, t, s) for n, (t, s) in inputs.items()],
            [helper.make_tensor_value_info(n, *_typed(out)) for n, out in outputs.items()],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        checker.check_model(model, full_check=True)
        return model


def _typed(output: Any) -> tuple[int, Dims]:
    return output if isinstance(output, tuple) else (TensorProto.FLOAT, output)


def linear(g: Graph, x: str, inputs: int, outputs: int, *, gain: float = 1.0) -> str:
    """Add ``x @ W + b``."""
    product = g.op("MatMul", x, g.random(inputs, outputs, scale=gain / inputs**0.5))
    return g.op("Add", product, g.random(outputs, scale=0.02))


def mlp() -> ModelProto:
    """Return T: 4 features -> 3 probabilities, float32 ``[batch, 4]`` -> ``[batch, 3]``."""
    g = Graph(1)
    hidden = g.op("Relu", linear(g, "x", 4, 128, gain=2.0))
    for _ in range(2):
        hidden = g.op("Relu", linear(g, hidden, 128, 128, gain=1.5))
    g.op("Softmax", linear(g, hidden, 128, 3), out="probabilities", axis=-1)
    return g.model({"x": (TensorProto.FLOAT, ["batch", 4])}, {"probabilities": ["batch", 3]})


def same(kind: int, dims: Dims, name: str, *, work: bool = False) -> ModelProto:
    """Return a model that answers what it is given; ``work``: after as much arithmetic as T has.

    ``name``: of its input; its output is called ``same``. It stands for the steps around a model, so
    that a pipeline must answer just what the model in it does.
    """
    g = Graph(5)
    if work:
        hidden = g.op("Relu", linear(g, name, 4, 128, gain=2.0))
        for _ in range(2):
            hidden = g.op("Relu", linear(g, hidden, 128, 128, gain=1.5))
        nothing = g.op("Mul", linear(g, hidden, 128, 4), g.filled(0.0, 1))
        g.op("Add", name, nothing, out="same")
    else:
        g.op("Identity", name, out="same")
    return g.model({name: (kind, dims)}, {"same": (kind, dims)})


def means() -> ModelProto:
    """Return B: the mean of each colour, float32 ``[batch, 3, 224, 224]`` -> ``[batch, 3]``.

    As cheap as a model that reads all of its input can be.
    """
    g = Graph(4)
    g.op("ReduceMean", "image", g.ints(2, 3), out="means", keepdims=0)
    image: tuple[int, Dims] = (TensorProto.FLOAT, ["batch", 3, 224, 224])
    return g.model({"image": image}, {"means": ["batch", 3]})


def _norm(g: Graph, x: str, width: int) -> str:
    scale, bias = g.filled(1.0, width), g.filled(0.0, width)
    return g.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-12)


def _attention(g: Graph, x: str, bias: str, width: int, heads: int) -> str:
    """Add multi-head self-attention; ``bias`` is ``[batch, 1, 1, sequence]``, added to scores."""
    split, merge = g.ints(0, 0, heads, width // heads), g.ints(0, 0, width)

    def project(perm: list[int]) -> str:
        return g.op("Transpose", g.op("Reshape", linear(g, x, width, width), split), perm=perm)

    query, key, value = project([0, 2, 1, 3]), project([0, 2, 3, 1]), project([0, 2, 1, 3])
    scores = g.op("MatMul", query, key)
    scale = g.constant(np.array((width // heads) ** -0.5, np.float32))
    weights = g.op("Softmax", g.op("Add", g.op("Mul", scores, scale), bias), axis=-1)
    context = g.op("Transpose", g.op("MatMul", weights, value), perm=[0, 2, 1, 3])
    return linear(g, g.op("Reshape", context, merge), width, width)


def transformer(
    *, layers: int = 6, width: int = 384, heads: int = 12, ffn: int = 1536, vocabulary: int = 30522,
    positions: int = 512,
) -> ModelProto:  # fmt: skip
    """Return M, shaped like all-MiniLM-L6-v2: token ids and mask to one mean-pooled embedding.

    ``input_ids`` and ``attention_mask`` are int64 ``[batch, sequence]``; ``embedding`` is float32
    ``[batch, width]``. Masked positions change nothing, so padding does not change an answer.
    """
    g = Graph(2)
    mask = g.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    hidden_mask = g.op("Unsqueeze", mask, g.ints(1, 2))
    one, big = g.constant(np.array(1, np.float32)), g.constant(np.array(-1e4, np.float32))
    bias = g.op("Mul", g.op("Sub", one, hidden_mask), big)
    words = g.op("Gather", g.random(vocabulary, width, scale=0.05), "input_ids")
    length = g.op("Shape", "input_ids", start=1, end=2)
    table = g.random(positions, width, scale=0.05)
    place = g.op("Slice", table, g.ints(0), length, g.ints(0))
    x = _norm(g, g.op("Add", words, place), width)
    for _ in range(layers):
        x = _norm(g, g.op("Add", x, _attention(g, x, bias, width, heads)), width)
        inner = g.op("Gelu", linear(g, x, width, ffn))
        x = _norm(g, g.op("Add", x, linear(g, inner, ffn, width)), width)
    weight = g.op("Unsqueeze", mask, g.ints(2))
    total = g.op("ReduceSum", g.op("Mul", x, weight), g.ints(1), keepdims=0)
    count = g.op("ReduceSum", weight, g.ints(1), keepdims=0)
    g.op("Div", total, count, out="embedding")
    ids: tuple[int, Dims] = (TensorProto.INT64, ["batch", "sequence"])
    return g.model({"input_ids": ids, "attention_mask": ids}, {"embedding": ["batch", width]})


def _conv(g: Graph, x: str, inputs: int, outputs: int, *, size: int, stride: int) -> str:
    weight = g.random(outputs, inputs, size, size, scale=(2.0 / (inputs * size * size)) ** 0.5)
    return g.op(
        "Conv", x, weight, g.filled(0.01, outputs), kernel_shape=[size, size],
        strides=[stride, stride], pads=[size // 2] * 4,
    )  # fmt: skip


def _block(g: Graph, x: str, inputs: int, outputs: int) -> str:
    """Add one basic residual block; a change of width halves the picture, as in ResNet-18."""
    stride = 1 if inputs == outputs else 2
    inner = g.op("Relu", _conv(g, x, inputs, outputs, size=3, stride=stride))
    inner = _conv(g, inner, outputs, outputs, size=3, stride=1)
    short = x if stride == 1 else _conv(g, x, inputs, outputs, size=1, stride=stride)
    # Halving keeps activations from growing without the batch normalisation folded away here.
    both = g.op("Mul", g.op("Add", inner, short), g.constant(np.array(0.5, np.float32)))
    return g.op("Relu", both)


def resnet18() -> ModelProto:
    """Return C: ``[batch, 3, 224, 224]`` float32 -> ``[batch, 1000]`` logits.

    Batch normalisation is folded into the convolutions, as exporters for inference do.
    """
    g = Graph(3)
    x = g.op("Relu", _conv(g, "image", 3, 64, size=7, stride=2))
    x = g.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    width = 64
    for stage in (64, 128, 256, 512):
        for _ in range(2):
            x = _block(g, x, width, stage)
            width = stage
    x = g.op("Flatten", g.op("GlobalAveragePool", x), axis=1)
    product = g.op("MatMul", x, g.random(512, 1000, scale=512**-0.5))
    g.op("Add", product, g.random(1000, scale=0.02), out="logits")
    image: tuple[int, Dims] = (TensorProto.FLOAT, ["batch", 3, 224, 224])
    return g.model({"image": image}, {"logits": ["batch", 1000]})
