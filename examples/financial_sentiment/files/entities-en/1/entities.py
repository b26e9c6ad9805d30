"""Entities of English texts, by a spaCy model that lies beside this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from inferd import Model

KINDS = ("ORG", "PERSON", "GPE", "MONEY", "PERCENT")
MOST = 100


class Named(TypedDict):
    """Entities in the order of the text, each once, and their kinds."""

    names: list[str]
    kinds: list[str]


class Entities(Model):
    """Finds the names, amounts and percentages of a text."""

    def load(self, path: Path) -> None:
        """Load the model without the parts that only grammar needs."""
        import spacy

        self._find: Any = spacy.load(
            Path(path) / "spacy", exclude=["parser", "lemmatizer", "tagger", "attribute_ruler"]
        )

    def predict(self, text: str) -> Named:
        """Return the entities of one text."""
        found: dict[str, str] = {}
        for entity in self._find(text).ents:
            name = entity.text.strip(" \n'\"\u2019")
            name = name.removesuffix("'s").removesuffix("\u2019s")
            if entity.label_ in KINDS and name and name not in found and len(found) < MOST:
                found[name] = entity.label_
        return {"names": list(found), "kinds": list(found.values())}
