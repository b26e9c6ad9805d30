"""Quarantine: this very input and no other, bounded and for a while."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.execution.tensors import arrays, same

from inferd.core.clock import FakeClock
from inferd.scheduling.quarantine import LIFETIME, Quarantine, digest

BAD = {"x": np.array([[1.0, 666.0]], np.float32)}


def texts(*elements):
    out = np.empty(len(elements), dtype=object)
    out[:] = elements
    return {"x": out}


def test_an_input_is_held_and_others_are_not():
    quarantine = Quarantine(FakeClock())
    assert not quarantine.holds(BAD)
    quarantine.add(BAD)

    assert len(quarantine) == 1
    assert quarantine.holds({"x": BAD["x"].copy()})
    assert not quarantine.holds({"x": BAD["x"] + 1})


@pytest.mark.parametrize(
    "other",
    [
        {"y": BAD["x"]},
        {"x": BAD["x"].reshape(2, 1)},
        {"x": BAD["x"].view(np.int32)},
        {"x": BAD["x"][:, ::-1]},
        {"x": BAD["x"], "y": BAD["x"]},
    ],
    ids=["name", "shape", "dtype", "order", "one-more"],
)
def test_an_input_is_more_than_its_bytes(other):
    assert digest(other) != digest(BAD)


@pytest.mark.parametrize(
    ("left", "right"),
    [(texts(b"ab", b"c"), texts(b"a", b"bc")), (texts(b"a"), texts(b"a", b""))],
    ids=["bounds", "count"],
)
def test_texts_are_told_apart_by_their_bounds(left, right):
    assert digest(left) != digest(right)


@given(arrays(), arrays())
def test_the_digest_follows_the_contents(left, right):
    assert digest({"x": left}) == digest({"x": np.array(left, order="F")})
    if digest({"x": left}) == digest({"x": right}):
        assert same({"x": left}, {"x": right})


def test_it_expires():
    clock = FakeClock()
    quarantine = Quarantine(clock)
    quarantine.add(BAD)
    clock.advance(LIFETIME - 1)
    assert quarantine.holds(BAD)
    clock.advance(2)

    assert not quarantine.holds(BAD)
    assert len(quarantine) == 0


def test_one_held_again_does_not_keep_others_beyond_their_time():
    clock = FakeClock()
    quarantine = Quarantine(clock, lifetime=10)
    other = {"x": BAD["x"] * 2}
    quarantine.add(BAD)
    quarantine.add(other)
    clock.advance(8)
    quarantine.add(BAD)
    clock.advance(5)

    assert not quarantine.holds(other)
    assert quarantine.holds(BAD)


@given(st.integers(1, 20), st.integers(0, 60))
def test_it_is_bounded_and_the_oldest_goes(capacity, count):
    quarantine = Quarantine(FakeClock(), capacity=capacity)
    inputs = [{"x": np.array([i])} for i in range(count)]
    for one in inputs:
        quarantine.add(one)

    assert len(quarantine) == min(capacity, count)
    assert [quarantine.holds(i) for i in inputs] == [
        i >= count - capacity for i in range(count)
    ]  # fmt: skip
