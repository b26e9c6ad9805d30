"""A bag of n-grams: how a text becomes ids, which runs of ids count, and the ONNX graph that weighs them.

English words and Chinese characters are tokens, every digit is ``0``. ``graph`` counts the runs of one to
``longest`` ids that are in the pool with the standard operator ``TfIdfVectorizer``; id 0 fills up and is in none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import tokenizers
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper
from scipy.sparse import csr_matrix
from tokenizers import models, normalizers, pre_tokenizers

UNKNOWN = "[UNK]"
OPSET = 17
TINY = 1e-3
Run = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bag:
    """Which runs of ids count, in the operator's order (short runs first), and the weight of each."""

    runs: tuple[Run, ...]
    rarity: np.ndarray
    longest: int

    def matrix(self, ids: Sequence[Sequence[int]]) -> csr_matrix:
        """Return one row of weights of length 1 for each text: what the graph computes."""
        place = {run: index for index, run in enumerate(self.runs)}
        rows, columns, values = [], [], []
        for row, text in enumerate(ids):
            found = sorted({place[run] for run in _runs(text, self.longest) if run in place})
            weights = self.rarity[found]
            rows += [row] * len(found)
            columns += found
            values += list(weights / max(float(np.linalg.norm(weights)), 1e-9))
        return csr_matrix((values, (rows, columns)), (len(ids), len(self.runs)), np.float32)


def tokenizer(texts: Iterable[str], language: str, rare: int) -> tokenizers.Tokenizer:
    """Return what turns texts into ids; tokens seen less often than ``rare`` are unknown ones (id 1)."""
    normal = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace(tokenizers.Regex(r"\d"), "0"),
        ]
    )
    split: pre_tokenizers.PreTokenizer = pre_tokenizers.Whitespace()
    if language == "zh":
        each = pre_tokenizers.Split(tokenizers.Regex("."), "isolated")
        split = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), each])
    seen = Counter(
        token for t in texts for token, _ in split.pre_tokenize_str(normal.normalize_str(t))
    )
    kept = sorted(token for token, count in seen.items() if count >= rare)
    vocabulary = {token: index for index, token in enumerate(["[PAD]", UNKNOWN, *kept])}
    made = tokenizers.Tokenizer(models.WordLevel(vocabulary, UNKNOWN))
    made.normalizer = normal
    made.pre_tokenizer = split
    return made


def fit(ids: Sequence[Sequence[int]], longest: int, rare: int, most: int) -> Bag:
    """Return the bag of the commonest runs that at least ``rare`` texts hold."""
    seen = Counter(run for text in ids for run in set(_runs(text, longest)))
    common = sorted((run for run, n in seen.items() if n >= rare), key=lambda r: (-seen[r], r))[
        :most
    ]
    runs = tuple(sorted(common, key=lambda run: (len(run), run)))
    counts = np.array([seen[run] for run in runs], np.float64)
    rarity = np.log((1 + len(ids)) / (1 + counts)) + 1
    return Bag(runs, rarity.astype(np.float32), longest)


def _runs(ids: Sequence[int], longest: int) -> Iterable[Run]:
    for size in range(1, longest + 1):
        for start in range(len(ids) - size + 1):
            run = tuple(ids[start : start + size])
            if 1 not in run:
                yield run


def graph(
    weights: np.ndarray,
    bias: np.ndarray,
    inputs: dict[str, int],
    bag: Bag | None = None,
    *,
    logs: Sequence[str] = (),
) -> ModelProto:
    """Return a linear classifier: the bag's weights of ``ids``, then ``inputs`` ({name: size}) -> ``scores``.

    ``weights`` is [features, classes] in that order; ``scores`` [batch, classes] are probabilities. ``logs``
    names inputs that count as their logarithms.
    """
    constants = {"weights": weights.astype(np.float32), "bias": bias.astype(np.float32)}
    nodes: list[onnx.NodeProto] = []
    values = []
    parts = list(inputs)
    if bag is not None:
        values.append(helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "tokens"]))
        nodes += _counted(bag, constants)
        parts.insert(0, "grams")
    values += [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
        for name, size in inputs.items()
    ]
    if logs:
        constants["tiny"] = np.array(TINY, np.float32)
    for name in logs:
        nodes += [
            helper.make_node("Add", [name, "tiny"], [f"{name}/positive"]),
            helper.make_node("Log", [f"{name}/positive"], [f"{name}/log"]),
        ]
    parts = [f"{part}/log" if part in logs else part for part in parts]
    nodes += [
        helper.make_node("Concat", parts, ["features"], axis=1),
        helper.make_node("Gemm", ["features", "weights", "bias"], ["sums"]),
        helper.make_node("Softmax", ["sums"], ["scores"], axis=1),
    ]
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", len(bias)])
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    body = helper.make_graph(nodes, "classifier", values, [scores], tensors)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    checker.check_model(model)
    return model


def log(values: np.ndarray) -> np.ndarray:
    """Return what the inputs named by ``logs`` count as."""
    return np.asarray(np.log(values + TINY), np.float32)


def _counted(bag: Bag, constants: dict[str, np.ndarray]) -> list[onnx.NodeProto]:
    sizes = [len(run) for run in bag.runs]
    begins = [sum(n * sizes.count(n) for n in range(1, size)) for size in range(1, bag.longest + 1)]
    constants |= {
        "one": np.array(1, np.float32),
        "least": np.array(1e-9, np.float32),
        "rarity": bag.rarity,
    }
    count = helper.make_node(
        "TfIdfVectorizer", ["ids"], ["counts"], mode="TF", min_gram_length=1, max_gram_length=bag.longest,
        max_skip_count=0, ngram_counts=begins, ngram_indexes=list(range(len(bag.runs))),
        pool_int64s=[i for run in bag.runs for i in run],
    )  # fmt: skip
    return [
        count,
        helper.make_node("Min", ["counts", "one"], ["there"]),
        helper.make_node("Mul", ["there", "rarity"], ["weighed"]),
        helper.make_node("ReduceL2", ["weighed"], ["length"], axes=[1], keepdims=1),
        helper.make_node("Max", ["length", "least"], ["divisor"]),
        helper.make_node("Div", ["weighed", "divisor"], ["grams"]),
    ]
