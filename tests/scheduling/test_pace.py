"""How many rows the next batch may have, and how long it waits."""

import asyncio

import pytest
from tests.scheduling.entries import entry
from tests.scheduling.instances import Instance

from inferd.core.clock import FakeClock
from inferd.core.plan import BatchPlan
from inferd.execution.executor import RESTARTING, Curve
from inferd.scheduling.costs import LARGEST, Costs
from inferd.scheduling.pace import REVIEW_EVERY, Pace
from inferd.scheduling.queue import FEW, EntryQueue
from inferd.scheduling.settings import BatchSettings

SUBLINEAR = Curve(((1, 0.004), (2, 0.006), (4, 0.010), (8, 0.018), (16, 0.034)))
CONSTANT = Curve(tuple((2**i, 0.02) for i in range(5)))
SMALL = Curve(((1, 0.003), (2, 0.005), (4, 0.006), (8, 0.010), (16, 0.018)))


def pace_of(curve=SUBLINEAR, *, instances=1, slots=2, clock=None, plan=None, **settings):
    subject = Pace(
        Costs(curve), plan or BatchPlan(), BatchSettings(slots=slots, **settings),
        clock or FakeClock(),
    )  # fmt: skip
    subject.review([Instance() for _ in range(instances)])
    return subject


@pytest.mark.parametrize(
    ("subject", "waiting", "running", "rows"),
    [
        (pace_of(), 16, 0, 8),
        (pace_of(), 8, 8, 8),
        (pace_of(), 14, 2, 8),
        (pace_of(), 1, 0, pace_of().limit),
        (pace_of(slots=1), 16, 0, pace_of().limit),
        (pace_of(instances=2, slots=1), 16, 0, 8),
        (pace_of(CONSTANT), 16, 0, pace_of(CONSTANT).limit),
        (pace_of(SMALL), 5, 0, pace_of(SMALL).limit),
        (pace_of(max_size=4), 16, 0, 4),
    ],
    ids=[
        "split", "the half that came back", "uneven", "one", "one slot", "two instances",
        "splitting gains nothing", "a few stay together", "configured",
    ],
)  # fmt: skip
def test_rows(subject, waiting, running, rows):
    assert subject.rows(waiting, running) == rows


def test_a_few_that_a_delay_held_back_stay_together():
    ragged = BatchPlan(length=("x", 1))
    held = pace_of(plan=ragged, max_delay=0.05)

    assert held.rows(FEW, 0) >= FEW
    assert held.rows(2 * FEW, 0) == FEW
    assert pace_of(plan=ragged).rows(FEW, 0) == FEW // 2


def test_the_rate_counts_what_is_ready():
    two, one = pace_of(instances=2), pace_of(instances=1)
    assert two.rate == pytest.approx(2 * one.rate)
    assert two.row_seconds == pytest.approx(1 / two.rate)

    idle = Instance()
    idle.state = RESTARTING
    two.review([idle])
    assert (two.rate, two.row_seconds, two.ready) == (0.0, 0.0, 0)


def test_now_and_then_a_larger_batch_is_tried_once():
    subject = pace_of(CONSTANT, slots=1, plan=BatchPlan(max_batch=LARGEST))
    limit = subject.limit
    for _ in range(REVIEW_EVERY):
        subject.ran([Instance()])

    assert subject.rows(limit, 0) == limit
    assert subject.rows(2 * limit, 0) == min(LARGEST, 2 * limit)
    assert subject.rows(2 * limit, 0) == subject.limit


def waits(subject, clock, *, waiting=1, deadline=30.0, rows=8):
    async def main():
        queue = EntryQueue()
        for _ in range(waiting):
            one = entry(1, future=asyncio.get_running_loop().create_future())
            one.deadline, one.enqueued = clock() + deadline, clock()
            queue.push(one)
        return subject.wait(queue, rows)

    return asyncio.run(main())


def test_it_never_waits_unasked():
    clock = FakeClock()
    assert waits(pace_of(clock=clock), clock) == 0


def test_it_waits_for_clients_that_were_just_answered():
    clock = FakeClock()
    subject = pace_of(clock=clock)
    subject.answered(8, 0, 0.03)

    assert 0 < waits(subject, clock) < 0.003
    assert waits(subject, clock, waiting=8) == 0


def test_it_waits_for_nobody_past_a_deadline():
    clock = FakeClock()
    subject = pace_of(clock=clock)
    subject.answered(8, 0, 0.03)

    assert waits(subject, clock, deadline=0.005) <= 0


def test_a_configured_delay_is_waited_for():
    clock = FakeClock()
    assert waits(pace_of(clock=clock, max_delay=0.05), clock) == pytest.approx(0.05)
