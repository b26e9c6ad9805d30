"""How many rows the next batch may have, and whether it waits: pure decisions of one version.

Three bounds meet: the limit that is configured or follows from the cost curve; now and then a trial
of the next larger size, so that the curve goes on learning; and the *even share*. Where several
jobs run at once, all that waits and runs is spread evenly over them if that is quicker than one
large batch beside an idle core. For a few requests it seldom is, so these stay together; a few of
unequal length that a configured delay held back so that they may share a batch always do.
"""

from __future__ import annotations

from collections.abc import Iterable

from inferd.core.clock import Clock
from inferd.core.plan import BatchPlan
from inferd.execution.executor import READY, Executor
from inferd.scheduling.costs import LARGEST, Costs
from inferd.scheduling.delay import hold
from inferd.scheduling.gather import Gather
from inferd.scheduling.queue import FEW, EntryQueue
from inferd.scheduling.settings import BatchSettings

REVIEW_EVERY = 64


class Pace:
    """The decisions of one batcher.

    ``limit``: rows of a batch. ``rate``: rows per second of all ready instances, 0 if none is.
    ``row_seconds``: its inverse. ``ready``: how many instances are.
    """

    def __init__(
        self, costs: Costs, plan: BatchPlan, settings: BatchSettings, clock: Clock
    ) -> None:
        self._costs = costs
        self._plan = plan
        self._settings = settings
        self._clock = clock
        self._gather = Gather()
        self._places = 1
        self._together = settings.max_delay > 0 and plan.length is not None
        self._bound = 1
        self._trial = False
        self._reviewed = 0
        self.limit = 1
        self.rate = 0.0
        self.row_seconds = 0.0
        self.ready = 0

    def review(self, executors: Iterable[Executor]) -> None:
        """Recompute limit and service rate from the costs as now known."""
        self._reviewed = 0
        settings, costs = self._settings, self._costs
        configured = settings.max_size
        bound = (self._plan.max_batch or configured or LARGEST) if self._plan.batched else 1
        self.limit = min(bound, configured) if configured else costs.best_rows(bound)
        self._bound = self.limit if configured else bound
        self.ready = sum(1 for e in executors if e.state == READY)
        self._places = self.ready * (settings.slots or 1)
        self.rate = self._places * costs.rate(self.limit)
        self.row_seconds = 1 / self.rate if self.rate else 0.0

    def ran(self, executors: Iterable[Executor]) -> None:
        """Hear of a job that is over; reviews now and then and has a larger batch tried."""
        self._reviewed += 1
        if self._reviewed >= REVIEW_EVERY:
            self.review(executors)
            self._trial = self.limit < self._bound

    def answered(self, entries: int, waiting: int, seconds: float) -> None:
        """Hear of a batch that is about to be answered, before the next one is formed."""
        self._gather.answered(entries, waiting, seconds, self._clock())

    def rows(self, waiting: int, running: int) -> int:
        """Return how many rows the next batch may have, while so many wait and run."""
        limit = self.limit
        if self._trial and waiting > limit:
            self._trial = False
            limit = self._costs.next_rows(limit, self._bound)
        if self._places > 1 and not (self._together and waiting <= FEW):
            return min(limit, self._costs.even_share(waiting + running, self._places))
        return limit

    def wait(self, queue: EntryQueue, rows: int) -> float:
        """Return the seconds that a batch of at most ``rows`` waits to grow; 0: run what there is.

        Never beyond what the oldest request's deadline leaves after twice the cost of its batch.
        """
        settings = self._settings
        if settings.max_delay:
            delay = hold(settings.max_delay, queue, self.limit, self._costs, self._clock)
            if delay > 0:
                return delay
        now = self._clock()
        left = self._gather.left(queue.rows, rows, now)
        oldest = queue.oldest() if left > 0 else None
        if oldest is None:
            return 0.0
        return min(left, oldest.deadline - now - 2 * self._costs.seconds(queue.rows))
