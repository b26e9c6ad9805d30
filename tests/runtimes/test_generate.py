import numpy as np
import pytest

from inferd.core.errors import ModelFailed
from inferd.runtimes.generate import GeneratorEngine, ModelEngine, answered, is_engine, with_batch


def counting(inputs, parameters):
    try:
        for i in range(int(inputs["n"][0])):
            yield {"i": np.array([[i]])}
        if parameters.get("fail"):
            raise ValueError("it broke")
    finally:
        closed.append(int(inputs["n"][0]))


closed = []


@pytest.fixture(autouse=True)
def _nothing_closed():
    closed.clear()


def of(n):
    return {"n": np.array([n])}


def test_generators_are_stepped_in_turn_and_leave_when_they_end():
    engine = GeneratorEngine(counting)
    engine.add(1, of(1), {})
    engine.add(2, of(3), {})

    seen = [[(key, last) for key, _, last in engine.step()] for _ in range(4)]

    assert seen == [
        [(1, False), (2, False)], [(1, True), (2, False)], [(2, False)], [(2, True)],
    ]  # fmt: skip
    assert engine.step() == []


def test_a_generator_that_raises_ends_alone():
    engine = GeneratorEngine(counting)
    engine.add(1, of(0), {"fail": True})
    engine.add(2, of(1), {})

    (first, error, last), (second, piece, _) = engine.step()

    assert (first, last, second, piece["i"].tolist()) == (1, True, 2, [[0]])
    assert isinstance(error, ValueError)
    assert [key for key, _, _ in engine.step()] == [2]


def test_cancelling_closes_the_generator_and_holding_leaves_it_out():
    engine = GeneratorEngine(counting)
    engine.add(1, of(9), {})
    engine.step()

    engine.hold(1, on=True)
    assert engine.step() == []
    engine.hold(1, on=False)
    assert len(engine.step()) == 1
    engine.cancel(1)
    engine.cancel(1)

    assert closed == [9] and engine.step() == []


class Echo:
    def __init__(self):
        self.keys = []

    def add(self, key, inputs, parameters):
        self.keys.append(key)

    def step(self):
        keys, self.keys = self.keys, []
        return [
            (key, {1: {"i": 1}, 2: None, 3: ValueError("no"), 4: "bad"}[key], True) for key in keys
        ]

    def cancel(self, key):
        closed.append(key)


def test_a_users_engine_is_converted_and_fails_by_request():
    def convert(piece):
        if piece == "bad":
            raise ModelFailed("a text")
        return {"i": np.array([piece["i"]])}

    engine = ModelEngine(Echo(), convert)
    for key in (1, 2, 3, 4):
        engine.add(key, {}, {})

    one, two, three, four = engine.step()

    assert is_engine(Echo) and not is_engine(int)
    assert (one[1]["i"].tolist(), two[1]) == ([1], {})
    assert isinstance(three[1], ValueError) and isinstance(four[1], ModelFailed)
    assert closed == [4]


def test_whole_answers_are_joined_by_row():
    engine = GeneratorEngine(counting)

    even = answered(engine, [of(2), of(2)])["i"]
    ragged = answered(engine, [of(1), of(3)])["i"]

    assert even.tolist() == [[0, 1], [0, 1]]
    assert [row.tolist() for row in ragged] == [[0], [0, 1, 2]]
    assert answered(engine, [of(9)], most=2)["i"].tolist() == [[0, 1]]
    assert answered(engine, []) == {}


@pytest.mark.parametrize(
    ("piece", "each", "whole"),
    [
        ("a", False, ["a"]),
        (1.5, False, [1.5]),
        ([1, 2], False, [1, 2]),
        ([1, 2], True, [[1, 2]]),
        ({"a": "b", "c": [1]}, False, {"a": ["b"], "c": [1]}),
    ],
)
def test_what_is_yielded_gets_its_batch_axis(piece, each, whole):
    assert with_batch(piece, each=each) == whole
