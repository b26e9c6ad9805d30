"""Measuring at load: sensible curves within the time given, whatever the model is like."""

import time
from pathlib import Path

import numpy as np
import pytest

from inferd.core.signature import Signature
from inferd.execution import measure as subject
from inferd.execution.measure import measure
from inferd.execution.program import Program
from inferd.scheduling.costs import Costs
from inferd.transforms.compile import compile_chain

SIGNATURE = Signature.from_json({
    "inputs": [{"name": "x", "dtype": "float32", "shape": [-1, 2]}],
    "outputs": [{"name": "y", "dtype": "float32", "shape": [-1, 2]}],
})  # fmt: skip


class Timed:
    """A runtime that takes ``cost(rows)`` seconds."""

    name = "timed"
    keeps_inputs = False
    releases_gil = True

    def __init__(self, cost=lambda _rows: 0.0, most=10**9, keeps_inputs=False):
        self.cost = cost
        self.most = most
        self.keeps_inputs = keeps_inputs
        self.calls = 0

    def run(self, inputs):
        self.calls += 1
        x = inputs["x"]
        if len(x) > self.most:
            raise ValueError("cannot reshape")
        if self.keeps_inputs:
            x *= 1000
            if not np.isfinite(x).all():
                raise ValueError("not a number")
        time.sleep(self.cost(len(x)))
        return {"y": x}


def measured(runtime, *, signature=SIGNATURE, threads=1, **given):
    program = Program(runtime, compile_chain(signature, [], [], Path()), "m v1")
    return measure(program, {"x": np.full((1, 2), 0.5, np.float32)}, threads, **given)


def test_points_are_powers_of_two_and_positive():
    curve = measured(Timed(lambda rows: 0.001 + 1e-5 * rows))

    sizes = [n for n, _ in curve.points]
    assert sizes == [2**i for i in range(len(sizes))]
    assert len(sizes) >= 4
    assert all(s > 0 for _, s in curve.points)
    assert curve.points[0][1] >= 0.001


def test_a_slow_model_is_run_a_few_times_only():
    runtime = Timed(lambda _rows: 0.2)
    began = time.monotonic()
    curve = measured(runtime)

    assert time.monotonic() - began < 3
    assert runtime.calls <= 6
    assert curve.points[0][1] >= 0.2
    assert curve.cpu < 0.5, "it sleeps"


def test_a_fast_model_is_measured_within_the_budget():
    began = time.monotonic()
    curve = measured(Timed(lambda rows: 1e-4 * rows), budget=0.2)

    assert time.monotonic() - began < 1.5
    assert Costs(curve).best_rows(256) <= 256


@pytest.mark.parametrize("most", [1, 4], ids=str)
def test_a_model_that_fails_on_larger_batches_is_given_none(most):
    curve = measured(Timed(most=most))

    assert curve.largest == most
    assert [n for n, _ in curve.points][-1] == most


def test_a_model_that_answers_too_few_rows_is_given_no_batches():
    class Fixed(Timed):
        def run(self, inputs):
            return {"y": inputs["x"][:1]}

    assert measured(Fixed()).largest == 1


def test_an_error_on_a_single_row_passes_through():
    with pytest.raises(ValueError, match="cannot reshape"):
        measured(Timed(most=0))


def test_a_model_that_changes_its_inputs_is_measured_on_copies():
    assert measured(Timed(keeps_inputs=True)).largest is None


def test_what_the_artifact_bounds_is_not_exceeded():
    signature = Signature(SIGNATURE.inputs, SIGNATURE.outputs, max_batch=2)
    curve = measured(Timed(), signature=signature)

    assert {n for n, _ in curve.points} <= {1, 2}


def test_threads_are_measured_where_they_may_gain():
    sleeping = measured(Timed(lambda _rows: 0.002), threads=2)
    assert sleeping.threads == 2
    assert 1.3 < sleeping.parallel < 2.5

    assert measured(Timed(), threads=2).parallel == 1.0, "too fast to be worth a thread"


def test_no_more_time_is_given_than_was_promised():
    assert subject.BUDGET <= 0.3
