"""The Python steps of the recommender, and its search of titles, on a small catalogue."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from examples.recommender import evaluate
from examples.recommender.prepare import FILES

from inferd.core.errors import InvalidInput

FILMS = [
    {"id": 1, "title": "Toy Story", "year": 1995, "genres": ["Animation", "Comedy"]},
    {"id": 2, "title": "Alien", "year": 1979, "genres": ["Horror", "Sci-Fi"]},
    {"id": 3, "title": "Aliens", "year": 1986, "genres": ["Action", "Sci-Fi"]},
    {"id": 4, "title": "The Apartment", "year": 1960, "genres": ["Comedy", "Drama"]},
    {"id": 5, "title": "Aliens", "year": 1986, "genres": ["Action", "Sci-Fi"]},
    {"id": 6, "title": "Amélie", "year": 2001, "genres": ["Comedy"]},
]
PEOPLE = {
    1: {"age": 20, "gender": "F", "history": [1, 4], "ratings": [5, 4]},
    2: {"age": 22, "gender": "F", "history": [1, 2], "ratings": [4, 1]},
    3: {"age": 60, "gender": "M", "history": [2, 3], "ratings": [5, 5]},
}
IDS, NUMBERS = np.int64, np.float32


@pytest.fixture(scope="module")
def steps():
    with evaluate.steps_of(FILES) as found, pytest.MonkeyPatch.context() as patch:
        module = sys.modules["catalogue"]
        have = module.Catalogue(FILMS, PEOPLE)
        patch.setattr(found, "catalogue", lambda: have)
        patch.setattr(module, "catalogue", lambda: have)
        module.shares.cache_clear()
        yield found


@pytest.fixture(scope="module")
def finder():
    path = Path(FILES) / "films" / "1" / "films.py"
    spec = importlib.util.spec_from_file_location("films_search", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Finder(
        FILMS + [{**FILMS[0], "id": n, "title": f"Other {n}"} for n in range(7, 12)]
    )


def read(steps, history=(), ratings=(), **given):
    asked = {
        "user": 0, "genres": [], "exclude": np.array([], IDS), "age": 0, "gender": "", "k": 10,
        "threshold": 0.0, "diversity": 0.0,
    }  # fmt: skip
    return steps.read(np.array(history, IDS), np.array(ratings, NUMBERS), **(asked | given))


def behaviour(steps, asked, likes=(), found=(), sure=()):
    shape = (len(likes), -1 if likes else 8)
    return steps.behaviour(
        **asked, likes=list(likes), found=np.array(found, IDS).reshape(shape),
        sure=np.array(sure, NUMBERS).reshape(shape),
    )  # fmt: skip


def choose(steps, candidates, scores, allowed, **given):
    asked = {
        "because": np.zeros(len(candidates), IDS), "history": np.array([], IDS),
        "ratings": np.array([], NUMBERS), "age": 0, "gender": "", "notes": [], "k": 10,
        "threshold": 0.0, "diversity": 0.0,
    }  # fmt: skip
    return steps.choose(
        np.array(candidates, IDS), np.array(scores, NUMBERS), allowed=allowed, **(asked | given)
    )


def test_a_film_that_was_seen_is_not_allowed_nor_its_twin(steps) -> None:
    seen = behaviour(steps, read(steps, [3, 1]))

    assert np.flatnonzero(seen["allowed"]).tolist() == [2, 4, 6]


def test_what_is_known_of_a_user_comes_before_what_was_sent(steps) -> None:
    seen = behaviour(steps, read(steps, [2], [5], user=1))

    assert seen["history"].tolist() == [1, 4, 2]
    assert seen["ratings"].tolist() == [5, 4, 5]


def test_a_film_sent_twice_counts_once_with_its_latest_rating(steps) -> None:
    seen = behaviour(steps, read(steps, [1, 2, 1], [5, 4, 1]))

    assert seen["history"].tolist() == [2, 1]
    assert seen["ratings"].tolist() == [4, 1]
    assert seen["known"] == 1


def test_a_title_that_is_like_a_film_is_a_film_liked(steps) -> None:
    seen = behaviour(
        steps, read(steps), ["alien", "zzz"], [[2, 3], [1, 2]], [[0.9, 0.7], [0.1, 0.0]]
    )

    assert seen["history"].tolist() == [2]
    assert seen["notes"] == ["'alien' is taken for Alien (1979)", "no film is called 'zzz'"]


def test_who_liked_nothing_is_somebody_new(steps) -> None:
    seen = behaviour(steps, read(steps, [1], [1]))

    assert seen["known"] == 0
    assert "none of the films seen was liked" in seen["notes"][0]
    assert not seen["allowed"][1]


def test_unknown_films_are_left_out_and_noted(steps) -> None:
    asked = read(steps, [1, 77, 78], exclude=np.array([99], IDS))

    assert asked["history"].tolist() == [1]
    assert asked["notes"] == [
        "left out of history: 2 films that are not known (77, 78)",
        "left out of exclude: 1 film that is not known (99)",
    ]


def test_genres_and_exclusions_say_what_is_allowed(steps) -> None:
    asked = read(steps, genres=["comedy", "HORROR"], exclude=np.array([4], IDS))

    assert np.flatnonzero(asked["allowed"]).tolist() == [1, 2, 6]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"history": [0]}, r"history\[0\] is 0"),
        ({"history": [1, -7]}, r"history\[1\] is -7"),
        ({"history": [1] * 5001}, "more than 5,000"),
        ({"history": [1], "ratings": [np.nan]}, r"ratings\[0\] is nan"),
        ({"history": [1], "ratings": [np.inf]}, r"ratings\[0\] is inf"),
        ({"history": [1, 2], "ratings": [5, 5.5]}, r"ratings\[1\] is 5.5"),
        ({"history": [1], "ratings": [5, 5]}, "1 films, and ratings has 2"),
        ({"exclude": np.array([-1])}, r"exclude\[0\] is -1"),
        ({"user": 9}, "user 9 is not known"),
        ({"user": -1}, "user -1 is not known"),
        ({"genres": ["Commedy"]}, "no genre 'Commedy'"),
        ({"k": 0}, "k is 0"),
        ({"k": 101}, "k is 101"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"diversity": -0.1}, "diversity is -0.1"),
        ({"age": 200}, "age is 200"),
        ({"gender": "w"}, "gender is 'w'"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(steps, wrong, message) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(steps, **wrong)


def test_somebody_new_gets_what_people_like_them_like(steps) -> None:
    allowed = read(steps)["allowed"]

    young = steps.newcomer(allowed, 21, "F")
    anybody = steps.newcomer(allowed, 0, "")

    # both women under 25 liked film 1; of all three people two did
    assert young["candidates"][0] == 1
    assert young["scores"][0] == pytest.approx((2 + 30 * 2 / 3) / (2 + 30))
    assert anybody["scores"][0] == pytest.approx(2 / 3)
    assert (young["because"] == steps.GROUP).all()


def test_the_threshold_and_what_is_allowed_leave_films_out(steps) -> None:
    allowed = read(steps, exclude=np.array([2], IDS))["allowed"]

    choice = choose(steps, [1, 2, 3, 4], [0.9, 0.8, 0.5, 0.3], allowed, threshold=0.5)

    assert choice["films"].tolist() == [1, 3]
    assert choice["genres"] == ["Animation|Comedy", "Action|Sci-Fi"]
    assert choice["notes"] == ["2 films of the 10 wanted fit"]


def test_of_twins_one_is_recommended(steps) -> None:
    choice = choose(steps, [3, 5, 1], [0.9, 0.8, 0.1], read(steps)["allowed"])

    assert choice["films"].tolist() == [3, 1]


def test_diversity_puts_another_kind_before_a_better_score(steps) -> None:
    allowed = read(steps)["allowed"]
    given = [3, 2, 4], [0.9, 0.8, 0.7]

    assert choose(steps, *given, allowed)["films"].tolist() == [3, 2, 4]
    assert choose(steps, *given, allowed, diversity=0.5)["films"].tolist() == [3, 4, 2]


def test_a_reason_names_the_film_and_whether_it_was_liked(steps) -> None:
    allowed = read(steps)["allowed"]
    given = {
        "because": np.array([2, 4, -1, 0], IDS), "history": np.array([2, 4], IDS),
        "ratings": np.array([5, 3], NUMBERS), "age": 50, "gender": "M",
    }  # fmt: skip

    choice = choose(steps, [3, 1, 6, 4], [0.9, 0.8, 0.25, 0.2], allowed, **given)

    assert choice["reasons"] == [
        "because you liked Alien (1979)",
        "because you saw The Apartment (1960)",
        "liked by 25% of men of 45 to 54",
        "near to what you like as a whole",
    ]


def test_nothing_left_is_an_empty_list(steps) -> None:
    choice = choose(steps, [1], [0.2], read(steps)["allowed"], threshold=0.3)

    assert choice["films"].shape == (0,)
    assert choice["titles"] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Toy Story", "Toy Story"),
        ("toy stroy", "Toy Story"),
        ("alien", "Alien"),
        ("aliens 1986", "Aliens"),
        ("apartment, the", "The Apartment"),
        ("AMELIE", "Amélie"),
    ],
)
def test_a_title_is_found_as_somebody_types_it(finder, text: str, expected: str) -> None:
    (film, score), *_ = finder(text)

    assert film["title"] == expected
    assert score > 0.6


@pytest.mark.parametrize("text", ["", "?!", "qqq xxx", "\x00", "x" * 10_000], ids=len)
def test_what_is_no_title_is_like_none(finder, text: str) -> None:
    found = finder(text)

    assert len(found) == 8
    assert all(score < 0.6 for _, score in found)
