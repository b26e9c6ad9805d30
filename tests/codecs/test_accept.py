import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.codecs.accept import choose, first, ranges

OFFERS = ("application/json", "text/csv", "application/x-npy")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV; header=present", "text/csv"),
        ("text/*", "text/csv"),
        ("application/x-npy;q=0.5, text/csv;q=0.9", "text/csv"),
        ("text/csv, application/json", "text/csv"),
        ("*/*;q=0.1, application/x-npy", "application/x-npy"),
        ("application/json;q=0, */*", "text/csv"),
        ("image/png, text/csv;q=0.1", "text/csv"),
        ("image/png", None),
        ("text/csv;q=0", None),
        ("text/csv;q=much", "text/csv"),
        ("nonsense", "application/json"),
        ("*", "application/json"),
    ],
)
def test_the_type_is_chosen_by_weight_then_by_the_clients_order(accept, chosen):
    assert choose(accept, OFFERS) == chosen


def test_what_a_client_likes_best_of_all():
    assert first("text/csv;q=0.5, image/png", "application/json") == "image/png"
    assert first("*/*", "application/json") == "application/json"
    assert first("", "text/csv") == "text/csv"
    assert first("text/*, text/csv;q=0", "application/json") == "application/json"


def test_a_long_header_is_cut():
    assert len(ranges(",".join(f"a/b{i}" for i in range(1000)))) == 32


@given(st.text(max_size=200))
def test_any_header_is_read(text):
    assert choose(text, OFFERS) in (*OFFERS, None)
