"""Requests and responses: what is left unsaid means the obvious."""

import asyncio

import numpy as np
import pytest

from inferd.core.errors import ModelFailed
from inferd.core.message import (
    HIGH,
    NORMAL,
    Request,
    Response,
    Timings,
    collected,
    completed,
    joined,
)
from inferd.core.signature import Signature


def test_a_request_that_says_nothing_waits_for_ever_with_normal_priority():
    request = Request("m", {})

    assert request.deadline == float("inf")
    assert request.priority == NORMAL < HIGH
    assert request.version is request.outputs is None


def test_requests_do_not_share_what_they_hold():
    one, two = Request("m", {}), Request("m", {})
    one.parameters["k"] = 1

    assert two.parameters == {}


def test_timings_start_at_nothing():
    timings = Timings()

    assert timings.queue == timings.batch == timings.run == timings.decode == timings.encode == 0
    assert Response("m", "1", {}, timings).outputs == {}


def texts(*values):
    return np.array(values, object)


def test_pieces_are_joined_by_what_they_hold():
    whole = joined(
        [
            {"text": texts(b"one "), "ids": np.array([[1]]), "score": np.array([0.5])},
            {"text": texts("two"), "ids": np.array([[2, 3]]), "score": np.array([0.25])},
            {"end": np.array([True])},
        ]
    )

    assert whole["text"].tolist() == [b"one two"]
    assert whole["ids"].tolist() == [[1, 2, 3]]
    assert whole["score"].tolist() == [0.25]
    assert whole["end"].tolist() == [True]
    assert joined([]) == {}


SAID = Signature.from_json(
    {
        "outputs": [
            {"name": "text", "dtype": "bytes", "shape": [-1]},
            {"name": "starts", "dtype": "float32", "shape": [-1, -1]},
            {"name": "seconds", "dtype": "float32", "shape": [-1]},
        ]
    }
)


def test_what_no_piece_held_is_empty():
    seconds = np.array([0.5], np.float32)

    whole = completed({"seconds": seconds}, SAID)

    assert list(whole) == ["text", "starts", "seconds"]
    assert whole["text"].tolist() == [b""]
    assert whole["starts"].shape == (1, 0)
    assert whole["seconds"] is seconds
    assert list(completed({}, SAID, ["text"])) == ["text"]


def test_a_number_that_no_piece_held_is_a_failure_of_the_model():
    with pytest.raises(ModelFailed, match="without its output 'seconds'"):
        completed({}, SAID)


def test_a_streamed_answer_is_collected():
    async def chunks():
        yield {"text": texts(b"a")}
        yield {"text": texts(b"b")}

    response = Response("m", "1", {}, Timings(), chunks())

    assert asyncio.run(collected(response))["text"].tolist() == [b"ab"]
    assert asyncio.run(collected(Response("m", "1", {"y": 1}, Timings()))) == {"y": 1}
