"""The rerun budget: how much work may be done twice to save requests.

Bisection of failed batches and replay after a worker's death draw on one bucket that refills by a
fifth of the entries answered, so that an always-failing model costs at most 20 % more. Batches shrink
as the bucket empties, so that there is always enough left to tell the good entries of a failed
batch from the bad ones: a good request never fails for its neighbours.
"""

from __future__ import annotations

SHARE = 0.2
CAPACITY = 2048


class RerunBudget:
    """Counts entries that may be run again."""

    def __init__(self, share: float = SHARE, capacity: int = CAPACITY) -> None:
        self._share = share
        self._capacity = float(capacity)
        self._tokens = float(capacity)

    @property
    def available(self) -> int:
        """Entries that may be run again now."""
        return int(self._tokens)

    def batch_within(self, limit: int) -> int:
        """Return the largest batch, ``limit`` at most, that can be bisected down to each entry.

        Bisecting ``n`` entries reruns ``n`` of them on each of ``log2 n`` levels at worst.
        """
        size = limit
        while size > 1 and min(size * (size - 1).bit_length(), self._capacity) > self._tokens:
            size //= 2
        return size

    def earn(self, answered: int) -> None:
        """Add for ``answered`` entries."""
        self._tokens = min(self._capacity, self._tokens + self._share * answered)

    def spend(self, entries: int) -> bool:
        """Take for ``entries``; False (and nothing taken) where too little is left."""
        if entries > self._tokens:
            return False
        self._tokens -= entries
        return True
