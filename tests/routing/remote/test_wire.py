"""What goes with a question, and whether an answer fits."""

import numpy as np
import pytest

from inferd.core.message import ADMITTED, HIGH, Request
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, FP32, INT64
from inferd.core.trace import Trace, parse
from inferd.routing.remote.wire import chosen, headers_of, rows_of, slow, timings_of, unfit

SIGNATURE = Signature(
    (TensorSpec("x", FP32, (-1, 4)),),
    (TensorSpec("y", FP32, (-1, 3)), TensorSpec("t", BYTES, (-1,))),
)
GOOD = {"t": np.array([b"a", b"b"], object), "y": np.zeros((2, 3), np.float32)}


def test_id_time_priority_and_trace_are_passed_on():
    trace = Trace("a" * 32, "b" * 16, state="vendor=1")
    headers = dict(headers_of(Request("m", {}, id="r-1", priority=HIGH), 1.25, trace))

    assert headers["x-request-id"] == "r-1"
    assert headers["x-request-timeout"] == "1.250s"
    assert headers["x-priority"] == "high"
    assert headers["tracestate"] == "vendor=1"
    assert parse(headers["traceparent"], headers["tracestate"]) == trace


def test_a_later_step_of_an_admitted_request_is_asked_with_high_priority():
    assert ("x-priority", "high") in headers_of(Request("m", {}, priority=ADMITTED), 1)


def test_little_is_passed_on_of_a_plain_request():
    assert headers_of(Request("m", {}), float("inf")) == (("x-server-timing", "1"),)


@pytest.mark.parametrize("id", ["a\r\nb: c", "é", "a b", "x" * 200], ids=repr)
def test_an_id_that_cannot_stand_in_a_header_is_left_out(id):
    assert "x-request-id" not in dict(headers_of(Request("m", {}, id=id), 1))


def test_the_time_left_is_never_nothing():
    assert dict(headers_of(Request("m", {}), 1e-9))["x-request-timeout"] == "0.001s"


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros(1 << 20, np.float64), False),
        (np.array([b"a"] * 1000, object), False),
        (np.array([b"a"] * 20_000, object), True),
        (np.array([b"a", b"b" * (1 << 20)], object), True),
        (np.array(["b" * (1 << 20), "a"], object), True),
        (np.array([1, None], object), False),
    ],
    ids=["numbers", "few", "many", "long bytes", "long text", "neither"],
)
def test_many_texts_and_long_ones_are_slow(array, expected):
    assert slow({"x": array}) is expected


def test_a_good_answer_fits():
    assert unfit(GOOD, SIGNATURE, None, 2) is None
    assert list(chosen(GOOD, SIGNATURE, None)) == ["y", "t"]
    assert list(chosen(GOOD, SIGNATURE, ("t",))) == ["t"]
    assert unfit({"t": GOOD["t"]}, SIGNATURE, ("t",), 2) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"y": np.zeros((2, 3))}, "output 'y' is FP64, not FP32"),
        ({"y": np.zeros((2, 4), np.float32)}, "shape"),
        ({"y": np.zeros((3, 3), np.float32)}, "shape"),
        ({"y": np.zeros(3, np.float32)}, "shape"),
        ({"t": np.zeros(2, np.int64)}, "INT64, not BYTES"),
    ],
    ids=["dtype", "shape", "rows", "axes", "texts"],
)
def test_what_does_not_fit(change, reason):
    assert reason in unfit({**GOOD, **change}, SIGNATURE, None, 2)


def test_an_output_that_is_missing():
    assert unfit({"y": GOOD["y"]}, SIGNATURE, None, 2) == "it gave no output 't'"


def test_rows_of_a_batch():
    assert rows_of({"x": np.zeros((5, 4))}, SIGNATURE) == 5
    plain = Signature((TensorSpec("n", INT64, ()),), (), batched=False)
    assert rows_of({"n": np.array(1)}, plain) is None
    assert rows_of({}, SIGNATURE) is None


def test_timings_account_for_all_of_the_time():
    found = timings_of("decode;dur=1.000, queue;dur=2.000, batch;dur=1.0, run;dur=5.000", 0.02, 3)

    assert (found.queue, found.run, found.batch_size) == (0.002, 0.005, 3)
    assert found.batch == pytest.approx(0.013)


@pytest.mark.parametrize("value", [None, "", "total;dur=abc", "cdn"], ids=str)
def test_without_timings_it_was_all_the_model(value):
    found = timings_of(value, 0.02, 1)

    assert (found.queue, found.batch, found.run) == (0.0, 0.0, 0.02)
