"""How long a batch may still grow where ``max_delay`` is configured: a pure decision."""

from __future__ import annotations

from inferd.core.clock import Clock
from inferd.scheduling.costs import Costs
from inferd.scheduling.queue import EntryQueue


def hold(delay: float, queue: EntryQueue, limit: int, costs: Costs, clock: Clock) -> float:
    """Return the seconds to wait for more requests; 0 or less: run what there is.

    Never beyond what the oldest request's deadline leaves after twice the cost of its batch.
    """
    if delay <= 0 or queue.rows >= limit:
        return 0.0
    oldest = queue.oldest()
    if oldest is None:
        return 0.0
    now = clock()
    spare = oldest.deadline - now - 2 * costs.seconds(queue.rows)
    return min(delay - (now - oldest.enqueued), spare)
