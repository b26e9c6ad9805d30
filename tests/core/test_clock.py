"""Time as a dependency."""

import time

import pytest

from inferd.core.clock import FakeClock, monotonic


def test_the_real_clock_is_monotonic_seconds():
    before = time.monotonic()

    assert before <= monotonic() <= time.monotonic()


def test_a_fake_clock_moves_only_when_told_to():
    clock = FakeClock(5.0)
    assert clock() == clock() == 5.0
    clock.advance(0.25)

    assert clock() == 5.25


def test_a_fake_clock_never_goes_back():
    with pytest.raises(ValueError, match="never goes back"):
        FakeClock().advance(-1)
