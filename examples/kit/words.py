"""How many words of a transcript are wrong: its word error rate against what was said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

SPELLINGS = {"mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint", "&": "and"}
"""Words that are written in two ways and said in one."""


def words(text: str) -> list[str]:
    """Return a text's words as they are said: without case and punctuation, ``ill-disposed`` as two."""
    plain = re.sub(
        r"[^\w\s'&]|_", " ", text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    )
    return [SPELLINGS.get(word, word) for part in plain.split() if (word := part.strip("'"))]


def errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Return the fewest words that must be put in, left out or changed to get from one to the other."""
    row = list(range(len(heard) + 1))
    for i, wanted in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, got in enumerate(heard, 1):
            changed = before + (wanted != got)
            before = row[j]
            row[j] = min(changed, row[j] + 1, row[j - 1] + 1)
    return row[-1]


def word_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Return the errors in all transcripts by the words that were said; ``pairs``: (said, heard)."""
    wrong = total = 0
    for said, heard in pairs:
        wanted = words(said)
        wrong += errors(wanted, words(heard))
        total += len(wanted)
    return wrong / total if total else 0.0
