"""Codec jobs: what crosses comes back as the codec made it, ragged rows as well."""

import time

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.execution.tensors import arrays, same

from inferd.codecs.base import Decoded
from inferd.core.errors import DeadlineExceeded, InvalidInput
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature
from inferd.execution.blocks import Block, each
from inferd.execution.codecs import (
    REMEMBERED,
    CodecProgram,
    decoded_from_wire,
    decoded_to_wire,
    pack,
    text,
    unpack,
)

SIGNATURE = Signature.from_json({
    "inputs": [{"name": "x", "dtype": "float32", "shape": [-1, -1]}],
    "outputs": [{"name": "y", "dtype": "float32", "shape": [-1, -1]}],
})  # fmt: skip
NEVER = float("inf")


@given(st.dictionaries(st.text(max_size=5), arrays(), min_size=1, max_size=3))
def test_tensors_round_trip(tensors):
    assert same(unpack(pack(tensors)), tensors)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=8))
def test_unequal_rows_round_trip(lengths):
    rows = [
        {"a": np.arange(n, dtype=np.int64)[None], "b": np.full((1, 2, n), n, np.float32)}
        for n in lengths
    ]
    assert all(same(*pair) for pair in zip(unpack(pack(rows)), rows, strict=True))


@pytest.mark.parametrize(
    "decoded",
    [
        Decoded({"x": np.ones((2, 3), np.float32)}),
        Decoded(None, [{"x": np.ones((1, n), np.float32)} for n in (2, 5)], single=False),
        Decoded({"x": np.ones((1, 3), np.float32)}, None, True, ("y",), {"k": 1}, "id-7", 1, 0.25),
    ],
    ids=["batch", "ragged", "everything"],
)
def test_a_decoded_request_round_trips(decoded):
    back = decoded_from_wire(decoded_to_wire(decoded))

    for name in ("single", "outputs", "parameters", "id", "priority", "timeout"):
        assert getattr(back, name) == getattr(decoded, name), name
    if decoded.rows is not None:
        assert all(same(*pair) for pair in zip(back.rows, decoded.rows, strict=True))
    else:
        assert same(back.inputs, decoded.inputs)


def order(op, codec="simple", **more):
    return {
        "op": op, "codec": codec, "signature": SIGNATURE.to_json(), "plan": BatchPlan().to_json(),
        **more,
    }  # fmt: skip


def decode(body, codec="simple"):
    data = np.frombuffer(body, np.uint8)
    return {"order": text(order("decode", codec)), "body": data}


def run(*entries, deadlines=None, program=None):
    outcome = (program or CodecProgram()).run(
        [Block(1, e) for e in entries], deadlines or [NEVER] * len(entries), 0
    )
    return outcome, each(outcome.blocks)


def test_bodies_are_decoded_each_by_itself():
    outcome, done = run(
        decode(b'{"data": [[1, 2], [3, 4]]}'), decode(b"{"), decode(b'{"data": [[5, 6]]}')
    )
    assert list(outcome.errors) == [1]
    assert isinstance(outcome.errors[1], InvalidInput)
    assert decoded_from_wire(done[0]).inputs["x"].tolist() == [[1, 2], [3, 4]]
    assert decoded_from_wire(done[1]).inputs["x"].tolist() == [[5, 6]]


def test_an_answer_is_encoded():
    told = order("encode", single=False, id=None, model="m", version="1")
    outputs = {"y": np.array([[1.5, 2.5]], np.float32)}
    _, (done,) = run({"order": text(told), **pack(outputs)})

    assert orjson.loads(done["body"].tobytes()) == {"result": [[1.5, 2.5]]}


def test_the_other_dialect_speaks_as_well():
    body = orjson.dumps({
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}], "id": "q",
    })  # fmt: skip
    _, (done,) = run(decode(body, "oip"))
    decoded = decoded_from_wire(done)

    assert (decoded.id, decoded.inputs["x"].tolist()) == ("q", [[1, 2]])


def test_a_late_body_is_not_read():
    outcome, _ = run(decode(b'{"data": [[1]]}'), deadlines=[time.monotonic() - 1])

    assert isinstance(outcome.errors[0], DeadlineExceeded)


def test_codecs_are_made_once_and_not_kept_for_ever():
    program = CodecProgram()
    for i in range(2 * REMEMBERED):
        entry = decode(b'{"data": [[1]]}')
        told = orjson.loads(entry["order"][0])
        told["signature"]["max_batch"] = i + 1
        entry["order"] = text(told)
        run(entry, program=program)
        assert len(program._known) <= REMEMBERED
