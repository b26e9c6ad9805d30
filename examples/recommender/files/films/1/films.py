"""Titles by what somebody types: whole words, beginnings of words, and what is nearly so."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter, defaultdict
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

from inferd import Model

SHOWN = 8
LONGEST = 100
"""So many characters of a text are looked at."""


class Films(Model):
    """Finds films by title. ``films.json`` lies beside this file."""

    def load(self, path: Path) -> None:
        self.find = Finder(json.loads((Path(path) / "films.json").read_text(encoding="utf-8")))

    def predict(self, text: list[str]) -> dict[str, object]:
        rows = [self.find(one) for one in text]
        return {
            "films": np.array([[film["id"] for film, _ in row] for row in rows], np.int64),
            "titles": [[film["title"] for film, _ in row] for row in rows],
            "years": np.array([[film["year"] for film, _ in row] for row in rows], np.int64),
            "scores": np.array([[score for _, score in row] for row in rows], np.float32),
        }


class Finder:
    """Compares a text with every title by the three-letter pieces they share."""

    def __init__(self, films: list[dict]) -> None:
        self._films = films
        self._names = [plain(film["title"]) for film in films]
        self._pieces = [pieces(name) for name in self._names]
        self._counts = np.array([sum(p.values()) for p in self._pieces])
        self._where: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for place, found in enumerate(self._pieces):
            for piece, count in found.items():
                self._where[piece].append((place, count))

    def __call__(self, text: str) -> list[tuple[dict, float]]:
        """Return the films whose titles are most like a text, and how much, 0 to 1; the best first."""
        year, wanted = the_year(plain(text[:LONGEST]))
        mine = pieces(wanted)
        shared = np.zeros(len(self._films))
        for piece, count in mine.items():
            for place, there in self._where.get(piece, ()):
                shared[place] += min(count, there)
        total = sum(mine.values())
        # how much of what was typed is in the title, and how much of the title was typed
        typed = shared / max(total, 1)
        both = 2 * shared / np.maximum(total + self._counts, 1)
        scores = 0.6 * typed + 0.4 * both
        for place in np.argsort(-scores)[: 4 * SHOWN]:
            scores[place] = self._better(int(place), wanted, year, float(scores[place]))
        order = np.argsort(-scores, kind="stable")[:SHOWN]
        return [(self._films[i], float(scores[i])) for i in order]

    def _better(self, place: int, wanted: str, year: int, score: float) -> float:
        """Return a score that also heeds swapped letters, the same title, a beginning, and the year."""
        name = self._names[place]
        score = max(score, 0.9 * SequenceMatcher(None, name, wanted).ratio())
        if wanted and name == wanted:
            score = 1.0
        elif wanted and name.startswith(wanted):
            score = max(score, 0.9 * score + 0.1)
        if year and self._films[place]["year"] != year:
            score *= 0.8
        return min(score, 1.0)


def plain(text: str) -> str:
    """Return lower case letters and digits, words apart, without accents and a leading article."""
    flat = unicodedata.normalize("NFKD", text.casefold())
    words = re.findall(r"\w+", "".join(c for c in flat if not unicodedata.combining(c)))
    return " ".join(words[1:] if len(words) > 1 and words[0] in ("the", "a", "an") else words)


def the_year(text: str) -> tuple[int, str]:
    """Return (a year that follows a title, or 0; the text without it)."""
    found = re.fullmatch(r"(.+) (19\d\d|20\d\d)", text)
    return (int(found[2]), found[1]) if found else (0, text)


def pieces(text: str) -> Counter[str]:
    """Return how often each piece of three letters occurs; a blank stands before every word."""
    padded = "".join(f" {word}" for word in text.split()) + " "
    return Counter(padded[i : i + 3] for i in range(max(0, len(padded) - 2)))
