"""Whom an idle instance waits for, and that it stops waiting where nobody comes."""

import pytest

from inferd.scheduling.gather import LEAST, LONGEST, PATIENCE, REST, WORTH, Gather

BATCH = 0.03


def after(entries, *, waiting=0, seconds=BATCH, now=1.0):
    gather = Gather()
    gather.answered(entries, waiting, seconds, now)
    return gather


def test_it_waits_until_as_many_came_as_were_answered():
    gather = after(8)

    assert gather.left(1, 100, 1.0) > 0
    assert gather.left(7, 100, 1.0005) > 0
    assert gather.left(8, 100, 1.0006) == 0
    assert gather.left(1, 100, 1.0007) == 0  # once


def test_those_who_waited_before_are_expected_besides():
    gather = after(4, waiting=3)

    assert gather.left(4, 100, 1.0) > 0
    assert gather.left(7, 100, 1.0) == 0


def test_two_batches_answered_together_are_expected_together():
    gather = after(4)
    gather.answered(4, 0, BATCH, 1.0)

    assert gather.left(4, 100, 1.0) > 0
    assert gather.left(8, 100, 1.0) == 0


def test_a_full_batch_does_not_wait():
    assert after(8).left(4, 4, 1.0) == 0


@pytest.mark.parametrize(
    ("seconds", "least", "most"),
    [(BATCH, LEAST, BATCH * 0.1), (10.0, LONGEST, LONGEST), (WORTH, LEAST, LEAST)],
    ids=["in proportion", "never long", "one tick at least"],
)
def test_the_wait_is_a_small_part_of_the_batch(seconds, least, most):
    found = after(8, seconds=seconds).left(1, 100, 1.0)

    assert least - 1e-9 <= found <= most + 1e-9
    assert after(8, seconds=seconds).left(1, 100, 1.0 + LONGEST + LEAST) == 0


@pytest.mark.parametrize(
    ("entries", "seconds"), [(1, BATCH), (8, WORTH / 2)], ids=["a lone request", "a short batch"]
)
def test_nobody_is_expected_after(entries, seconds):
    assert after(entries, seconds=seconds).left(1, 100, 1.0) == 0


def test_it_rests_where_answered_clients_do_not_come_back():
    gather, now = Gather(), 1.0
    for _ in range(PATIENCE):
        gather.answered(8, 0, BATCH, now)
        assert gather.left(1, 100, now) > 0
        now += 1
        assert gather.left(1, 100, now) == 0

    for _ in range(REST):
        gather.answered(8, 0, BATCH, now)
        assert gather.left(1, 100, now) == 0
    gather.answered(8, 0, BATCH, now)
    assert gather.left(1, 100, now) > 0


def test_one_who_is_late_now_and_then_is_forgiven():
    gather, now = Gather(), 1.0
    for i in range(4 * PATIENCE):
        gather.answered(8, 0, BATCH, now)
        assert gather.left(1, 100, now) > 0, i
        now += 1
        came = 8 if i % PATIENCE else 1
        assert gather.left(came, 100, now) == 0
