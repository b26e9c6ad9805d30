"""The engine loop, around engines that do what the test says."""

import os
import sys
import threading
import time

import numpy as np
import pytest

from inferd.core.errors import DeadlineExceeded, InvalidInput, ModelFailed
from inferd.execution.engine import EngineLoop
from inferd.execution.streams import WINDOW

FOREVER = float("inf")


class Program:
    """Prepares and finishes nothing; says of errors what a program says."""

    def opened(self, tensors):
        if "bad" in tensors:
            raise InvalidInput("bad")
        return tensors, None

    def piece(self, outputs, collated):
        if outputs["i"] == "post":
            raise ValueError("post")
        return outputs

    def told(self, error):
        return error if isinstance(error, InvalidInput) else ModelFailed(str(error))


class Counting:
    """Gives every request its next number, ``n`` in all (endless without)."""

    def __init__(self):
        self.at = {}
        self.together = []
        self.cancelled = []
        self.broken = False

    def add(self, key, inputs, parameters):
        if parameters.get("refuse"):
            raise InvalidInput("refused")
        self.at[key] = [0, inputs.get("n", 1 << 60)]

    def step(self):
        if self.broken:
            raise RuntimeError("out of order")
        self.together.append(len(self.at))
        found = []
        for key, state in list(self.at.items()):
            state[0] += 1
            last = state[0] >= state[1]
            if last:
                del self.at[key]
            found.append((key, {"i": np.array([state[0]])}, last))
        time.sleep(0.001)
        return found

    def cancel(self, key):
        self.cancelled.append(key)
        self.at.pop(key, None)


class Holding(Counting):
    def __init__(self):
        super().__init__()
        self.held = {}
        self.holds = []

    def hold(self, key, *, on):
        self.holds.append((key, on))
        if on:
            self.held[key] = self.at.pop(key)
        elif key in self.held:
            self.at[key] = self.held.pop(key)


class Subject:
    def __init__(self, engine):
        self.engine = engine
        self.pieces = {}
        self.ends = {}
        self.news = threading.Condition()
        self.loop = EngineLoop(Program(), engine, self.emit, self.end)
        self.loop.start()

    def emit(self, key, piece):
        with self.news:
            self.pieces.setdefault(key, []).append(int(piece["i"][0]))
            self.news.notify_all()

    def end(self, key, error, seconds, pieces):
        assert seconds >= 0
        with self.news:
            self.ends[key] = (error, pieces)
            self.news.notify_all()

    def until(self, check):
        with self.news:
            assert self.news.wait_for(check, 10)

    def add(self, key, n=None, deadline=FOREVER, **parameters):
        self.loop.add(key, parameters, deadline, {"n": n} if n else {})


@pytest.fixture(params=[Counting, Holding])
def subject(request):
    made = Subject(request.param())
    yield made
    made.loop.stop()
    made.loop._thread.join(5)
    assert not made.loop._thread.is_alive()


def test_requests_join_step_together_and_leave(subject):
    for key, n in ((1, 3), (2, 20), (3, 10)):
        subject.add(key, n)

    subject.until(lambda: len(subject.ends) == 3)

    assert subject.pieces == {1: [1, 2, 3], 2: list(range(1, 21)), 3: list(range(1, 11))}
    assert subject.ends == {1: (None, 3), 2: (None, 20), 3: (None, 10)}
    assert max(subject.engine.together) > 1


def test_a_cancelled_request_leaves_before_the_next_step(subject):
    subject.add(1)
    subject.until(lambda: len(subject.pieces.get(1, [])) >= 3)

    subject.loop.cancel(1)
    subject.loop.cancel(99)
    subject.until(lambda: 1 in subject.ends)
    count = len(subject.pieces[1])

    time.sleep(0.02)
    assert len(subject.pieces[1]) == count == subject.ends[1][1]
    assert subject.engine.cancelled == [1]


def test_a_client_that_does_not_keep_up_holds_up_itself_only(subject):
    subject.add(1)
    subject.add(2, 200)
    subject.until(lambda: len(subject.pieces.get(2, [])) == WINDOW)
    subject.loop.taken(2, 1000)
    subject.until(lambda: 2 in subject.ends)

    assert len(subject.pieces[1]) == WINDOW
    subject.loop.taken(1, 8)
    subject.until(lambda: len(subject.pieces[1]) == WINDOW + 8)
    assert subject.pieces[1] == list(range(1, WINDOW + 9))
    if isinstance(subject.engine, Holding):
        assert (1, True) in subject.engine.holds and (1, False) in subject.engine.holds


def test_a_request_out_of_time_ends_running_or_held(subject):
    subject.add(1, deadline=time.monotonic() - 1)
    subject.add(2, deadline=time.monotonic() + 0.15)

    subject.until(lambda: len(subject.ends) == 2)

    assert all(isinstance(error, DeadlineExceeded) for error, _ in subject.ends.values())
    assert 1 not in subject.pieces and subject.pieces[2]


def test_what_a_request_raises_ends_it_alone(subject):
    subject.add(1, 50)
    subject.add(2, refuse=True)
    subject.loop.add(3, {}, FOREVER, {"bad": 1})

    subject.loop.taken(1, 100)
    subject.until(lambda: len(subject.ends) == 3)

    assert subject.ends[1][0] is None
    assert isinstance(subject.ends[2][0], InvalidInput) and isinstance(
        subject.ends[3][0], InvalidInput
    )


def test_a_step_that_raises_ends_everybody_and_the_engine_goes_on(subject):
    subject.add(1)
    subject.add(2)
    subject.until(lambda: len(subject.pieces) == 2)

    subject.engine.broken = True
    subject.until(lambda: len(subject.ends) == 2)
    subject.engine.broken = False
    subject.add(3, 2)
    subject.until(lambda: 3 in subject.ends)

    assert [isinstance(subject.ends[k][0], ModelFailed) for k in (1, 2, 3)] == [True, True, False]


@pytest.mark.skipif(
    sys.platform != "linux", reason="a thread has a niceness of its own on Linux alone"
)
def test_an_engine_may_stand_back_behind_other_models():
    class Kind(Counting):
        niceness = os.getpriority(os.PRIO_PROCESS, 0) + 2

        def step(self):
            self.seen = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
            return super().step()

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    subject = Subject(Kind())
    subject.add(1, 2)
    subject.until(lambda: subject.ends)
    subject.loop.stop()

    assert subject.engine.seen == Kind.niceness
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_steps_are_counted_those_that_failed_too():
    made = Subject(Counting())
    made.add(1, 5)
    made.until(lambda: 1 in made.ends)
    assert made.loop.steps == 5
    made.engine.broken = True
    made.add(2)
    made.until(lambda: 2 in made.ends)
    assert made.loop.steps == 6
    made.loop.stop()


class Stepping(Counting):
    """Steps for as long as the test wants."""

    def __init__(self):
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def step(self):
        self.begun.set()
        assert self.go_on.wait(10)
        return super().step()


def test_who_stops_it_waits_for_the_step_that_is_under_way_and_hears_no_more():
    made = Subject(Stepping())
    made.add(1)
    assert made.engine.begun.wait(10)

    assert not made.loop.stop(0.01)
    made.engine.go_on.set()
    assert made.loop.stop(10)

    assert made.pieces == made.ends == {}
    assert made.engine.cancelled == [1]
