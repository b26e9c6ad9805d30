"""The rerun budget: bounded, refilled by answers, and never too little for the batch at hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.scheduling.budget import CAPACITY, SHARE, RerunBudget


def reruns_at_worst(n):
    """Count the reruns when every entry of a batch fails, as the program bisects."""
    if n <= 1:
        return 0
    return n + reruns_at_worst(n // 2) + reruns_at_worst(n - n // 2)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 500)), max_size=60))
def test_what_is_spent_was_earned(steps):
    budget = RerunBudget()
    earned = spent = 0
    for earning, amount in steps:
        if earning:
            budget.earn(amount)
            earned += amount
        elif budget.spend(amount):
            spent += amount
        assert 0 <= budget.available <= CAPACITY
    assert spent <= CAPACITY + SHARE * earned + 1e-6


def test_nothing_is_taken_where_too_little_is_left():
    budget = RerunBudget(capacity=10)

    assert not budget.spend(11)
    assert budget.available == 10
    assert budget.spend(10)
    assert budget.available == 0
    budget.earn(4)
    assert budget.available == 0
    budget.earn(1)
    assert budget.available == 1


@given(st.integers(1, 1024), st.integers(0, CAPACITY))
def test_a_batch_is_no_larger_than_can_be_told_apart(limit, spent):
    budget = RerunBudget()
    budget.spend(spent)
    size = budget.batch_within(limit)

    assert 1 <= size <= limit
    if reruns_at_worst(limit) <= CAPACITY:
        assert reruns_at_worst(size) <= budget.available or size == 1


@pytest.mark.parametrize("limit", [1, 2, 32, 256, 1000], ids=str)
def test_a_full_budget_leaves_the_limit_as_it_is(limit):
    assert RerunBudget().batch_within(limit) == limit


def test_an_always_failing_model_is_run_a_fifth_more_at_most():
    budget = RerunBudget()
    budget.spend(CAPACITY)
    answered = rerun = 0
    while answered < 50_000:
        size = budget.batch_within(32)
        if size > 1 and budget.spend(reruns_at_worst(size)):
            rerun += reruns_at_worst(size)
        answered += size
        budget.earn(size)

    assert rerun <= SHARE * answered
