"""The key-value cache: one row for each sequence, and the tokens whose keys and values each row holds.

Rows of those who are being answered come first, without gaps, so that one run of the model sees them as
one batch. What a finished sequence leaves stays until its row is needed: a prompt that begins alike
(the next turn of a conversation, the same instructions) starts from there.

Only what was read as part of a prompt is used again: kernels read two tokens or more otherwise than one, with
4-bit weights by more than the last digit, so an answer would depend on what was asked before.

Memory is taken as rows fill: what was never written takes none.
"""

from __future__ import annotations

import contextlib
import math
import mmap
from collections.abc import Sequence

import numpy as np

WORTH = 8
"""Tokens in common from which copying is worth more than reading them anew."""

LEAST = 2
"""Tokens that are read at once, where a prompt has so many."""


class Cache:
    """``arrays``: keys and values of each layer, ``[rows, heads, tokens, size]``."""

    def __init__(self, arrays: Sequence[np.ndarray], rows: int) -> None:
        self.arrays = list(arrays)
        self.rows = rows
        self._held: list[np.ndarray] = [_NOTHING] * rows
        self._read = [0] * rows
        self._used = [0] * rows
        self._clock = 0

    def held(self, row: int) -> int:
        """Return how many tokens a row holds."""
        return len(self._held[row])

    def add(self, row: int, tokens: Sequence[int] | np.ndarray) -> None:
        """Note tokens that a run has written behind those which the row holds."""
        held = self.held(row)
        if len(tokens) > 1 and held == self._read[row]:
            self._read[row] = held + len(tokens)
        self._held[row] = np.concatenate([self._held[row], np.asarray(tokens, np.int64)])

    def forget(self) -> None:
        """Note that no row can be relied on."""
        self._held = [_NOTHING] * self.rows
        self._read = [0] * self.rows

    def claim(self, prompt: np.ndarray, free: Sequence[int]) -> int:
        """Return a free row for a prompt: the one that holds most of its beginning, else the oldest."""
        best = max(free, key=lambda row: (self._shared(row, prompt), -self._used[row]))
        if self._shared(best, prompt) < WORTH:
            best = min(free, key=lambda row: (len(self._held[row]) > 0, self._used[row]))
        self._clock += 1
        self._used[best] = self._clock
        return best

    def begin(self, row: int, prompt: np.ndarray) -> int:
        """Make a row hold as much of a prompt's beginning as is known in any row; return how much.

        The last tokens are always left: the model must be asked what follows them.
        """
        best = max(range(self.rows), key=lambda each: (self._shared(each, prompt), each == row))
        common = min(self._shared(best, prompt), len(prompt) - LEAST)
        if common < WORTH:
            common = 0
        elif best != row:
            for array in self.arrays:
                array[row, :, :common] = array[best, :, :common]
        self._held[row], self._read[row] = prompt[:common].astype(np.int64), common
        return common

    def swap(self, one: int, other: int) -> None:
        """Exchange two rows."""
        if one == other:
            return
        sizes = self.held(one), self.held(other)
        small, large = (one, other) if sizes[0] <= sizes[1] else (other, one)
        kept, moved = min(sizes), max(sizes)
        for array in self.arrays:
            spare = array[small, :, :kept].copy()
            array[small, :, :moved] = array[large, :, :moved]
            array[large, :, :kept] = spare
        held, read, used = self._held, self._read, self._used
        held[one], held[other] = held[other], held[one]
        read[one], read[other] = read[other], read[one]
        used[one], used[other] = used[other], used[one]

    def _shared(self, row: int, prompt: np.ndarray) -> int:
        held = self._held[row]
        size = min(self._read[row], len(prompt))
        differ = np.flatnonzero(held[:size] != prompt[:size])
        return int(differ[0]) if len(differ) else size


def room(shape: Sequence[int], dtype: type) -> np.ndarray:
    """Return an array of zeros that takes memory where it is written.

    Numpy asks for huge pages, of which one token of each head would take a whole one.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANON} if hasattr(mmap, "MAP_ANON") else {}
    memory = mmap.mmap(-1, size, **private)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them
            memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, dtype).reshape(shape)


_NOTHING = np.empty(0, np.int64)
