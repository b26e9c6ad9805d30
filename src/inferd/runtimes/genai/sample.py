"""Choosing the next token out of a row of logits. Each request has its own source of chance.

The order: penalties for what was said, no end before ``min_tokens``, temperature, ``top_k``, ``top_p``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from inferd.core.errors import ModelFailed
from inferd.runtimes.genai.parameters import Sampling


class Sampler:
    """The choices of one answer. ``prompt``: its tokens, which count as said for the repetition penalty."""

    def __init__(self, sampling: Sampling, prompt: Sequence[int], eos: Sequence[int]) -> None:
        self._sampling = sampling
        self._eos = list(eos)
        self._seen = set(prompt) if sampling.repetition_penalty != 1 else set()
        self._said: Counter[int] = Counter()
        self._counts = bool(sampling.presence_penalty or sampling.frequency_penalty)
        seed = sampling.seed
        self._chance = np.random.default_rng(None if seed is None else seed % (1 << 64))

    def next(self, logits: np.ndarray, said: int) -> int:
        """Return the next token. ``said``: how many were generated before. Raises ``ModelFailed``."""
        row = logits.astype(np.float32)
        self._penalise(row)
        if said < self._sampling.min_tokens:
            row[self._eos] = -np.inf
        best = int(row.argmax())
        if not np.isfinite(row[best]):
            raise ModelFailed("the model gave no number for any token")
        token = self._drawn(row) if self._sampling.temperature else best
        if self._counts:
            self._said[token] += 1
        if self._sampling.repetition_penalty != 1:
            self._seen.add(token)
        return token

    def _penalise(self, row: np.ndarray) -> None:
        sampling = self._sampling
        if self._seen:
            seen = np.fromiter(self._seen, np.int64, len(self._seen))
            kept = row[seen]
            by = np.float32(sampling.repetition_penalty)
            row[seen] = np.where(kept > 0, kept / by, kept * by)
        if self._said:
            tokens = np.fromiter(self._said, np.int64, len(self._said))
            counts = np.fromiter(self._said.values(), np.float32, len(self._said))
            row[tokens] -= sampling.presence_penalty + sampling.frequency_penalty * counts

    def _drawn(self, row: np.ndarray) -> int:
        """Draw a token by its likelihood among the likeliest."""
        sampling, size = self._sampling, len(row)
        most = sampling.top_k if 0 < sampling.top_k < size else size
        tokens = (
            np.argpartition(row, size - most)[size - most :] if most < size else np.arange(size)
        )
        order = (
            np.argsort(-row[tokens], kind="stable") if most < size or sampling.top_p < 1 else None
        )
        if order is not None:
            tokens = tokens[order]
        scores = row[tokens].astype(np.float64)
        with np.errstate(over="ignore"):  # by next to nothing: minus infinity, which weighs nothing
            weights = np.exp((scores - scores.max()) / sampling.temperature)
        sums = np.cumsum(weights)
        if sampling.top_p < 1:
            kept = int(np.searchsorted(sums, sampling.top_p * sums[-1])) + 1
            tokens, sums = tokens[:kept], sums[:kept]
        drawn = np.searchsorted(sums, self._chance.random() * sums[-1], side="right")
        return int(tokens[min(int(drawn), len(tokens) - 1)])
