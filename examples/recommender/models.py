"""Models without a network: popularity, item neighbours, and the item weights that rank (EASE).

All are fitted to a table of people and films that holds how much each rating counts.
"""

from __future__ import annotations

import numpy as np

from examples.recommender.data import LIKED, Ratings
from examples.recommender.files.liking import liking


def table(ratings: Ratings, people: int, size: int, *, liked: bool = False) -> np.ndarray:
    """Return FP32 [people + 1, size]: how much each rating counts, or 1 where it was ``liked``."""
    out = np.zeros((people + 1, size), np.float32)
    worth = ratings.ratings >= LIKED if liked else liking(ratings.ratings)
    out[ratings.people, ratings.films] = worth
    return out


def popularity(liked: np.ndarray) -> np.ndarray:
    """Return by how many each film was liked."""
    return liked.sum(axis=0)


def neighbours(counts: np.ndarray, keep: int) -> np.ndarray:
    """Return [size, size]: the cosine likeness of films, of each column the ``keep`` largest."""
    norm = np.linalg.norm(counts, axis=0) + 1e-9
    likeness = (counts.T @ counts) / np.outer(norm, norm)
    np.fill_diagonal(likeness, 0)
    least = np.partition(likeness, -keep, axis=0)[-keep]
    return np.where(likeness >= least, likeness, 0).astype(np.float32)


def item_weights(counts: np.ndarray, penalty: float) -> np.ndarray:
    """Return [size, size]: what each film (row) says for each other (column), by EASE.

    The weights are those of the linear model that tells each film from all others with the least squared
    error and a penalty (Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", 2019).
    """
    gram = counts.T.astype(np.float64) @ counts
    gram[np.diag_indices(len(gram))] += penalty
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights.astype(np.float32)


def logistic(features: np.ndarray, labels: np.ndarray, rounds: int = 25) -> np.ndarray:
    """Return the weights, the constant last, of a logistic regression (Newton's method)."""
    x = np.column_stack([features, np.ones(len(features))]).astype(np.float64)
    weights = np.zeros(x.shape[1])
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-x @ weights))
        bend = (x * (p * (1 - p))[:, None]).T @ x + 1e-6 * np.eye(x.shape[1])
        change = np.linalg.solve(bend, x.T @ (labels - p))
        weights += change
        if np.abs(change).max() < 1e-9:
            break
    return weights
