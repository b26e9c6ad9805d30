"""Offline evaluation: what is served, and what it has to beat, on ratings that nothing was trained on.

The pipeline is asked as it is served: its Python steps and its ONNX files, one person after the other.
"""

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

from examples.kit.prepare import progress
from examples.recommender import metrics, models
from examples.recommender.data import LIKED, MovieLens, Ratings
from examples.recommender.files.liking import latest_most

STEPS = ("steps", "catalogue", "diverse", "liking")
MODELS = ("interest", "retrieve", "rank")
FEW = 5


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


def measure(
    data: MovieLens, train: Ratings, later: Ratings, folder: Path, keep: int
) -> dict[str, dict[str, float]]:
    """Return recall and NDCG of all that are compared. ``keep``: neighbours of a film."""
    everybody = cases(train, later)
    counts = models.table(train, len(data.people), data.size)
    liked = models.table(train, len(data.people), data.size, liked=True)
    popular, near = models.popularity(liked), models.neighbours(counts, keep)
    genres = {film["id"]: film["genres"] for film in data.films}
    lists: dict[str, list[tuple[list[int], frozenset[int]]]] = {}
    alike: dict[str, list[float]] = {}

    def add(name: str, case: Case, films: Sequence[int]) -> None:
        lists.setdefault(name, []).append(([int(f) for f in films], case.liked))
        alike.setdefault(name, []).append(
            metrics.likeness([genres[int(f)] for f in films[: metrics.CUT]])
        )

    with steps_of(folder) as steps:
        ask = Asked(folder, steps)
        for case in progress(everybody, "evaluating"):
            seen, person = case.history, data.people[case.person]
            row = counts[case.person]
            few, fresh = np.zeros_like(row), np.zeros_like(row)
            few[seen[-FEW:]] = row[seen[-FEW:]]
            fresh[seen] = latest_most(case.ratings)
            add("popularity", case, best(popular, seen))
            add("item neighbours", case, best(row @ near, seen))
            add("item neighbours, latest most", case, best(fresh @ near, seen))
            answered = ask(seen, case.ratings)
            add("retrieval alone", case, answered["retrieved"])
            add("pipeline", case, answered["films"])
            for diversity in (0.1, 0.5):
                answered = ask(seen, case.ratings, diversity=diversity)
                add(f"pipeline, diversity {diversity}", case, answered["films"])
            add(f"item neighbours, {FEW} films", case, best(few @ near, seen))
            answered = ask(seen[-FEW:], case.ratings[-FEW:], exclude=seen)
            add(f"pipeline, {FEW} films", case, answered["films"])
            own = liked[case.person]
            add("newcomer, nothing said", case, best(popular - own, seen))
            add("newcomer, age and gender", case, newcomer(steps, person, own, seen))
    return {
        name: {**metrics.mean(found), "genre_likeness": float(np.mean(alike[name]))}
        for name, found in lists.items()
    }


def newcomer(steps: ModuleType, person: dict, own: np.ndarray, seen: np.ndarray) -> list[int]:
    """Return what a person would be recommended of whom only age and gender are known.

    They are among the people counted, so what they liked themselves is taken out of the counts.
    """
    have, group = steps.catalogue(), importlib.import_module("catalogue").GROUP
    size = len(have.group(person["age"], person["gender"]))
    everybody = len(have.people)
    overall = _liked(have, 0, "") / everybody
    shares = _liked(have, person["age"], person["gender"]) - own
    return best((shares + group * (overall - own / everybody)) / (size - 1 + group), seen)


_LIKED: dict[tuple[int, int, str], np.ndarray] = {}


def _liked(have: Any, age: int, gender: str) -> np.ndarray:
    key = (id(have), age, gender)
    if key not in _LIKED:
        _LIKED[key] = have.liked(have.group(age, gender))
    return _LIKED[key]
