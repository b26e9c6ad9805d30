"""The executor seam: curves cross as JSON, and both executors keep the interface."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.core.errors import InvalidInput
from inferd.execution.executor import Curve, Executor
from inferd.execution.inline import InlineExecutor
from inferd.execution.supervisor import ProcessExecutor

SECONDS = st.floats(1e-9, 100)


@given(
    st.lists(st.tuples(st.integers(1, 256), SECONDS), max_size=9), SECONDS, st.integers(1, 64),
    st.integers(1, 256), SECONDS,
)  # fmt: skip
def test_a_curve_round_trips(points, parallel, threads, rows, cpu):
    curve = Curve(tuple(points), parallel, threads, rows, cpu)

    assert Curve.from_json(curve.to_json()) == curve


@pytest.mark.parametrize(
    "row",
    [{}, {"points": 3}, {"points": [[1]]}, {"points": [["a", "b"]]}, {"points": []}],
    ids=["empty", "number", "half-a-point", "texts", "no-figures"],
)
def test_nonsense_is_no_curve(row):
    with pytest.raises(InvalidInput):
        Curve.from_json(row)


@pytest.mark.parametrize("cls", [ProcessExecutor, InlineExecutor], ids=lambda c: c.__name__)
def test_both_executors_have_the_whole_interface(cls):
    for name, member in vars(Executor).items():
        if name.startswith("_"):
            continue
        mine = inspect.getattr_static(cls, name)
        assert type(mine) is type(member), name
        if callable(member):
            assert list(inspect.signature(mine).parameters) == list(
                inspect.signature(member).parameters
            ), name
