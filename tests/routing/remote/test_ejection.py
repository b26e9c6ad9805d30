"""Who is left out, for how long, and who may not be."""

import pytest

from inferd.routing.remote.ejection import (
    DOWN,
    EJECTED,
    FAILURES,
    FORGIVEN,
    UNREACHED,
    UP,
    Standing,
    candidates,
    may_leave_out,
)


class Replica:
    def __init__(self, state=UP, unreached=0):
        self.standing = Standing()
        self.standing.state = state
        self.standing.unreached = unreached


def fail(standing, times, now=0.0, reached=True):
    return [standing.failed("why", now, reached=reached) for _ in range(times)]


def test_five_failures_in_a_row_and_not_fewer():
    standing = Standing()
    assert not any(fail(standing, FAILURES - 1))
    standing.answered(0.0)
    assert not any(fail(standing, FAILURES - 1))
    assert fail(standing, 1) == [True]
    standing.out(0.0)
    assert (standing.state, standing.reason) == (EJECTED, "why")


def test_two_connections_that_fail():
    standing = Standing()
    assert fail(standing, UNREACHED, reached=False) == [False, True]
    standing.out(0.0)
    assert standing.state == DOWN


def test_who_is_out_already_is_not_put_out_again():
    standing = Standing()
    fail(standing, FAILURES)
    standing.out(0.0)

    assert not any(fail(standing, 20))


def test_the_time_out_doubles_up_to_a_minute_and_is_forgiven():
    standing, now, times = Standing(), 0.0, []
    for _ in range(9):
        fail(standing, FAILURES, now)
        standing.out(now)
        times.append(standing.until - now)
        now = standing.until
        assert standing.probed(True, now)
    assert times == [1, 2, 4, 8, 16, 32, 60, 60, 60]

    standing.answered(now + FORGIVEN + 1)
    fail(standing, FAILURES, now)
    standing.out(now)
    assert standing.until - now == 1


def test_who_was_down_is_back_at_once_who_was_ejected_when_its_time_is_over():
    down, ejected = Standing(), Standing()
    fail(down, UNREACHED, reached=False)
    fail(ejected, FAILURES)
    for standing in (down, ejected):
        standing.out(0.0)
        assert not standing.probed(False, 0.5)

    assert down.probed(True, 0.1)
    assert not ejected.probed(True, 0.9)
    assert ejected.probed(True, 1.0)
    assert (down.state, ejected.state) == (UP, UP)
    assert not down.probed(True, 2.0)


@pytest.mark.parametrize(
    ("others", "unreached", "may"),
    [
        ([], 0, False),
        ([], 2, False),
        ([UP], 0, True),
        ([EJECTED], 0, False),
        ([DOWN], 2, False),
        ([UP, EJECTED], 0, False),
        ([UP, EJECTED], 2, True),
        ([UP, DOWN], 0, True),
        ([UP, UP, EJECTED], 0, True),
        ([UP, EJECTED, EJECTED], 0, False),
    ],
    ids=str,
)
def test_at_most_half_are_ejected_and_one_always_stays(others, unreached, may):
    one = Replica(unreached=unreached)

    assert may_leave_out(one, [one, *map(Replica, others)]) is may


def test_who_is_chosen_from():
    a, b, c = Replica(), Replica(), Replica(DOWN)

    assert candidates([a, b, c]) == [a, b]
    assert candidates([a, b, c], [a]) == [b]
    assert candidates([a, b, c], [a, b]) == [a, b]
    assert candidates([c]) == [c]
    assert candidates([c], [c]) == [c]
