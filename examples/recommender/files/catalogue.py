"""What the steps know: films, people, and what groups of people like. Read once in a worker."""

from __future__ import annotations

import json
from bisect import bisect_right
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
LIKED = 4
AGES = (18, 25, 35, 45, 55)
"""Where groups of age begin, beside that of 0."""

PRIOR = 30
"""The whole of the people counts as so many in a group: a small group does not say much by itself."""


class Catalogue:
    """Films and people. Tables by film have a place 0 that stands for no film."""

    def __init__(self, films: list[dict], people: dict[int, dict]) -> None:
        self.films = {film["id"]: film for film in films}
        self.people = people
        self.size = max(self.films) + 1
        self.genres = sorted({genre for film in films for genre in film["genres"]})
        self.kinds = np.zeros((self.size, len(self.genres)), bool)
        for film in films:
            self.kinds[film["id"], [self.genres.index(g) for g in film["genres"]]] = True
        # a few films are in the data twice: who saw one saw the other
        named: dict[tuple[str, int], int] = {}
        self.same = np.zeros(self.size, np.int64)
        for film in films:
            self.same[film["id"]] = named.setdefault((film["title"], film["year"]), film["id"])

    def name(self, film: int) -> str:
        """Return a film's title with its year."""
        known = self.films[film]
        return f"{known['title']} ({known['year']})" if known["year"] else known["title"]

    def known(self, film: int) -> bool:
        """Return whether there is such a film."""
        return film in self.films

    def twins(self, films: np.ndarray) -> np.ndarray:
        """Return bool by film: whether it is one of these, or the same under another number."""
        seen = np.isin(self.same, self.same[films])
        seen[0] = False
        return seen

    def group(self, age: int, gender: str) -> list[int]:
        """Return the people of an age (0: any) and gender (empty: any)."""
        return [
            number
            for number, person in self.people.items()
            if (not age or band(person["age"]) == band(age))
            and (not gender or person["gender"] == gender)
        ]

    def liked(self, people: list[int]) -> np.ndarray:
        """Return by film how many of these people liked it."""
        out = np.zeros(self.size)
        for number in people:
            person = self.people[number]
            films = np.array(person["history"], np.int64)
            out[films[np.array(person["ratings"]) >= LIKED]] += 1
        return out

    def shares(self, age: int, gender: str) -> np.ndarray:
        """Return by film which share of a group liked it, drawn towards that of everybody."""
        people = self.group(age, gender)
        overall = self.liked([*self.people]) / max(1, len(self.people))
        return (self.liked(people) + PRIOR * overall) / (len(people) + PRIOR)


def band(age: int) -> int:
    """Return the number of the group of an age."""
    return bisect_right(AGES, age)


def group_name(age: int, gender: str) -> str:
    """Return what a group is called."""
    who = {"F": "women", "M": "men"}.get(gender, "people")
    if not age:
        return who if gender else "everybody"
    number = band(age)
    if number == 0:
        return f"{who} under {AGES[0]}"
    if number == len(AGES):
        return f"{who} of {AGES[-1]} and over"
    return f"{who} of {AGES[number - 1]} to {AGES[number] - 1}"


@cache
def catalogue() -> Catalogue:
    """Return what lies beside this file."""
    films = json.loads((HERE / "films.json").read_text(encoding="utf-8"))
    people: dict[str, Any] = json.loads((HERE / "people.json").read_text(encoding="utf-8"))
    return Catalogue(films, {int(number): person for number, person in people.items()})


@cache
def shares(age_band: int, gender: str) -> np.ndarray:
    """Return ``Catalogue.shares`` of a group, worked out once. ``age_band``: -1 for any age."""
    starts = (1, *AGES)
    return catalogue().shares(0 if age_band < 0 else starts[age_band], gender)
