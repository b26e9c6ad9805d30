"""How good a ranked list is, measured at what somebody liked later: recall and NDCG."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np

CUT = 20


def recall(ranked: Sequence[int], liked: Collection[int], cut: int = CUT) -> float:
    """Return the share of what was liked that is among the first ``cut``."""
    return len(set(ranked[:cut]) & set(liked)) / len(liked)


def ndcg(ranked: Sequence[int], liked: Collection[int], cut: int = CUT) -> float:
    """Return the normalised discounted cumulative gain: 1 where all that was liked comes first."""
    gains = 1 / np.log2(np.arange(2, cut + 2))
    hits = [float(gains[place]) for place, film in enumerate(ranked[:cut]) if film in set(liked)]
    return sum(hits) / float(gains[: len(liked)].sum())


def mean(lists: Iterable[tuple[Sequence[int], Collection[int]]]) -> dict[str, float]:
    """Return the means over people of (what was ranked, what was liked); who liked nothing is left out."""
    counted = [(ranked, liked) for ranked, liked in lists if liked]
    return {
        f"recall@{CUT}": float(np.mean([recall(r, of) for r, of in counted])),
        f"ndcg@{CUT}": float(np.mean([ndcg(r, of) for r, of in counted])),
        "people": len(counted),
    }


def likeness(genres: Sequence[Collection[str]]) -> float:
    """Return how alike the genres of a list are: the mean Jaccard likeness of all pairs, 0 to 1."""
    pairs = [
        len(set(a) & set(b)) / max(1, len(set(a) | set(b)))
        for i, a in enumerate(genres)
        for b in genres[:i]
    ]
    return float(np.mean(pairs)) if pairs else 0.0
