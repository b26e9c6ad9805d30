"""The breaker: opens after failures in a row, lets one request try, closes with its success."""

import contextlib
import gc

import pytest

from inferd.core.clock import FakeClock
from inferd.core.errors import Unavailable
from inferd.routing.remote.breaker import Breaker

ERROR = Unavailable("nobody is there")


def opened(clock, **settings):
    breaker = Breaker("asr", clock, **settings)
    for _ in range(5):
        breaker.leave(breaker.enter(), ERROR)
    assert breaker.state == "opened"
    return breaker


def test_failures_in_a_row_open_it():
    breaker = Breaker("asr", FakeClock())
    for error in [ERROR] * 4 + [None] + [ERROR] * 4:
        breaker.leave(breaker.enter(), error)
    assert breaker.state == "closed"
    breaker.leave(breaker.enter(), ERROR)
    assert breaker.state == "opened"


def test_while_open_it_refuses_and_says_why_and_when_to_come_back():
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(0.5)

    with pytest.raises(Unavailable, match="asr.*keeps failing: nobody is there") as caught:
        breaker.enter()
    assert caught.value.retry_after == pytest.approx(1.5)


def test_one_request_tries_and_the_others_wait_for_what_it_finds():
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(2)

    trying = breaker.enter()
    assert trying
    with pytest.raises(Unavailable):
        breaker.enter()
    breaker.leave(trying)
    assert breaker.state == "closed"
    assert not breaker.enter()


def test_a_try_that_fails_opens_it_again():
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(2)
    breaker.leave(breaker.enter(), ERROR)

    assert breaker.state == "opened"
    clock.advance(1.9)
    with pytest.raises(Unavailable):
        breaker.enter()
    clock.advance(0.2)
    assert breaker.enter()


def test_a_try_that_was_given_up_lets_the_next_one_try():
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(2)
    breaker.give_up(breaker.enter())

    assert breaker.enter()


def test_what_began_before_it_opened_changes_nothing_after():
    clock = FakeClock()
    breaker = Breaker("asr", clock)
    early = [breaker.enter() for _ in range(3)]
    for _ in range(5):
        breaker.leave(breaker.enter(), ERROR)
    breaker.leave(early[0])
    breaker.leave(early[1], ERROR)

    assert breaker.state == "opened"


def test_refusals_hold_nothing():
    breaker = opened(FakeClock())

    def tracebacks():
        gc.collect()
        return sum(type(o).__name__ == "traceback" for o in gc.get_objects())

    before = tracebacks()
    for _ in range(1000):
        with contextlib.suppress(Unavailable):
            breaker.enter()
    assert tracebacks() <= before + 5
