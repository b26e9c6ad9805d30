"""Admission: what is refused, why, and when to come back."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.core.errors import DeadlineExceeded, Overloaded, Unavailable
from inferd.scheduling.admission import ENTRIES_LEAST, QUEUE_SECONDS, Load, QueueLimits, refuse

NOW = 100.0
LIMITS = QueueLimits(entries=1000, nbytes=10_000)
QUIET = Load(entries=0, rows=0, nbytes=0, rate=100.0, alive=True)


def ask(load, *, limits=LIMITS, rows=1, nbytes=10, deadline=math.inf, admitted=False):
    return refuse(
        load, limits, rows=rows, nbytes=nbytes, now=NOW, deadline=deadline, admitted=admitted
    )


def busy(entries, *, rate=100.0, nbytes=0):
    return replace(QUIET, entries=entries, rows=entries, rate=rate, nbytes=nbytes)


def test_an_idle_model_takes_anything_in_time():
    assert ask(QUIET) is None
    assert ask(QUIET, nbytes=LIMITS.nbytes * 2) is None
    assert ask(replace(QUIET, rate=0.0)) is None


@pytest.mark.parametrize("deadline", [NOW, NOW - 1], ids=["now", "past"])
def test_a_request_that_comes_too_late_is_refused(deadline):
    assert isinstance(ask(QUIET, deadline=deadline), DeadlineExceeded)


def test_nothing_alive_is_unavailable_and_says_why():
    error = ask(replace(QUIET, alive=False, reason="the file is corrupt"))

    assert isinstance(error, Unavailable)
    assert "the file is corrupt" in error.message
    assert error.retry_after > 0


@pytest.mark.parametrize(
    ("load", "limits"),
    [
        (busy(200), LIMITS),
        (busy(1000, rate=1e6), LIMITS),
        (busy(1000, rate=0.0), LIMITS),
        (busy(3, nbytes=9_995), LIMITS),
        (busy(5), QueueLimits(entries=5)),
    ],
    ids=["two-seconds-of-work", "entries", "entries-while-restarting", "bytes", "small-limit"],
)
def test_a_full_queue_is_overloaded_with_a_time_to_come_back(load, limits):
    error = ask(load, limits=limits)

    assert isinstance(error, Overloaded)
    assert error.retry_after > 0
    if load.rate:
        assert error.retry_after == pytest.approx(max(load.rows / load.rate, 0.1))


def test_a_request_that_could_only_expire_in_the_queue_is_refused_at_once():
    assert isinstance(ask(busy(100), deadline=NOW + 0.5), Overloaded)
    assert ask(busy(100), deadline=NOW + 1.5) is None


def test_a_slow_model_may_always_queue_some():
    assert ask(busy(ENTRIES_LEAST - 1, rate=0.5)) is None
    assert isinstance(ask(busy(ENTRIES_LEAST, rate=0.5)), Overloaded)


def test_a_later_step_of_an_admitted_request_does_not_wait_its_turn():
    assert ask(busy(5000, rate=0.5), admitted=True) is None
    assert ask(busy(500), deadline=NOW + 0.5, admitted=True) is None


def test_but_it_is_held_to_bytes_and_time():
    heavy = busy(5, nbytes=LIMITS.nbytes)
    assert isinstance(ask(heavy, admitted=True), Overloaded)
    assert isinstance(ask(QUIET, deadline=NOW, admitted=True), DeadlineExceeded)
    assert isinstance(ask(replace(QUIET, alive=False), admitted=True), Unavailable)


@given(
    st.integers(0, 5000), st.floats(0, 1e6), st.integers(0, 20_000), st.floats(0, 100), st.booleans()
)  # fmt: skip
def test_whatever_is_admitted_is_within_the_bounds(entries, rate, nbytes, left, alive):
    load = Load(entries, entries, nbytes, rate, alive)
    error = ask(load, deadline=NOW + left)
    if error is None:
        assert alive and left > 0
        assert entries < LIMITS.entries
        assert not entries or nbytes + 10 <= LIMITS.nbytes
        if rate and entries:
            assert entries / rate <= left
            assert entries <= max(ENTRIES_LEAST, rate * QUEUE_SECONDS)
    else:
        assert getattr(error, "retry_after", 1) > 0
