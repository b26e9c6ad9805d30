"""What an evaluation asks: the pipeline as it is served, its Python steps and ONNX files, in this process."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime

from examples.recommender import metrics
from examples.recommender.data import LIKED, Ratings

STEPS = ("steps", "catalogue", "diverse", "liking")
MODELS = ("interest", "retrieve", "rank")


def session(file: Path) -> onnxruntime.InferenceSession:
    """Open an ONNX file for one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def answer(file: Path, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Run an ONNX file once."""
    return list(session(file).run(None, inputs))


@contextmanager
def steps_of(folder: Path) -> Iterator[ModuleType]:
    """Import the application's steps for the length of a block, as its worker does."""
    for name in STEPS:
        sys.modules.pop(name, None)
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("steps")
    finally:
        sys.path.remove(str(folder))
        for name in STEPS:
            sys.modules.pop(name, None)


class Asked:
    """The pipeline's parts, asked in this process."""

    def __init__(self, folder: Path, steps: ModuleType) -> None:
        self._steps = steps
        self._models = {m: session(folder / m / "1" / f"{m}.onnx") for m in MODELS}

    def _run(self, name: str, **inputs: np.ndarray) -> list[np.ndarray]:
        return [
            out[0] for out in self._models[name].run(None, {k: v[None] for k, v in inputs.items()})
        ]

    def __call__(
        self, history: Sequence[int], ratings: Sequence[float], *, k: int = metrics.CUT,
        diversity: float = 0.0, exclude: Sequence[int] = (), age: int = 0, gender: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        """Return the answer of one request; ``retrieved`` holds the candidates in order."""
        read = self._steps.read(
            np.array(history, np.int64), np.array(ratings, np.float32), 0, [],
            np.array(exclude, np.int64), age, gender, k, 0.0, diversity,
        )  # fmt: skip
        nothing = np.empty((0, 8))
        seen = self._steps.behaviour(**read, likes=[], found=nothing, sure=nothing)
        history, weights = seen["history"], seen["weights"]
        if seen["known"]:
            (interest,) = self._run("interest", history=history, weights=weights)
            found, affinity = self._run("retrieve", interest=interest, allowed=seen["allowed"])
            scores, because = self._run(
                "rank", history=history, weights=weights, candidates=found, affinity=affinity
            )
        else:
            new = self._steps.newcomer(seen["allowed"], age, gender)
            found, scores, because = new["candidates"], new["scores"], new["because"]
        choice = self._steps.choose(
            found, scores, because, history, seen["ratings"], seen["allowed"], age=age, gender=gender,
            notes=seen["notes"], k=k, threshold=0.0, diversity=diversity,
        )  # fmt: skip
        return {**choice, "retrieved": found}


@dataclass(frozen=True, slots=True)
class Case:
    """One person: what came first, and what of the rest was liked."""

    person: int
    history: np.ndarray
    ratings: np.ndarray
    liked: frozenset[int]


def cases(train: Ratings, later: Ratings) -> list[Case]:
    """Return everybody who liked something later."""
    out = []
    for person in np.unique(train.people):
        first, rest = train.of(person), later.of(person)
        liked = frozenset(rest.films[rest.ratings >= LIKED].tolist())
        if liked:
            out.append(Case(int(person), first.films, first.ratings, liked))
    return out


def best(scores: np.ndarray, seen: Iterable[int], count: int = metrics.CUT) -> list[int]:
    """Return the films of the largest scores that were not seen."""
    scores = scores.copy()
    scores[[0, *seen]] = -np.inf
    return np.argsort(-scores, kind="stable")[:count].tolist()
