"""MovieLens-100k, read out of a package: people, films, ratings, and which ratings are held out.

The ratings of each person are cut by time: the last fifth is held out. Films rated in the same second
come in a fixed random order. Nothing that is held out is used to train, to tune or to serve.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from examples.kit.packages import Package, member

PACKAGE = Package(
    "recbole", "1.2.1", "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
)
FOLDER = "recbole/dataset_example/ml-100k"
HELD_OUT = 0.2
LIKED = 4
"""From this rating on a film counts as liked: what is recommended ought to be."""

ARTICLES = "The|A|An|La|Le|L'|Les|Il|Das|Der|Die|El|Los|Las|Un|Une|Lo"
MOVED = re.compile(rf"^(?P<rest>.+), (?P<article>{ARTICLES})(?P<more> \(.*\))?$")


@dataclass(frozen=True, slots=True)
class Ratings:
    """Arrays of one length, by person and, for each, by time."""

    people: np.ndarray
    films: np.ndarray
    ratings: np.ndarray

    def __len__(self) -> int:
        return len(self.people)

    def __getitem__(self, where: np.ndarray) -> Ratings:
        return Ratings(self.people[where], self.films[where], self.ratings[where])

    def of(self, person: int) -> Ratings:
        """Return those of one person."""
        return self[self.people == person]


@dataclass(frozen=True, slots=True)
class MovieLens:
    """``films`` are dicts of id, title, year and genres, ``people`` of age and gender by number.

    Both are numbered from 1 without gaps; 0 stands for no film.
    """

    films: list[dict]
    people: dict[int, dict]
    ratings: Ratings

    @property
    def size(self) -> int:
        """How many places a table by film has: one more than there are films."""
        return len(self.films) + 1


def load(wheel: Path) -> MovieLens:
    """Read the data out of the package."""
    films = [
        {
            "id": int(number),
            "title": tidy(title),
            "year": int(year) if year.isdigit() else 0,
            "genres": [g for g in genres.split() if g != "unknown"],
        }
        for number, title, year, genres in _rows(wheel, "item")
    ]
    people = {
        int(number): {"age": int(age), "gender": gender}
        for number, age, gender, *_ in _rows(wheel, "user")
    }
    table = np.array(_rows(wheel, "inter"), dtype=np.float64)
    if [f["id"] for f in films] != list(range(1, len(films) + 1)):
        raise SystemExit("the films of the package are not numbered from 1 without gaps")
    return MovieLens(films, people, in_order(table))


def in_order(table: np.ndarray, seed: int = 0) -> Ratings:
    """Return rows of (person, film, rating, time) by person and time; those of one time by chance."""
    chance = np.random.default_rng(seed).random(len(table))
    people, films, ratings, _ = table[np.lexsort((chance, table[:, 3], table[:, 0]))].T
    return Ratings(people.astype(int), films.astype(int), ratings.astype(np.float32))


def split(ratings: Ratings, share: float = HELD_OUT) -> tuple[Ratings, Ratings]:
    """Return (what comes first, the last ``share`` of each person); each keeps one at least."""
    later = np.zeros(len(ratings), bool)
    starts = np.flatnonzero(np.diff(ratings.people, prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(ratings)], strict=True):
        count = min(max(1, round((end - start) * share)), end - start - 1)
        later[end - count : end] = True
    return ratings[~later], ratings[later]


def tidy(title: str) -> str:
    """Return a title with its article where it is said: "Birdcage, The" is "The Birdcage"."""
    found = MOVED.match(title.strip())
    if not found:
        return title.strip()
    gap = "" if found["article"].endswith("'") else " "
    return f"{found['article']}{gap}{found['rest']}{found['more'] or ''}"


def _rows(wheel: Path, kind: str) -> list[list[str]]:
    """Return the rows of one of the package's tables, without its head."""
    text = member(wheel, f"{FOLDER}/ml-100k.{kind}").decode()
    return [line.split("\t") for line in text.splitlines()[1:]]
