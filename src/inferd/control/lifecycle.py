"""The life of one version: loading -> ready <-> failed, and why.

Pure: the state follows from what its instances say and whether its golden request was answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inferd.execution.executor import FAILED as INSTANCE_FAILED
from inferd.execution.executor import READY as INSTANCE_READY
from inferd.execution.executor import RESTARTING, STARTING, Executor
from inferd.routing.table import FAILED, LOADING, READY


@dataclass(frozen=True, slots=True)
class Health:
    """A state of ``routing.table`` and the reason for it (empty when ready)."""

    state: str
    reason: str


def health(executors: Sequence[Executor], *, golden: bool) -> Health:
    """Return the state of a version.

    Ready while at least one instance is ready, or is being restarted for the first time (its
    requests wait meanwhile); failed once every instance has given up.
    """
    if not executors:
        return Health(LOADING, "its workers are starting")
    states = {e.state for e in executors}
    if INSTANCE_READY in states or RESTARTING in states:
        if golden:
            return Health(READY, "")
        return Health(LOADING, "its golden request has not been answered yet")
    if STARTING in states:
        return Health(LOADING, "its workers are starting")
    reasons = [e.reason for e in executors if e.state == INSTANCE_FAILED]
    return Health(FAILED, reasons[0] if reasons else "no worker runs")
