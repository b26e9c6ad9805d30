"""Choosing a list that is good and not all of one kind: maximal marginal relevance."""

from __future__ import annotations

import numpy as np


def chosen(
    scores: np.ndarray, kinds: np.ndarray, same: np.ndarray, k: int, diversity: float
) -> np.ndarray:
    """Return the places of ``k`` films at most, the first first.

    Each next one is the best by ``(1 - diversity) * score / highest - diversity * likeness``, where likeness
    is the largest Jaccard likeness of genres to one that was chosen. ``kinds``: bool [n, genres]. Of
    those that have the same number in ``same`` one is chosen.
    """
    free = np.ones(len(scores), bool)
    worth = scores / max(float(scores.max(initial=0)), 1e-9)
    alike = np.zeros(len(scores))
    out: list[int] = []
    while len(out) < k and free.any():
        value = np.where(free, (1 - diversity) * worth - diversity * alike, -np.inf)
        best = int(value.argmax())
        out.append(best)
        free &= same != same[best]
        alike = np.maximum(alike, jaccard(kinds, kinds[best]))
    return np.array(out, np.int64)


def jaccard(kinds: np.ndarray, one: np.ndarray) -> np.ndarray:
    """Return how alike each row is to one: what both are, over what either is."""
    either = (kinds | one).sum(axis=1)
    return np.where(either > 0, (kinds & one).sum(axis=1) / np.maximum(either, 1), 0.0)
