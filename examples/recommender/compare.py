"""The offline comparison: what is served, and what it has to beat, on ratings that nothing was trained on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np

from examples.kit.prepare import progress
from examples.recommender import metrics, models
from examples.recommender.data import MovieLens, Ratings
from examples.recommender.evaluate import Asked, Case, best, cases, steps_of
from examples.recommender.files.liking import latest_most

FEW = 5
"""So many films are known of somebody who has only begun."""

DIVERSITIES = (0.1, 0.5)

Told = dict[str, dict[str, float]]


def measure(data: MovieLens, train: Ratings, later: Ratings, folder: Path, keep: int) -> Told:
    """Return recall, NDCG and likeness of genres of all that are compared, by name.

    ``folder``: the application. ``keep``: how many neighbours a film has.
    """
    everybody = cases(train, later)
    found = Found(data)
    with_counts(found, data, train, everybody, keep)
    with steps_of(folder) as steps:
        with_pipeline(found, Asked(folder, steps), everybody)
        with_newcomers(found, data, train, steps, everybody)
    return found.told()


class Found:
    """What was recommended to whom, by the name of what recommended it."""

    def __init__(self, data: MovieLens) -> None:
        self._genres = {film["id"]: frozenset(film["genres"]) for film in data.films}
        self._lists: dict[str, list[tuple[list[int], frozenset[int]]]] = {}

    def add(self, name: str, case: Case, films: Sequence[int]) -> None:
        """Note a list."""
        first = [int(film) for film in films[: metrics.CUT]]
        self._lists.setdefault(name, []).append((first, case.liked))

    def told(self) -> Told:
        """Return the measures by name."""
        return {
            name: {**metrics.mean(lists), "genre_likeness": self._alike(lists)}
            for name, lists in self._lists.items()
        }

    def _alike(self, lists: list[tuple[list[int], frozenset[int]]]) -> float:
        of_each = [metrics.likeness([self._genres[film] for film in films]) for films, _ in lists]
        return float(np.mean(of_each))


def with_counts(
    found: Found, data: MovieLens, train: Ratings, everybody: list[Case], keep: int
) -> None:
    """Add what is simpler: popularity, and item neighbours of all, of the latest most, of a few."""
    counts = models.table(train, len(data.people), data.size)
    popular = models.popularity(models.table(train, len(data.people), data.size, liked=True))
    few, fresh = np.zeros_like(counts), np.zeros_like(counts)
    for case in everybody:
        last = case.history[-FEW:]
        few[case.person, last] = counts[case.person, last]
        fresh[case.person, case.history] = latest_most(case.ratings)
    near = models.neighbours(counts, keep)
    tables = {
        "item neighbours": counts @ near,
        "item neighbours, latest most": fresh @ near,
        f"item neighbours, {FEW} films": few @ near,
    }
    for case in everybody:
        found.add("popularity", case, best(popular, case.history))
        for name, table in tables.items():
            found.add(name, case, best(table[case.person], case.history))


def with_pipeline(found: Found, ask: Asked, everybody: list[Case]) -> None:
    """Add what is served: retrieval alone, the ranking, lists that are diverse, and a few films known."""
    for case in progress(everybody, "evaluating"):
        seen, ratings = case.history, case.ratings
        answered = ask(seen, ratings)
        found.add("retrieval alone", case, answered["retrieved"])
        found.add("pipeline", case, answered["films"])
        for diversity in DIVERSITIES:
            answered = ask(seen, ratings, diversity=diversity)
            found.add(f"pipeline, diversity {diversity}", case, answered["films"])
        # what else they saw is not recommended, as for all others
        answered = ask(seen[-FEW:], ratings[-FEW:], exclude=seen)
        found.add(f"pipeline, {FEW} films", case, answered["films"])


def with_newcomers(
    found: Found, data: MovieLens, train: Ratings, steps: ModuleType, everybody: list[Case]
) -> None:
    """Add what people would be recommended of whom nothing, or only age and gender, is known.

    They are among the people counted, so what they liked themselves is taken out of the counts.
    """
    have, weight = steps.catalogue(), sys.modules["catalogue"].PRIOR
    liked = models.table(train, len(data.people), data.size, liked=True)

    @cache
    def group(age_band: int, gender: str) -> tuple[np.ndarray, int]:
        people = [n for n, p in have.people.items() if band_of(p) == (age_band, gender)]
        return have.liked(people), len(people)

    def band_of(person: dict) -> tuple[int, str]:
        return steps.band(person["age"]), person["gender"]

    everywhere = have.liked([*have.people])
    for case in everybody:
        own = liked[case.person]
        overall = (everywhere - own) / (len(have.people) - 1)
        counted, size = group(*band_of(data.people[case.person]))
        shares = (counted - own + weight * overall) / (size - 1 + weight)
        found.add("newcomer, nothing said", case, best(overall, case.history))
        found.add("newcomer, age and gender", case, best(shares, case.history))
