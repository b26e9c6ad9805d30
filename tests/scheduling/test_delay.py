import asyncio

import pytest

from inferd.core.clock import FakeClock
from inferd.execution.executor import Curve, Entry
from inferd.execution.layout import Layout
from inferd.scheduling.costs import Costs
from inferd.scheduling.delay import hold
from inferd.scheduling.queue import EntryQueue


def queue_of(loop, clock, *, waiting, deadline):
    queue = EntryQueue()
    for _ in range(waiting):
        layout = Layout(1, (), 1, 4)
        entry = Entry(
            {}, layout, loop.create_future(), deadline=clock() + deadline, enqueued=clock()
        )
        queue.push(entry)
    return queue


@pytest.mark.parametrize(
    ("delay", "waiting", "later", "deadline", "expected"),
    [
        (0.0, 1, 0.0, 30.0, 0.0),
        (0.05, 0, 0.0, 30.0, 0.0),
        (0.05, 1, 0.0, 30.0, 0.05),
        (0.05, 1, 0.02, 30.0, 0.03),
        (0.05, 8, 0.0, 30.0, 0.0),
        (0.05, 1, 0.0, 0.04, 0.02),
        (0.05, 1, 0.06, 30.0, -0.01),
    ],
    ids=["not-configured", "nobody", "fresh", "some-is-over", "full", "deadline-near", "over"],
)
def test_hold(delay, waiting, later, deadline, expected):
    loop = asyncio.new_event_loop()
    clock = FakeClock()
    queue = queue_of(loop, clock, waiting=waiting, deadline=deadline)
    clock.advance(later)

    found = hold(delay, queue, 8, Costs(Curve(((1, 0.01),))), clock)

    loop.close()
    assert found == pytest.approx(expected)
