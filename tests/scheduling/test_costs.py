"""The cost curve at work: what batch sizes, slots and instances follow from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.execution.executor import Curve
from inferd.scheduling.costs import LARGEST, Costs, Sizing, part_rows, size

POWERS = [2**i for i in range(9)]
CURVES = st.lists(st.floats(1e-6, 5.0), max_size=9).map(
    lambda s: Curve(tuple(zip(POWERS, s, strict=False)))
)


def linear(base, per_row, most=256):
    return Curve(tuple((n, base + per_row * n) for n in POWERS if n <= most))


@given(CURVES, st.integers(1, LARGEST))
def test_the_limit_is_within_the_bound(curve, bound):
    assert 1 <= Costs(curve).best_rows(bound) <= bound


@given(CURVES, st.lists(st.tuples(st.integers(0, 300), st.floats(0, 10)), max_size=30))
def test_live_batches_keep_figures_sane(curve, seen):
    costs = Costs(curve)
    for rows, seconds in seen:
        costs.observe(rows, seconds)
    for rows in (1, 3, 256, 5000):
        assert 0 <= costs.seconds(rows) < float("inf")
        assert costs.rate(rows) > 0
    assert 1 <= costs.best_rows(64) <= 64
    assert part_rows(costs, 8) >= 8


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (linear(0.0, 0.001), range(1, 3)),
        (linear(0.010, 0.0001), range(128, 257)),
        (Curve(((1, 0.01), (2, 0.011), (4, 0.012), (8, 0.05), (16, 0.2))), range(4, 5)),
        (Curve(), range(8, 9)),
        (Curve(((1, 2.0),)), range(1, 2)),
        (Curve(((1, 0.2),)), range(2, 3)),
    ],
    ids=["no-gain", "great-gain", "knee", "unknown", "slow", "rising"],
)
def test_the_limit_follows_the_curve(curve, expected):
    assert Costs(curve).best_rows(LARGEST) in expected


def test_live_batches_move_the_curve():
    costs = Costs(Curve(((1, 0.1),)))
    for _ in range(100):
        costs.observe(1, 0.01)

    assert costs.seconds(1) == pytest.approx(0.01, rel=0.05)
    costs.observe(6, 0.03)
    assert costs.seconds(8) == pytest.approx(0.04)
    assert dict(costs.points()).keys() == {1, 8}


def test_a_cost_is_foretold_in_proportion_beyond_what_is_known():
    costs = Costs(linear(0.0, 0.001, most=8))

    assert costs.seconds(800) == pytest.approx(0.8)
    assert Costs(Curve()).seconds(4) > 0


@pytest.mark.parametrize(
    ("curve", "given", "expected"),
    [
        (Curve(((1, 0.2),), parallel=1.2, threads=4), {"releases_gil": True}, Sizing(4, 0, 1, 1)),
        (Curve(((1, 0.02),), parallel=0.94, threads=4), {"releases_gil": True}, Sizing(4, 0, 1, 1)),
        (Curve(((1, 0.02),), parallel=0.6, threads=4), {"releases_gil": True}, Sizing(1, 0, 1, 4)),
        (Curve(((1, 0.02),)), {"releases_gil": True, "slots": 2}, Sizing(2, 0, 1, 2)),
        (Curve(((1, 0.02),)), {"releases_gil": True, "slots": 1, "threads": 3}, Sizing(1, 0, 1, 3)),
        (Curve(((1, 0.02),), parallel=1.2, threads=4), {"releases_gil": False}, Sizing(1, 0, 4, 1)),
        (Curve(((1, 1e-5),)), {"releases_gil": True}, Sizing(1, 1, 1, 1)),
        (Curve(((1, 1e-5),)), {"releases_gil": False}, Sizing(1, 1, 1, 1)),
        (Curve(((1, 0.2),), cpu=0.01), {"releases_gil": False}, Sizing(1, 0, 1, 1)),
        (Curve(((1, 0.02),)), {"releases_gil": True, "slots": 3}, Sizing(3, 0, 1, 1)),
        (Curve(((1, 1e-5),)), {"releases_gil": False, "slots": 3}, Sizing(1, 1, 1, 1)),
        (Curve(((1, 0.02),)), {"releases_gil": False, "instances": 2}, Sizing(1, 0, 2, 1)),
        (Curve(), {"releases_gil": False}, Sizing(1, 0, 4, 1)),
    ],
    ids=[
        "threads-gain", "measured-on-a-busy-machine", "threads-lose", "cores-left-over", "threads-told", "python-slow", "fast", "python-fast", "sleeping",
        "slots-told", "slots-told-python", "instances-told", "unknown",
    ],
)  # fmt: skip
def test_sizing(curve, given, expected):
    told = {"slots": None, "instances": None, **given}

    assert size(curve, cpus=4, **told) == expected


def test_parts_of_a_large_request_take_about_two_milliseconds():
    fast = Costs(linear(0.0, 1e-6))
    slow = Costs(linear(0.1, 0.01))

    assert 1024 <= part_rows(fast, 32) <= 4096
    assert part_rows(slow, 32) == 32


def test_sizes_not_seen_live_keep_the_shape_of_the_curve():
    costs = Costs(Curve(((1, 0.002), (2, 0.003), (4, 0.005))))
    for _ in range(50):
        costs.observe(2, 0.006)

    assert costs.seconds(2) == pytest.approx(0.006, rel=0.02)
    assert costs.seconds(4) == pytest.approx(0.010, rel=0.05)
    assert costs.seconds(1) == pytest.approx(0.004, rel=0.05)
    costs.observe(4, 0.010)
    for _ in range(50):
        costs.observe(2, 0.003)
    assert costs.seconds(4) == pytest.approx(0.010, rel=0.05)  # it was seen itself


@pytest.mark.parametrize(
    ("rows", "seconds"), [(1, 0.002), (2, 0.004), (3, 0.006), (4, 0.008), (8, 0.012), (6, 0.010)]
)
def test_between_two_sizes_costs_run_straight(rows, seconds):
    costs = Costs(Curve(((1, 0.002), (2, 0.004), (4, 0.008), (8, 0.012))))

    assert costs.between(rows) == pytest.approx(seconds)


@given(CURVES, st.integers(0, 300), st.integers(0, 8))
def test_an_even_share_leaves_nothing_over(curve, rows, places):
    share = Costs(curve).even_share(rows, places)

    assert share == LARGEST or share * places >= rows
    assert share >= 1


@given(CURVES, st.integers(1, 64), st.integers(1, 64))
def test_no_part_is_larger_than_the_artifact_bears(curve, limit, most):
    assert 1 <= part_rows(Costs(curve), min(limit, most), most) <= most
