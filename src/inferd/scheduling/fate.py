"""What becomes of a request whose worker was lost: a pure decision.

A request that only waited in the worker goes back as it was. One that was running is replayed,
alone, because it may be the cause; one that then ends a worker again is the cause and is
quarantined; where nothing is replayed, one that was alone the first time. A worker ended by SIGKILL may have been ended by an operator or by the kernel's memory
killer, so there one replay more is given before the request is failed (and never quarantined). An answer that has begun is never begun
again.
"""

from __future__ import annotations

import enum

from inferd.core.errors import InferdError, ModelFailed
from inferd.execution.executor import Entry, Job, Loss
from inferd.scheduling.budget import RerunBudget

EXTERNAL_REPLAYS = 2


class Verdict(enum.Enum):
    """What to do with a request."""

    RETURN = "return"
    REPLAY = "replay"
    FAIL = "fail"
    QUARANTINE = "quarantine"


def judge(
    entry: Entry, job: Job, loss: Loss, *, started: int, replay: bool, budget: RerunBudget
) -> tuple[Verdict, InferdError | None]:
    """Decide, and mark the entry as a suspect where it is replayed.

    ``started``: how many jobs were running, 0 where this one was not.
    """
    emitted = entry.stream is not None and entry.stream.emitted
    if not started and not emitted:
        return Verdict.RETURN, None
    error = ModelFailed(f"the model's worker was lost while it ran this request: {loss.message}")
    if emitted:  # a client has seen its beginning: it cannot be told twice
        return Verdict.FAIL, error
    alone = started == 1 and len(job.entries) == 1
    if (job.exclusive or (alone and not replay)) and not loss.external:
        return Verdict.QUARANTINE, error
    if not replay:
        error.help = "set replay: true in model.yaml to let such requests be tried again"
        return Verdict.FAIL, error
    if entry.attempts >= (EXTERNAL_REPLAYS if loss.external else 1) and job.exclusive:
        return Verdict.FAIL, error
    if not budget.spend(1):
        return Verdict.FAIL, error
    entry.attempts += 1
    entry.suspect = True
    return Verdict.REPLAY, None
