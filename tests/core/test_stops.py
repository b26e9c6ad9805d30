"""Stop texts, whichever pieces a text comes in."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from inferd.core.stops import StopCutter

FEW = st.text("aé", max_size=12)
STOPS = st.lists(st.text("aé", min_size=1, max_size=4), max_size=4)
CUTS = st.lists(st.integers(0, 20), max_size=8)


def cut_into(whole, cuts):
    """``whole`` in pieces that begin at ``cuts``."""
    places = sorted({min(c, len(whole)) for c in cuts} | {0, len(whole)})
    return [whole[a:b] for a, b in pairwise(places)]


def first_stop(text, stops):
    """Where ``text`` is to end: before the stop that is complete first."""
    found = [(text.find(s) + len(s), text.find(s)) for s in stops if s in text]
    return min(found)[1] if found else None


@given(FEW, STOPS, CUTS)
def test_a_stop_is_found_however_a_text_is_cut(text, stops, cuts):
    cutter = StopCutter(stops)
    sent = "".join(cutter.feed(part) for part in cut_into(text, cuts))
    place = first_stop(text, stops)

    assert cutter.stopped == (place is not None)
    assert sent + cutter.end() == text[:place]


def test_only_what_may_be_the_beginning_of_a_stop_is_held_back():
    cutter = StopCutter(["END"])

    assert [cutter.feed(t) for t in ("a", "bE", "N", "x", "E", "ND")] == [
        "a",
        "b",
        "",
        "ENx",
        "",
        "",
    ]
    assert cutter.stopped


def test_what_was_held_back_is_given_at_the_end():
    cutter = StopCutter(["END"])

    assert cutter.feed("the EN") == "the "
    assert cutter.end() == "EN"
