"""The entities in a question: spaCy's names, places, dates and amounts, and what has a form of its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypedDict

import spacy

from inferd import Model

KINDS = (
    "PERSON",
    "ORG",
    "GPE",
    "LOC",
    "FAC",
    "PRODUCT",
    "DATE",
    "TIME",
    "MONEY",
    "QUANTITY",
    "CARDINAL",
)
"""Of spaCy's kinds, those that matter to a shop."""

PATTERNS = {
    "ORDER": r"\border\s*(?:number|no\.?|nr\.?|#)?\s*(?:is\s+)?#?\s*(?P<it>[A-Z]{0,3}-?\d[\d -]{3,13}\d)",
    "EMAIL": r"(?P<it>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)",
    "MONEY": r"(?P<it>[€$£]\s?\d+(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,2})?\s?(?:€|\$|£|euros?|dollars?|pounds?)\b)",
    "PHONE": r"(?P<it>(?:\+|\b0)\d[\d /()-]{6,16}\d)",
}
"""In this order: what an earlier one found no later one may overlap."""

LONGEST = 2000
"""Characters that are looked at."""


class Found(TypedDict):
    """The entities in the order of the text, and the kind of each."""

    texts: list[str]
    kinds: list[str]


class Entities(Model):
    """Finds entities. The network lies beside this file, in ``spacy``."""

    def load(self, path: Path) -> None:
        """Read the network; only what finds names is kept of it."""
        self.network = spacy.load(
            Path(__file__).with_name("spacy"),
            exclude=["tagger", "parser", "senter", "attribute_ruler", "lemmatizer"],
        )

    def predict(self, text: str) -> Found:
        """Return what was found: patterns first, then names that do not overlap them."""
        text = text[:LONGEST]
        found = patterns(text)
        for name in self.network(text).ents:
            if name.label_ in KINDS and not _overlaps(found, name.start_char, name.end_char):
                found.append((name.start_char, name.end_char, name.label_))
        found.sort()
        return {"texts": [text[a:b] for a, b, _ in found], "kinds": [kind for _, _, kind in found]}


def patterns(text: str) -> list[tuple[int, int, str]]:
    """Return what the patterns find: beginning, end and kind."""
    found: list[tuple[int, int, str]] = []
    for kind, pattern in PATTERNS.items():
        for match in re.finditer(pattern, text, re.IGNORECASE):
            if not _overlaps(found, *match.span("it")):
                found.append((*match.span("it"), kind))
    return found


def _overlaps(found: list[tuple[int, int, str]], start: int, end: int) -> bool:
    return any(start < b and a < end for a, b, _ in found)
