"""What is configured of scheduling, and what it counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from inferd.execution.executor import Job
from inferd.execution.frames import Outcome
from inferd.scheduling.admission import QueueLimits


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """What is configured; ``None`` leaves it to the cost curve. ``max_delay``: seconds."""

    max_size: int | None = None
    max_delay: float = 0.0
    slots: int | None = None
    limits: QueueLimits = field(default_factory=QueueLimits)
    replay: bool = True
    run_timeout: float | None = None


class Counters:
    """What the batcher counts, for metrics: conservation is admitted = answered + cancelled + waiting."""

    __slots__ = (
        "admitted",
        "answered",
        "cancelled",
        "expired",
        "quarantined",
        "refused",
        "replayed",
    )

    def __init__(self) -> None:
        self.admitted = self.answered = self.cancelled = self.expired = 0
        self.quarantined = self.refused = self.replayed = 0


Observer = Callable[[Job, Outcome], None]
"""Hears of every finished job (metrics). Must be cheap."""
