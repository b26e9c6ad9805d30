"""What runs a job: item by item where it must, as one batch where it can, bisected where it fails."""

import asyncio
import time
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.core.errors import DeadlineExceeded, InvalidInput, ModelFailed
from inferd.core.signature import Signature
from inferd.core.step import Step
from inferd.core.tensor import uneven
from inferd.execution.blocks import Block, each
from inferd.execution.frames import FAILED, OK
from inferd.execution.program import Program
from inferd.scheduling.budget import RerunBudget
from inferd.transforms.compile import compile_chain


class Doubler:
    """A runtime: doubles ``x``; refuses values under zero, as a batch, like a framework does."""

    name = "doubler"
    releases_gil = True

    def __init__(self, keeps_inputs=False):
        self.keeps_inputs = keeps_inputs
        self.sizes = []

    def run(self, inputs):
        x = inputs["x"]
        self.sizes.append(len(x) if x.ndim else 1)
        if self.keeps_inputs:
            x *= 2
        if (x < 0).any():
            raise ValueError(f"negative: {x[x < 0][0]:g}")
        return {"y": x if self.keeps_inputs else x * 2}

    def close(self):
        self.closed = True

    def version(self):
        return "1"


def signature(shape=(-1,), *, batched=True, dtype="float32"):
    return Signature.from_json({
        "inputs": [{"name": "x", "dtype": dtype, "shape": list(shape)}],
        "outputs": [{"name": "y", "dtype": dtype, "shape": list(shape)}],
        "batched": batched,
    })  # fmt: skip


def program(runtime=None, pre=(), post=(), **given):
    steps = [[Step(n, p) for n, p in steps] for steps in (pre, post)]
    return Program(runtime or Doubler(), compile_chain(signature(**given), *steps, Path()), "p v1")


def one(*rows):
    return {"x": np.array(rows, np.float32)}


def run(subject, *entries, budget=10_000, deadlines=None, **given):
    blocks = [Block(1, e) for e in entries]
    outcome = subject.run(blocks, deadlines or [inf] * len(entries), budget, **given)
    good = iter(each(outcome.blocks))
    answers = [
        outcome.errors[i] if s else next(good)["y"].tolist() for i, s in enumerate(outcome.status)
    ]
    return answers, outcome


def test_a_batch_is_run_once_and_answered_by_entry():
    runtime = Doubler()
    answers, outcome = run(program(runtime), one(1), one(2, 3), one(4))

    assert answers == [[2], [4, 6], [8]]
    assert runtime.sizes == [4]
    assert (outcome.rows, outcome.reruns, outcome.fill) == (4, 0, 1.0)
    assert outcome.run > 0 and outcome.batch >= 0


@pytest.mark.parametrize("keeps_inputs", [False, True], ids=["plain", "changes-its-input"])
@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(-3, 20), min_size=1, max_size=3), min_size=1, max_size=20))
def test_only_the_bad_fail_each_with_its_own_error(keeps_inputs, requests):
    subject = program(Doubler(keeps_inputs))
    answers, outcome = run(subject, *[one(*r) for r in requests])

    for request, answer in zip(requests, answers, strict=True):
        bad = [v for v in request if v < 0]
        if bad:
            assert isinstance(answer, ModelFailed)
            factor = 2 if keeps_inputs else 1
            assert answer.message == f"the model raised ValueError: negative: {bad[0] * factor:g}"
        else:
            assert answer == [2 * v for v in request]
    assert RerunBudget().batch_within(len(requests)) == len(requests)
    assert outcome.reruns <= len(requests) * (len(requests) - 1).bit_length()


def test_a_block_of_many_is_told_apart_as_well():
    outcome = program().run([Block(3, one(1, -1, 3))], [inf] * 3, 100)

    assert list(outcome.errors) == [1]
    assert [e["y"].tolist() for e in each(outcome.blocks)] == [[2], [6]]


@pytest.mark.parametrize(("budget", "failed"), [(0, 8), (7, 8), (1000, 1)], ids=str)
def test_reruns_stay_within_the_budget(budget, failed):
    answers, outcome = run(program(), *[one(v) for v in (1, 2, 3, -4, 5, 6, 7, 8)], budget=budget)

    assert sum(isinstance(a, ModelFailed) for a in answers) == failed
    assert outcome.reruns <= budget


def test_a_model_that_always_fails_is_told_apart_at_the_foretold_cost():
    runtime = Doubler()
    answers, outcome = run(program(runtime), *[one(-1)] * 16)

    assert all(isinstance(a, ModelFailed) for a in answers)
    assert outcome.reruns == 16 * 4


@pytest.mark.parametrize("pre", [(), [("cast", "float32")]], ids=["plain", "transform"])
def test_expired_entries_are_answered_and_not_run(pre):
    runtime = Doubler()
    subject = program(runtime, pre)
    answers, _ = run(subject, one(1), one(2), one(3), deadlines=[inf, time.monotonic() - 1, inf])
    assert answers[0] == [2] and answers[2] == [6]
    assert isinstance(answers[1], DeadlineExceeded)
    assert runtime.sizes == [2]

    runtime.sizes.clear()
    answers, outcome = run(subject, one(1), deadlines=[0.0])
    assert isinstance(answers[0], DeadlineExceeded)
    assert (runtime.sizes, outcome.rows, outcome.run) == ([], 0, 0)


def test_an_empty_sequence_fails_alone_whatever_its_neighbours_are():
    subject = program(pre=[("pad", {"axis": 1})], shape=(-1, -1))
    rows = [np.ones((1, n), np.float32) for n in (2, 0, 3)]
    outcome = subject.run([Block(1, {"x": x}) for x in rows], [inf] * 3, 0)

    assert bytes(outcome.status) == bytes([OK, FAILED, OK])
    assert isinstance(outcome.errors[1], InvalidInput) and "is empty" in outcome.errors[1].message
    assert outcome.reruns == 0


def test_ragged_entries_are_padded_together_and_answered_in_their_own_length():
    runtime = Doubler()
    subject = program(runtime, [("pad", {"axis": 1})], shape=(-1, -1))
    entries = [{"x": np.arange(1, n + 1, dtype=np.float32)[None]} for n in (3, 5, 4)]
    answers, outcome = run(subject, *entries)

    assert runtime.sizes == [3]
    assert outcome.fill == pytest.approx(12 / 15)
    alone = [run(subject, e)[0][0] for e in entries]
    assert [np.ravel(a)[: len(np.ravel(b))].tolist() for a, b in zip(answers, alone, strict=True)] \
        == [np.ravel(b).tolist() for b in alone]  # fmt: skip


def test_an_item_that_cannot_be_prepared_fails_alone():
    class Parser(Doubler):
        def preprocess(self, tensors):
            if (tensors["x"] == 13).any():
                raise KeyError("thirteen")
            return tensors

    answers, outcome = run(program(Parser()), one(1), one(13), one(2))

    assert answers[0] == [2] and answers[2] == [4]
    assert "KeyError: 'thirteen'" in answers[1].message
    assert outcome.reruns == 0


def test_an_answer_that_cannot_be_finished_fails_alone():
    class Finisher(Doubler):
        def postprocess(self, tensors):
            if (tensors["y"] == 26).any():
                raise InvalidInput("twenty-six")
            return tensors

    answers, _ = run(program(Finisher()), one(1), one(13), one(2))

    assert answers[0] == [2] and answers[2] == [4]
    assert isinstance(answers[1], InvalidInput)


def test_preprocess_never_sees_memory_that_is_used_again():
    kept = []

    class Keeper(Doubler):
        keeps_inputs = True

        def preprocess(self, tensors):
            kept.append(tensors["x"])
            return tensors

    memory = np.array([1, 2], np.float32)
    program(Keeper()).run([Block(2, {"x": memory})], [inf] * 2, 0, shared=True)
    memory[:] = 99

    assert [k.tolist() for k in kept] == [[1], [2]]


def test_an_unbatched_model_runs_entry_by_entry():
    runtime = Doubler()
    answers, _ = run(
        program(runtime, shape=(3,), batched=False), one(1, 2, 3), one(-1, 2, 3), one(4, 5, 6)
    )
    assert answers[0] == [2, 4, 6] and answers[2] == [8, 10, 12]
    assert isinstance(answers[1], ModelFailed)
    assert runtime.sizes == [3, 3, 3]


@pytest.mark.parametrize(
    ("answer", "words"),
    [(lambda x: x[:-1], "a batch of 3 needs 3 rows"), (lambda x: x.sum(), "a scalar")],
    ids=["rows-missing", "scalar"],
)
def test_an_answer_of_other_rows_is_the_models_failure(answer, words):
    class Broken(Doubler):
        def run(self, inputs):
            return {"y": answer(inputs["x"]) if len(inputs["x"]) > 1 else inputs["x"] * 2}

    answers, _ = run(program(Broken()), one(1), one(2), one(3), budget=0)
    assert all(isinstance(a, ModelFailed) and words in a.message for a in answers)
    answers, _ = run(program(Broken()), one(1), one(2), one(3))
    assert answers == [[2], [4], [6]], "one by one it answers"


def test_a_failing_model_writes_its_traceback_once_a_second(capfd):
    subject = program()
    for _ in range(20):
        run(subject, one(-1))

    assert capfd.readouterr().err.count("ValueError: negative") == 1


def test_warming_tells_the_error():
    assert program().warm(one(1)) is None
    assert "negative" in program().warm(one(-1)).message


def test_closing_closes_the_runtime():
    runtime = Doubler()
    program(runtime).close()

    assert runtime.closed


class Raises(Doubler):
    """Raises what does not derive from ``Exception``, for values under zero."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def run(self, inputs):
        if (inputs["x"] < 0).any():
            raise self.error
        return super().run(inputs)


@pytest.mark.parametrize(
    "error",
    [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(3), GeneratorExit()],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.parametrize(
    "pre", [(), [("cast", "float32"), ("pad", {"axis": 1})]], ids=["plain", "units"]
)
def test_whatever_a_model_raises_only_the_bad_entry_fails(error, pre):
    subject = program(Raises(error), shape=(-1, -1) if pre else (-1,), pre=pre)
    entries = [one([1, 2]), one([-1, 2]), one([3, 4])] if pre else [one(1), one(-1), one(3)]
    answers, _ = run(subject, *entries)

    assert isinstance(answers[1], ModelFailed)
    assert type(error).__name__ in answers[1].message
    assert [type(a) for a in answers] == [list, ModelFailed, list]


class Takes(Doubler):
    """Takes its time, and refuses batches of several where told to."""

    def __init__(self, seconds, *, alone=False):
        super().__init__()
        self.seconds = seconds
        self.alone = alone
        self.began = []

    def run(self, inputs):
        self.began.append(time.monotonic())
        time.sleep(self.seconds)
        if self.alone and len(inputs["x"]) > 1:
            raise ValueError("one at a time")
        return super().run(inputs)


def test_no_rerun_of_a_failed_batch_begins_late():
    runtime, end = Takes(0.05, alone=True), time.monotonic() + 0.12
    answers, _ = run(program(runtime), *[one(i) for i in range(8)], deadlines=[end] * 8)

    assert all(began < end for began in runtime.began)
    assert any(isinstance(a, DeadlineExceeded) for a in answers)
    assert len(answers) == 8


def test_no_group_of_another_shape_begins_late():
    runtime, end = Takes(0.05), time.monotonic() + 0.12
    subject = program(runtime, shape=(-1, -1), pre=[("normalize", {"mean": 0, "std": 1})])
    entries = [one(list(range(1, n))) for n in range(3, 9)]
    answers, _ = run(subject, *entries, deadlines=[end] * 6)

    assert all(began < end for began in runtime.began)
    assert len(answers) == 6


class Words:
    """A runtime that answers each row with as many values as its first number says."""

    name, releases_gil, keeps_inputs = "words", False, False

    def __init__(self):
        self.sizes = []

    def run(self, inputs):
        counts = inputs["x"][:, 0].astype(int)
        self.sizes.append(len(counts))
        return {"y": uneven([np.arange(n, dtype=np.float32) for n in counts])}


def test_ragged_answers_of_one_batch_come_apart_by_entry():
    runtime = Words()
    ragged = replace(signature((-1, 1)), ragged=True)
    subject = Program(runtime, compile_chain(ragged, [], [], Path()), "p v1")

    answers, outcome = run(subject, one([2]), one([1]), one([0]), one([2], [2]))

    assert answers == [[[0, 1]], [[0]], [[]], [[0, 1], [0, 1]]]
    assert runtime.sizes == [5]
    assert all(a.dtype == np.float32 for b in outcome.blocks for a in b.tensors.values())
