"""Who may share a batch, as data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.core.plan import BatchPlan

AXES = st.tuples(st.text(max_size=4), st.integers(0, 3))


@given(
    st.builds(
        BatchPlan, st.booleans(), st.none() | st.integers(1, 99),
        st.lists(AXES, max_size=3).map(tuple), st.none() | AXES, st.booleans(),
    )
)  # fmt: skip
def test_a_plan_round_trips(plan):
    assert BatchPlan.from_json(plan.to_json()) == plan


def test_the_key_is_the_sizes_that_must_agree():
    plan = BatchPlan(key_axes=(("x", 1), ("y", 2)))
    inputs = {"x": np.zeros((2, 3)), "y": np.zeros((2, 4, 5))}

    assert plan.key(inputs) == (3, 5)
    assert BatchPlan().key(inputs) == ()


def texts(*elements):
    out = np.empty(len(elements), dtype=object)
    out[:] = elements
    return out


@pytest.mark.parametrize(
    ("length", "array", "size"),
    [
        (None, np.zeros((2, 9)), 1),
        (("x", 1), np.zeros((2, 9)), 9),
        (("x", 1), np.zeros((2, 0)), 1),
        (("x", 0), texts(b"abcd", b"ab"), 7),
        (("x", 0), texts(), 1),
        (("x", 0), texts(b""), 4),
    ],
    ids=["none", "padded", "empty-axis", "texts", "no-texts", "empty-text"],
)
def test_the_length_is_what_padding_costs(length, array, size):
    assert BatchPlan(length=length).size({"x": array}) == size
