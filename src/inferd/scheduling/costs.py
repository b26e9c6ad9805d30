"""The cost curve at work: what a batch costs, and what follows from it.

Pure decisions over ``Curve`` (measured at load) and what live batches show. A size class is a power
of two of rows; each keeps a moving average of seconds. Everything here is arithmetic on at most a
dozen points.
"""

from __future__ import annotations

from dataclasses import dataclass

from inferd.execution.executor import Curve

WORTH = 0.985
LARGEST = 256
UNKNOWN_STEP = 2
SLOW_BATCH = 1.0
SMOOTH = 0.1
SPREAD = 0.7
SMOOTH_DOWN = 0.5
PARALLEL_LOSS = 0.7
PARALLEL_FROM = 0.0005
PREFETCH_UNDER = 0.002
PYTHON_SLOW = 0.001
PART_SECONDS = 0.002
PART_ROWS_MAX = 4096


class Costs:
    """Seconds by batch size: the curve, refined online."""

    def __init__(self, curve: Curve) -> None:
        self._seconds: dict[int, float] = {_class(n): s for n, s in curve.points}
        self._live: set[int] = set()

    def observe(self, rows: int, seconds: float) -> None:
        """Learn from a live batch.

        Sizes that no live batch had yet move in proportion: the measurement at load knows the shape
        of the curve, but what live requests hold (their length, above all) sets its scale.
        """
        key = _class(rows)
        scaled = max(seconds * key / max(rows, 1), 1e-7)
        known = self._seconds.get(key)
        if known is None:
            self._seconds[key] = scaled
        else:
            # Noise only ever adds: what was once faster is believed sooner than what was slower.
            share = SMOOTH_DOWN if scaled < known or key not in self._live else SMOOTH
            self._seconds[key] = new = known + share * (scaled - known)
            if len(self._live) < len(self._seconds):
                self._follow(key, new / known)
        self._live.add(key)

    def _follow(self, key: int, ratio: float) -> None:
        for other in self._seconds:
            if other != key and other not in self._live:
                self._seconds[other] *= ratio

    def seconds(self, rows: int) -> float:
        """Foretell the seconds of a batch; extrapolates in proportion beyond what is known."""
        if not self._seconds:
            return 0.01
        key = _class(rows)
        if key in self._seconds:
            return self._seconds[key]
        near = min(self._seconds, key=lambda k: abs(k.bit_length() - key.bit_length()))
        return self._seconds[near] * max(1.0, rows / near)

    def rate(self, rows: int) -> float:
        """Rows per second of one slot at this batch size."""
        return rows / max(self.seconds(rows), 1e-9)

    def between(self, rows: int) -> float:
        """Foretell the seconds of a batch between two size classes by a straight line."""
        above = _class(rows)
        below = above // 2
        if rows == above or not below:
            return self.seconds(rows)
        low, high = self.seconds(below), self.seconds(above)
        return low + (high - low) * (rows - below) / (above - below)

    def even_share(self, rows: int, places: int) -> int:
        """Return the most rows of one batch where ``rows`` in all could run in ``places`` at once.

        An even part of them, if such a part takes clearly less time than one batch of all;
        ``LARGEST`` (no bound) otherwise.
        """
        if places <= 1 or rows <= 1:
            return LARGEST
        part = -(-rows // places)
        return part if self.between(part) <= SPREAD * self.between(rows) else LARGEST

    def best_rows(self, bound: int) -> int:
        """Return the smallest batch that gives 98.5 % of the best throughput known, up to ``bound``.

        Where the largest size known is still clearly the best, one doubling more is allowed, so
        that a model too slow to measure at load finds its limit on live requests.
        """
        known = sorted(k for k in self._seconds if k <= bound)
        if not known:
            return min(bound, 8)
        best = max(self.rate(k) for k in known)
        chosen = next(k for k in known if self.rate(k) >= WORTH * best)
        largest = known[-1]
        rising = chosen == largest and self._seconds[largest] * UNKNOWN_STEP < SLOW_BATCH
        if rising and largest < bound:
            return min(bound, largest * UNKNOWN_STEP)
        return chosen

    def next_rows(self, rows: int, bound: int) -> int:
        """Return a batch size worth trying once: the doubling of ``rows``, where it is not slow."""
        larger = min(bound, rows * UNKNOWN_STEP)
        return larger if self.seconds(rows) * UNKNOWN_STEP < SLOW_BATCH else rows

    def points(self) -> list[tuple[int, float]]:
        """Return (rows, seconds), ascending."""
        return sorted(self._seconds.items())


@dataclass(frozen=True, slots=True)
class Sizing:
    """How a version is run: jobs at once and jobs waiting in an instance, instances, threads of a job."""

    slots: int
    prefetch: int
    instances: int
    threads: int


def size(
    curve: Curve, *, releases_gil: bool, cpus: int, slots: int | None, instances: int | None,
    threads: int | None = None,
) -> Sizing:  # fmt: skip
    """Decide slots, prefetch, instances and threads from the cost curve; what is configured wins.

    Slots: as many as cores for models slow enough to gain by it, unless threads were measured to
    lose clearly (a busy machine measures hardly any gain, and one slot would then halve the
    throughput for good). Instances: one, but one per core
    for Python-bound models that are slow enough to matter. Threads: the cores that these leave over,
    for models slow enough to share their work out.
    """
    chosen = (slots or 1) if releases_gil else 1  # foreign Python code expects one call at a time
    first = curve.points[0][1] if curve.points else 0.01
    if slots is None and releases_gil and first >= PARALLEL_FROM and curve.parallel > PARALLEL_LOSS:
        chosen = cpus
    best = dict(curve.points).get(curve.parallel_rows, first)
    wanted = instances or 1
    if instances is None and not releases_gil and first >= PYTHON_SLOW and curve.cpu > 0.5:
        wanted = cpus
    prefetch = 1 if best < PREFETCH_UNDER else 0
    chosen, wanted = max(1, chosen), max(1, wanted)
    if threads is None:
        spare = cpus // (chosen * wanted) if releases_gil and first >= PARALLEL_FROM else 1
        threads = max(1, spare)
    return Sizing(chosen, prefetch, wanted, threads)


def part_rows(costs: Costs, limit: int, most: int | None = None) -> int:
    """Return how many rows of one large request run at once, so that others get their turn.

    As many as take about two milliseconds, at least a full batch, and never over ``most``: what the
    artifact bears.
    """
    bound = PART_ROWS_MAX if most is None else min(most, PART_ROWS_MAX)
    rows = limit
    while rows * 2 <= bound and costs.seconds(rows * 2) <= PART_SECONDS:
        rows *= 2
    return rows if most is None else min(rows, most)


def _class(rows: int) -> int:
    return 1 << max(0, rows - 1).bit_length()
