"""The measures of the recommender, by cases worked out by hand, and what they are measured on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from examples.recommender import metrics, models
from examples.recommender.data import Ratings, in_order, split, tidy
from examples.recommender.files.liking import latest_most, liking


@pytest.mark.parametrize(
    ("ranked", "liked", "cut", "expected"),
    [
        ([1, 2, 3, 4], {2, 4, 9}, 4, 2 / 3),
        ([1, 2, 3, 4], {2, 4, 9}, 3, 1 / 3),
        ([1, 2], {3}, 20, 0.0),
        ([3], {3}, 20, 1.0),
        ([], {3}, 20, 0.0),
    ],
)
def test_recall_is_the_share_of_what_was_liked(ranked, liked, cut, expected) -> None:
    assert metrics.recall(ranked, liked, cut) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("ranked", "liked", "cut", "expected"),
    [
        ([7], {7}, 20, 1.0),
        ([1, 7], {7}, 20, 1 / math.log2(3)),
        ([7, 1, 8], {7, 8}, 3, (1 + 1 / 2) / (1 + 1 / math.log2(3))),
        ([1, 2], {7}, 20, 0.0),
        ([7, 8], {7, 8, 9}, 2, 1.0),  # no more than two can be among two
    ],
)
def test_ndcg_counts_what_comes_early_more(ranked, liked, cut, expected) -> None:
    assert metrics.ndcg(ranked, liked, cut) == pytest.approx(expected)


def test_who_liked_nothing_is_no_part_of_the_mean() -> None:
    told = metrics.mean([([1], {1}), ([2], {3}), ([4], set())])

    assert told == {"recall@20": 0.5, "ndcg@20": 0.5, "people": 2}


def test_likeness_is_the_mean_over_all_pairs() -> None:
    assert metrics.likeness([{"a"}, {"a"}, {"b"}]) == pytest.approx(1 / 3)
    assert metrics.likeness([{"a", "b"}, {"b", "c"}]) == pytest.approx(1 / 3)
    assert metrics.likeness([{"a"}]) == 0.0


def test_what_is_held_out_comes_last_and_is_nobody_else_s() -> None:
    # person, film, rating, time
    table = np.array([[2, i, 3, 100 - i] for i in range(1, 11)] + [[1, 5, 4, 7], [1, 6, 4, 9]])

    first, later = split(in_order(table.astype(float)))

    assert later.of(2).films.tolist() == [2, 1]
    assert first.of(2).films.tolist() == [10, 9, 8, 7, 6, 5, 4, 3]
    assert (first.of(1).films.tolist(), later.of(1).films.tolist()) == ([5], [6])
    assert len(first) + len(later) == len(table)


def test_films_of_one_second_come_in_the_same_order_every_time() -> None:
    table = np.array([[1, i, 3, 7] for i in range(50)], float)

    one, other = in_order(table), in_order(table)

    assert one.films.tolist() == other.films.tolist() != list(range(50))


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Birdcage, The", "The Birdcage"),
        ("Postino, Il", "Il Postino"),
        ("Cité des enfants perdus, La (The City)", "La Cité des enfants perdus (The City)"),
        ("Good, The Bad and The Ugly, The", "The Good, The Bad and The Ugly"),
        ("Star Trek: First Contact", "Star Trek: First Contact"),
    ],
)
def test_an_article_stands_where_it_is_said(title: str, expected: str) -> None:
    assert tidy(title) == expected


def test_a_film_counts_by_its_rating_and_by_how_long_ago_it_was() -> None:
    assert liking(np.array([0.5, 1, 2, 3, 3.5, 4, 5])).tolist() == [0, 0, 0.25, 0.5, 0.75, 1, 1]
    counts = latest_most(np.full(200, 5.0))
    assert counts[-1] == 1
    assert counts[-11] == pytest.approx(0.55)
    assert counts[0] == pytest.approx(0.1, abs=1e-3)
    assert (np.diff(counts) >= 0).all()
    assert latest_most(np.empty(0)).shape == (0,)


RATINGS = Ratings(
    np.array([1, 1, 2, 2, 3, 3]), np.array([1, 2, 1, 2, 1, 3]), np.array([5, 5, 4, 5, 5, 2.0])
)


def test_neighbours_are_films_that_the_same_people_liked() -> None:
    counts = models.table(RATINGS, 3, 4)

    near = models.neighbours(counts, 1)

    assert near[2, 1] == pytest.approx(2 / math.sqrt(3 * 2))
    assert near[3, 1] == 0  # of film 1 one neighbour is kept
    assert near.diagonal().tolist() == [0] * 4


def test_item_weights_solve_the_penalised_least_squares() -> None:
    """Of each film's column the weights are those of a ridge regression on all the others."""
    chance = np.random.default_rng(3)
    counts = (chance.random((30, 6)) < 0.4).astype(np.float32)

    weights = models.item_weights(counts, 2.0)

    others = [0, 1, 2, 4, 5]
    x = counts[:, others].astype(float)
    ridge = np.linalg.solve(x.T @ x + 2 * np.eye(5), x.T @ counts[:, 3])
    assert weights[others, 3] == pytest.approx(ridge, abs=1e-5)
    assert weights[3, 3] == 0


def test_popularity_counts_who_liked_a_film() -> None:
    liked = models.table(RATINGS, 3, 4, liked=True)

    assert models.popularity(liked).tolist() == [0, 3, 2, 0]


def test_a_logistic_regression_finds_the_weights_that_made_the_labels() -> None:
    chance = np.random.default_rng(0)
    x = chance.normal(size=(20_000, 1))
    labels = chance.random(20_000) < 1 / (1 + np.exp(-(2 * x[:, 0] - 1)))

    assert models.logistic(x, labels) == pytest.approx([2, -1], abs=0.1)
