"""Repeats stay within a fifth of the requests, above a floor."""

from inferd.core.clock import FakeClock
from inferd.routing.remote.budget import RetryBudget


def drained(clock, **settings):
    budget = RetryBudget(clock, **settings)
    while budget.take():
        pass
    return budget


def test_a_service_that_always_fails_gets_a_fifth_more_load():
    budget = drained(FakeClock(), floor=0.0)
    repeats = 0
    for _ in range(1000):
        budget.request()
        repeats += budget.take()

    assert 195 <= repeats <= 200


def test_a_quiet_service_may_repeat_by_the_floor():
    clock = FakeClock()
    budget = drained(clock)
    clock.advance(0.5)

    assert budget.left == 5
    assert sum(budget.take() for _ in range(20)) == 5


def test_the_store_is_deep_enough_for_what_was_under_way_and_no_deeper():
    clock = FakeClock()
    budget = RetryBudget(clock)
    clock.advance(1e6)

    assert budget.left == 256
