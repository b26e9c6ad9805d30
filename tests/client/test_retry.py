import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.client.serving import answer

from inferd.client.retry import LONGEST_PAUSE, Budget, may_repeat, pause_before
from inferd.client.wire import Failure
from inferd.core.clock import FakeClock


def taken(budget):
    count = 0
    while budget.take():
        count += 1
    return count


def test_a_budget_begins_full_and_is_empty_after_its_tokens():
    assert taken(Budget(FakeClock(), most=10)) == 10


def test_ten_requests_earn_one_repeat():
    budget = Budget(FakeClock(), share=0.1, floor=0, most=3)
    taken(budget)
    for _ in range(10):
        budget.request()
        assert not budget.take() or _ == 9


def test_time_earns_a_few():
    clock = FakeClock()
    budget = Budget(clock, floor=0.5, most=3)
    taken(budget)
    clock.advance(2)

    assert taken(budget) == 1


@settings(deadline=None)
@given(st.lists(st.one_of(st.just("request"), st.just("take"), st.floats(0, 100)), max_size=200))
def test_repeats_never_exceed_a_tenth_and_the_floor(events):
    clock = FakeClock()
    budget = Budget(clock)
    requests = repeats = 0
    for event in events:
        if event == "request":
            requests += 1
            budget.request()
        elif event == "take":
            repeats += budget.take()
        else:
            clock.advance(event)

    assert repeats <= 10 + 0.1 * requests + 0.5 * (clock() - 1000) + 1e-6


@pytest.mark.parametrize(
    ("got", "may"),
    [
        (answer(429), True), (answer(503), True), (answer(500), False), (answer(502), False),
        (answer(400), False), (answer(504), False), (answer(302), False), (Failure("refused"), True),
        (Failure("reset", began=True), False), (Failure("slow", late=True), False),
    ],
    ids=lambda got: str(getattr(got, "status", getattr(got, "reason", got))),
)  # fmt: skip
def test_only_what_cannot_have_been_answered_is_repeated(got, may):
    assert may_repeat(got) is may


@settings(deadline=None)
@given(st.integers(0, 1000), st.one_of(st.none(), st.floats(0, 3600)), st.floats(0, 1))
def test_a_pause_is_at_least_what_the_server_asks_and_not_much_more(attempt, after, draw):
    pause = pause_before(attempt, after, draw)

    assert (after or 0) <= pause <= (after or 0) + LONGEST_PAUSE


def test_pauses_grow_and_are_drawn_from_the_whole_bound():
    bounds = [pause_before(attempt, None, 1.0) for attempt in range(10)]

    assert bounds[:4] == [0.05, 0.1, 0.2, 0.4]
    assert bounds[-1] == LONGEST_PAUSE
    assert pause_before(3, None, 0.0) == 0
