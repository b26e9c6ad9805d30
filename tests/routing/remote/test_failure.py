"""Whose fault a failure is, and what follows."""

import pytest

from inferd.core.errors import (
    Cancelled,
    DeadlineExceeded,
    InvalidInput,
    ModelFailed,
    NotAllowed,
    NotFound,
    Overloaded,
    Unavailable,
)
from inferd.routing.remote import failure


@pytest.mark.parametrize(
    ("error", "again", "blame", "ours"),
    [
        (InvalidInput("x"), False, False, False),
        (NotFound("x"), False, False, False),
        (ModelFailed("x"), False, True, False),
        (Overloaded("x"), True, False, False),
        (Unavailable("x"), True, True, True),
        (DeadlineExceeded("x"), False, False, False),
        (Cancelled("x"), True, False, False),
        (NotAllowed("x"), False, False, False),
    ],
    ids=lambda v: getattr(v, "kind", None),
)
def test_refusals(error, again, blame, ours):
    found = failure.refused("asr", error)

    assert (found.again, found.blame, found.ours) == (again, blame, ours)
    assert found.error.message == "service 'asr': x"


def test_what_the_other_side_forbids_is_not_the_caller_s_fault():
    assert isinstance(failure.refused("asr", NotAllowed("no")).error, Unavailable)


def test_a_replica_that_is_not_reached():
    for found in (failure.unreached("a", "h:1", "gone"), failure.broken("a", "h:1", "gone")):
        assert (found.again, found.blame, found.reached, found.ours) == (True, True, False, True)
        assert found.error.message == "service 'a' at h:1: gone"


def test_an_answer_that_is_none_and_one_that_does_not_fit():
    assert failure.garbled("a", "h:1", "x").ours
    assert failure.garbled("a", "h:1", "x").again
    assert not failure.mismatched("a", "h:1", "x").again
    assert failure.mismatched("a", "h:1", "x").blame


def test_places_and_time():
    assert failure.crowded("a", "h:1", "x").crowded
    assert not failure.crowded("a", "h:1", "x").blame
    late = failure.late("a", "h:1", "x")
    assert (late.late, late.again, late.ours) == (True, False, False)
    late.blame = True
    assert late.ours
