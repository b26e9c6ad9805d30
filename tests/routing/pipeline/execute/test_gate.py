"""The gate: how many are under way, and who is let in."""

import pytest

from inferd.core.errors import DeadlineExceeded, Overloaded
from inferd.routing.pipeline.execute.gate import Gate
from inferd.scheduling.admission import ENTRIES_LEAST, QueueLimits


def full(count, limits=None):
    gate = Gate(limits or QueueLimits())
    for _ in range(count):
        gate.enter(10, 0.0, 100.0)
    return gate


def test_what_enters_is_counted_until_it_leaves():
    gate = full(3)
    gate.leave(10, 0.0)

    assert (gate.entries, gate.nbytes) == (2, 20)


def test_a_later_step_of_an_admitted_request_is_let_in_however_many_there_are():
    gate = full(3, QueueLimits(entries=3, nbytes=50))
    gate.enter(10, 0.0, 100.0, admitted=True)

    assert gate.entries == 4
    with pytest.raises(Overloaded, match="bytes are under way"):
        gate.enter(11, 0.0, 100.0, admitted=True)


@pytest.mark.parametrize(
    ("limits", "nbytes", "message"),
    [
        (QueueLimits(entries=3), 1, "3 requests are under way"),
        (QueueLimits(nbytes=40), 11, "30 bytes are under way, 11 more are over 40"),
    ],
    ids=["requests", "bytes"],
)
def test_over_a_limit_it_refuses_and_says_when_to_come_back(limits, nbytes, message):
    gate = full(3, limits)
    with pytest.raises(Overloaded, match=message) as raised:
        gate.enter(nbytes, 0.0, 100.0)
    assert raised.value.retry_after >= 0.1
    assert (gate.entries, gate.nbytes, gate.refused) == (3, 30, 1)
    gate.leave(10, 0.0)
    gate.enter(10, 0.0, 100.0)


def test_one_large_request_is_let_in_alone():
    Gate(QueueLimits(nbytes=5)).enter(10, 0.0, 100.0)


def test_one_that_is_late_is_refused():
    with pytest.raises(DeadlineExceeded):
        Gate(QueueLimits()).enter(1, 5.0, 5.0)


def test_under_load_one_that_would_be_late_is_refused_before_its_first_step():
    gate = full(2 * ENTRIES_LEAST)
    for i in range(ENTRIES_LEAST):  # ten leave a second, and as many come
        gate.leave(10, i / 10)
        gate.enter(10, i / 10, 1000.0)
    now = ENTRIES_LEAST / 10
    with pytest.raises(Overloaded, match="past its deadline") as raised:
        gate.enter(10, now, now + 10.0)
    assert raised.value.retry_after == pytest.approx(25.6, rel=0.3)
    gate.enter(10, now, now + 40.0)


def test_what_left_while_there_was_no_load_says_nothing():
    gate = Gate(QueueLimits())
    for i in range(100):  # one in ten seconds
        gate.enter(1, 10.0 * i, 10.0 * i + 5)
        gate.leave(1, 10.0 * i + 1)
    for _ in range(2 * ENTRIES_LEAST):
        gate.enter(1, 1000.0, 1005.0)
    assert gate.entries == 2 * ENTRIES_LEAST
