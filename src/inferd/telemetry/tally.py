"""What one version did since it began to serve: sums that a client may ask for.

Metrics answer the same questions to a scraper, in buckets; this is the exact account that protocols
with a statistics call want. It is fed once a batch, and with sums of many requests at a time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from inferd.core.message import Timings

MAX_SIZES = 512
"""Batch sizes that are told apart; what comes beyond is counted in the sums alone."""


@dataclass(slots=True)
class BatchTally:
    """Runs of one batch size: how many, and the seconds they took."""

    count: int = 0
    batch: float = 0.0
    run: float = 0.0


@dataclass(slots=True)
class Tally:
    """Counts, and sums of seconds.

    ``succeeded`` and ``failed``: requests, with the time from complete head to answer. ``queue`` and
    the stages after it: sums over those that succeeded. ``rows``: examples answered. ``runs``: batches
    run. ``last``: Unix seconds of the latest batch, 0 where there was none. ``sizes``: runs by rows.
    """

    succeeded: int = 0
    seconds: float = 0.0
    failed: int = 0
    failed_seconds: float = 0.0
    decode: float = 0.0
    queue: float = 0.0
    batch: float = 0.0
    run: float = 0.0
    encode: float = 0.0
    rows: int = 0
    runs: int = 0
    last: float = 0.0
    sizes: dict[int, BatchTally] = field(default_factory=dict)

    def answered(self, finished: Iterable[tuple[Timings, float]]) -> None:
        """Count requests that succeeded: their timings and whole seconds."""
        for timings, seconds in finished:
            self.succeeded += 1
            self.seconds += seconds
            self.decode += timings.decode
            self.queue += timings.queue
            self.batch += timings.batch
            self.run += timings.run
            self.encode += timings.encode

    def failure(self, seconds: float) -> None:
        """Count a request that failed."""
        self.failed += 1
        self.failed_seconds += seconds

    def ran(self, rows: int, batch: float, run: float) -> None:
        """Count a batch of ``rows`` examples and its seconds, transfer and model apart."""
        self.rows += rows
        self.runs += 1
        self.last = time.time()
        size = self.sizes.get(rows)
        if size is None:
            if len(self.sizes) >= MAX_SIZES:
                return
            size = self.sizes[rows] = BatchTally()
        size.count += 1
        size.batch += batch
        size.run += run
