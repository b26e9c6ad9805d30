"""The choice of a replica: never one that is left out while another is there, and load spreads."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.routing.remote.balance import DECAY, Load, choose, lighter
from inferd.routing.remote.ejection import DOWN, EJECTED, UP, Standing, candidates


class Replica:
    def __init__(self, state=UP, in_flight=0, latency=None):
        self.load = Load()
        self.standing = Standing()
        self.standing.state = state
        self.load.in_flight = in_flight
        if latency is not None:
            self.load.answered(latency, 0.0)


replicas = st.lists(
    st.builds(
        Replica, st.sampled_from([UP, DOWN, EJECTED]), st.integers(0, 50),
        st.none() | st.floats(1e-6, 10),
    ),
    min_size=1, max_size=12,
)  # fmt: skip


@given(replicas, st.data(), st.integers(0, 2**32))
def test_never_one_that_is_left_out_while_another_is_there(every, data, seed):
    tried = data.draw(st.lists(st.sampled_from(every), unique=True))
    chosen = choose(candidates(every, tried), random.Random(seed).randrange, 0.0)

    assert chosen in every
    up = [r for r in every if r.standing.state == UP]
    if up:
        assert chosen.standing.state == UP
    if any(r not in tried for r in up or every):
        assert chosen not in tried


@given(replicas, st.integers(0, 2**32))
def test_never_the_heaviest_alone(every, seed):
    chosen = choose(every, random.Random(seed).randrange, 0.0)

    if len(every) > 1:
        assert any(lighter(chosen, other, 0.0) is chosen for other in every if other is not chosen)


@pytest.mark.parametrize("count", [2, 3, 8], ids=str)
def test_load_spreads_over_equal_replicas(count):
    every = [Replica() for _ in range(count)]
    draw, queue, asked = random.Random(1).randrange, [], Counter()
    most = 0
    for _ in range(4000):
        chosen = choose(every, draw, 0.0)
        asked[chosen] += 1
        chosen.load.in_flight += 1
        queue.append(chosen)
        if len(queue) > 4 * count:
            queue.pop(0).load.in_flight -= 1
        most = max(most, *(r.load.in_flight for r in every))

    share = 4000 / count
    assert all(0.8 * share < asked[r] < 1.2 * share for r in every)
    assert most <= 8


def test_a_slow_replica_is_asked_less_but_not_never():
    quick, slow = Replica(latency=0.001), Replica(latency=0.1)
    third = Replica(latency=0.001)
    draw = random.Random(2).randrange
    asked = Counter(choose([quick, slow, third], draw, 0.0) for _ in range(3000))

    assert asked[slow] < 50
    slow.load.in_flight = 0
    quick.load.in_flight = third.load.in_flight = 200
    assert choose([quick, slow], draw, 0.0) is slow


def test_latencies_that_are_alike_send_nobody_to_one_replica_alone():
    every = [Replica(latency=0.0010), Replica(latency=0.0015)]
    draw = random.Random(3).randrange
    asked = Counter(choose(every, draw, 0.0) for _ in range(1000))

    assert all(400 < asked[r] < 600 for r in every)


def test_what_is_known_fades_while_nothing_is_asked():
    load = Load()
    load.answered(1.0, 100.0)

    assert load.latency(100.0) == 1.0
    assert load.latency(100.0 + DECAY) == pytest.approx(0.368, abs=0.01)
    load.in_flight = 1
    assert load.latency(100.0 + DECAY) == 1.0


def test_new_answers_count_more():
    load = Load()
    load.answered(1.0, 0.0)
    for at in range(1, 60):
        load.answered(0.1, at * 0.01)

    assert load.latency(0.6) < 0.15


def test_a_quick_failure_does_not_look_fast():
    load = Load()
    load.answered(0.1, 0.0)
    load.failed(0.0001, 0.1)
    assert load.latency(0.0) == 0.1
    load.failed(5.0, 0.2)
    assert load.latency(0.2) > 0.5
