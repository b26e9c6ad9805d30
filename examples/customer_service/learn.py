"""Learns the intents and lays out the passages: from sentences to two small ONNX models, and how good they are.

Both models take the vector of a text. ``intent`` is a logistic regression, ``search`` a product with the
vectors of all wordings of all passages; so neither needs more than a matrix.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from examples.customer_service import sentences
from examples.customer_service.files import choose

REAL = {"snips": 300, "chatterbot": 300}
"""So many of the real sentences that are no business of a shop's are learnt from."""

MEASURED = 300
"""Real commands that are measured with: of the part of SNIPS that is meant for it."""

STRENGTH = 10.0
FOLDS = 5
TOP = 10
RIGHT = 0.9
"""An intent is sure from the confidence on from which so many of those held out are right."""

SPARED = 0.99
"""A passage is near from the similarity on that so many of the real sentences do not reach."""

Embed = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True, slots=True)
class Learnt:
    """``weights`` and ``bias`` of the regression, its ``intents``; ``wordings``: vectors, each with a passage."""

    intents: list[str]
    weights: np.ndarray
    bias: np.ndarray
    wordings: np.ndarray
    passages: list[str]
    thresholds: dict[str, float]
    report: dict[str, Any]


def wordings(faq: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return every question that a passage answers, with its passage and topic."""
    return [(asked, p["id"], p["topic"]) for p in faq for asked in (p["title"], *p["also"])]


def learn(embed: Embed, faq: Sequence[dict[str, Any]], cache: Path | None = None) -> Learnt:
    """Learn from all sentences, and measure on those that were held out."""
    asked = wordings(faq)
    own = [*sentences.own(), *((text, topic) for text, _, topic in asked)]
    real = [*_some(sentences.snips("train", cache), REAL["snips"]),
            *_some(sentences.chatterbot(cache), REAL["chatterbot"])]  # fmt: skip
    vectors = embed([text for text, _ in own])
    strange = embed(real)
    x = np.concatenate([vectors, strange])
    y = np.array([intent for _, intent in own] + [sentences.OUT_OF_SCOPE] * len(real))
    model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    held_out = cross_val_predict(model, x, y, cv=folds, method="predict_proba")[: len(own)]
    model.fit(x, y)
    matrix = vectors[len(vectors) - len(asked) :]
    thresholds = {
        "sure": sure(held_out.max(1), model.classes_[held_out.argmax(1)] == y[: len(own)]),
        "near": float(np.quantile((strange @ matrix.T).max(1), SPARED)),
    }
    learnt = Learnt(
        [str(c) for c in model.classes_], model.coef_.astype(np.float32),
        model.intercept_.astype(np.float32), matrix, [passage for _, passage, _ in asked],
        {name: round(value, 3) for name, value in thresholds.items()}, {},
    )  # fmt: skip
    right = model.classes_[held_out.argmax(1)] == y[: len(own)]
    learnt.report.update(
        own_sentences=len(own), real_sentences=len(real), intents=len(learnt.intents),
        intent_accuracy_own_cross_validated=round(float(right.mean()), 3),
        thresholds=learnt.thresholds, **measured(learnt, embed, {p["id"]: p["topic"] for p in faq}, cache),
    )  # fmt: skip
    return learnt


def sure(confidences: np.ndarray, right: np.ndarray) -> float:
    """Return the lowest confidence from which on ``RIGHT`` of the answers are right; 1 where there is none."""
    order = np.argsort(-confidences)
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(share >= RIGHT)
    return float(confidences[order][enough[-1]]) if len(enough) else 1.0


def measured(
    learnt: Learnt, embed: Embed, topics: dict[str, str], cache: Path | None = None
) -> dict[str, Any]:
    """Return how many of the questions that were never learnt from get their intent and passage."""
    asked = sentences.questions()
    vectors = embed([question for question, _, _ in asked])
    intents = [learnt.intents[i] for i in (vectors @ learnt.weights.T + learnt.bias).argmax(1)]
    found = [learnt.passages[i] for i in (vectors @ learnt.wordings.T).argmax(1)]
    answered = [i for i, (_, _, passage) in enumerate(asked) if passage != "-"]
    decisions = [_decision(learnt, vector, topics) for vector in vectors]
    wanted = [None if passage == "-" else passage for _, _, passage in asked]
    commands = embed(_some(sentences.snips("test", cache), MEASURED))
    strange = (commands @ learnt.weights.T + learnt.bias).argmax(1)
    return {
        "questions": len(asked),
        "intent_accuracy_questions": _share(i == row[1] for i, row in zip(intents, asked, strict=True)),
        "passage_accuracy_questions": _share(found[i] == asked[i][2] for i in answered),
        "decided_rightly": _share(d.passage == w for d, w in zip(decisions, wanted, strict=True)),
        "wrong_passages": sum(d.passage not in (None, w) for d, w in zip(decisions, wanted, strict=True)),
        "snips_commands": len(commands),
        "snips_out_of_scope": _share(learnt.intents[i] == sentences.OUT_OF_SCOPE for i in strange),
        "snips_near_a_passage": _share(
            (commands @ learnt.wordings.T).max(1) >= learnt.thresholds["near"]
        ),
    }  # fmt: skip


def _decision(learnt: Learnt, vector: np.ndarray, topics: dict[str, str]) -> choose.Decision:
    """Decide as the application does."""
    logits = learnt.weights @ vector + learnt.bias
    odds = np.exp(logits - logits.max())
    look = choose.Look(
        _ranked(learnt.intents, odds / odds.sum()),
        _ranked(learnt.passages, learnt.wordings @ vector),
    )
    return choose.decide(look, (), topics, learnt.thresholds)


def _ranked(names: Sequence[str], scores: np.ndarray) -> list[tuple[str, float]]:
    return [(names[i], float(scores[i])) for i in np.argsort(-scores)[:TOP]]


def _share(hits: Any) -> float:
    found = [bool(hit) for hit in hits]
    return round(sum(found) / len(found), 3)


def _some(texts: list[str], count: int) -> list[str]:
    """Return so many of the texts, spread evenly."""
    step = max(1, len(texts) // count)
    return texts[::step][:count]


def intent_model(learnt: Learnt) -> onnx.ModelProto:
    """Return the regression as a graph: ``embedding`` to ``probabilities``."""
    return _graph(
        [helper.make_node("Gemm", ["embedding", "weights", "bias"], ["logits"], transB=1),
         helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1)],
        {"weights": learnt.weights, "bias": learnt.bias}, "probabilities",
    )  # fmt: skip


def search_model(learnt: Learnt) -> onnx.ModelProto:
    """Return the search as a graph: ``embedding`` to the ``similarity`` of every wording."""
    return _graph(
        [helper.make_node("Gemm", ["embedding", "wordings"], ["similarity"], transB=1)],
        {"wordings": learnt.wordings.astype(np.float32)}, "similarity",
    )  # fmt: skip


def _graph(nodes: list[Any], constants: dict[str, np.ndarray], output: str) -> onnx.ModelProto:
    rows, size = next(iter(constants.values())).shape
    graph = helper.make_graph(
        nodes, output,
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", size])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", rows])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def write(learnt: Learnt, folder: Path) -> None:
    """Put models, labels, thresholds and the report into an application's folder."""
    made = {"intent": (intent_model(learnt), learnt.intents),
            "search": (search_model(learnt), learnt.passages)}  # fmt: skip
    for name, (model, labels) in made.items():
        (folder / name / "1").mkdir(parents=True, exist_ok=True)
        onnx.save(model, folder / name / "1" / f"{name}.onnx")
        (folder / name / "labels.txt").write_text("".join(f"{label}\n" for label in labels))
    (folder / "thresholds.json").write_text(json.dumps(learnt.thresholds))
    (folder / "evaluation.json").write_text(json.dumps(learnt.report, indent=2) + "\n")
