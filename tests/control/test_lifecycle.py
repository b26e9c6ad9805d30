"""The state of a version as it follows from its instances: a table."""

from types import SimpleNamespace

import pytest

from inferd.control.lifecycle import health
from inferd.execution import executor
from inferd.routing import table


def instances(*states):
    return [SimpleNamespace(state=s, reason=f"why {i}") for i, s in enumerate(states)]


READY, RESTARTING = executor.READY, executor.RESTARTING
FAILED, STARTING, STOPPED = executor.FAILED, executor.STARTING, executor.STOPPED


@pytest.mark.parametrize(
    ("states", "golden", "state", "reason"),
    [
        ((), False, table.LOADING, "starting"),
        ((STARTING,), False, table.LOADING, "starting"),
        ((READY,), False, table.LOADING, "golden request"),
        ((READY,), True, table.READY, ""),
        ((READY, FAILED), True, table.READY, ""),
        ((RESTARTING,), True, table.READY, ""),
        ((RESTARTING, FAILED), True, table.READY, ""),
        ((STARTING, FAILED), True, table.LOADING, "starting"),
        ((FAILED,), True, table.FAILED, "why 0"),
        ((STOPPED, FAILED), True, table.FAILED, "why 1"),
        ((STOPPED,), True, table.FAILED, "no worker"),
    ],
    ids=[
        "none", "starting", "unproven", "ready", "one-of-two", "restarting", "restarting-failed",
        "starting-failed", "failed", "stopped-failed", "stopped",
    ],
)  # fmt: skip
def test_health(states, golden, state, reason):
    found = health(instances(*states), golden=golden)

    assert found.state == state
    assert reason in found.reason
    assert bool(found.reason) == (found.state != table.READY)
