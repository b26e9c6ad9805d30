"""How much a rating counts: the same for the models when they are trained and when they are asked."""

from __future__ import annotations

import numpy as np

STARS = (1.0, 2.0, 3.0, 4.0, 5.0)
COUNTS = (0.0, 0.25, 0.5, 1.0, 1.0)
"""What a film of one star counts, of two ...; in between it is interpolated."""

HALF, LEAST = 10, 0.1
"""After so many further films one counts half, but never less than ``LEAST`` of what it did."""


def liking(ratings: np.ndarray) -> np.ndarray:
    """Return FP32, 0 to 1: how much each rating of 0.5 to 5 stars says that such films are liked."""
    return np.interp(ratings, STARS, COUNTS).astype(np.float32)


def latest_most(ratings: np.ndarray) -> np.ndarray:
    """Return FP32, 0 to 1: how much each film of a history counts, the latest of which comes last."""
    age = np.arange(len(ratings))[::-1]
    fresh = LEAST + (1 - LEAST) * 0.5 ** (age / HALF)
    return liking(ratings) * fresh.astype(np.float32)
