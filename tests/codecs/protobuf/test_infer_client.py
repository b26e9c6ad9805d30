"""Requests written for the service's own codec, answers read from it: nothing is lost on the way."""

import numpy as np
import pytest

from inferd.codecs.protobuf.infer import InferCodec
from inferd.codecs.protobuf.infer_client import (
    RequestWriter,
    read_error,
    read_piece,
    read_response,
    streaming,
)
from inferd.codecs.protobuf.messages import inference, parse
from inferd.codecs.rawtensor import BF16
from inferd.core.errors import InvalidInput
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, FP32

SIGNATURE = Signature(
    (TensorSpec("x", FP32, (-1, 2)), TensorSpec("t", BYTES, (-1,))),
    (TensorSpec("y", FP32, (-1, 2)), TensorSpec("z", BYTES, (-1,))),
)
CODEC = InferCodec(SIGNATURE, BatchPlan(), "m", "3")
TEXTS = np.array([b"a", b"\xff"], object)
INPUTS = {"x": np.array([[1, 2], [3, np.nan]], np.float32), "t": TEXTS}


def decoded(body):
    return CODEC.decode(parse(inference("ModelInferRequest"), body))


def test_a_request_is_read_as_it_was_meant():
    writer = RequestWriter("m", "3")
    given = {"a": 1, "b": 2.5, "c": "é", "d": True, "big": 2**63, "low": -5}
    for _ in range(2):  # the second is written behind a beginning that is known
        found = decoded(writer.write(INPUTS, ("z",), given, "r-1"))
        np.testing.assert_array_equal(found.inputs["x"], INPUTS["x"])
        assert found.inputs["t"].tolist() == [b"a", b"\xff"]
        assert (found.outputs, found.id) == (("z",), "r-1")
        assert found.parameters == given


def test_little_is_written_of_a_plain_request():
    found = decoded(RequestWriter("m").write(INPUTS))

    assert (found.outputs, found.id, found.parameters) == (None, None, {})


def test_shapes_do_not_get_mixed_up():
    writer = RequestWriter("m")
    for rows in (1, 3, 1):
        inputs = {"x": np.full((rows, 2), rows, np.float32), "t": np.array([b"x"] * rows, object)}
        assert decoded(writer.write(inputs)).inputs["x"].shape == (rows, 2)


def test_bf16_goes_as_such():
    body = RequestWriter("m", dtypes={"x": BF16}).write({"x": INPUTS["x"]})
    message = parse(inference("ModelInferRequest"), body)

    assert message.inputs[0].datatype == "BF16"
    assert len(message.raw_input_contents[0]) == 8


def test_the_end_of_a_stream_is_asked_for():
    found = decoded(RequestWriter("m").write(INPUTS, None, streaming({"n": 1})))

    assert found.form == {"final": True}
    assert found.parameters == {"n": 1}


def test_an_answer():
    outputs, version = read_response(CODEC.encode({"y": INPUTS["x"], "z": TEXTS}))

    np.testing.assert_array_equal(outputs["y"], INPUTS["x"])
    assert outputs["z"].tolist() == [b"a", b"\xff"]
    assert version == "3"


def test_pieces():
    body = CODEC.encode({"y": INPUTS["x"]}, final=False, streamed=True)
    assert read_error(body) == ""
    outputs, last = read_piece(body)
    assert list(outputs) == ["y"]
    assert not last
    assert read_piece(CODEC.empty(None)) == ({}, True)
    said = inference("ModelStreamInferResponse")(error_message="no").SerializeToString()
    assert read_error(said) == "no"


def answer(**entry):
    message = inference("ModelInferResponse")()
    raw = entry.pop("raw", None)
    floats = entry.pop("floats", None)
    made = message.outputs.add(**entry)
    if raw is not None:
        message.raw_output_contents.extend(raw)
    if floats is not None:
        made.contents.fp32_contents.extend(floats)
    return message.SerializeToString()


def test_typed_answers():
    outputs, _ = read_response(answer(name="y", datatype="FP32", shape=[1, 2], floats=[1, 2]))

    assert outputs["y"].tolist() == [[1, 2]]


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        answer(name="y", datatype="FP32", shape=[1], raw=[b"1234", b""]),
        answer(name="y", datatype="FP32", shape=[2], raw=[b"1234"]),
        answer(name="y", datatype="FP32", shape=[2], floats=[1]),
        answer(name="y", datatype="FP16", shape=[1]),
        answer(name="y", datatype="what", shape=[1]),
        answer(name="y", datatype="FP32", shape=[-1], raw=[b""]),
    ],
    ids=["garbage", "more", "less", "typed", "fp16", "datatype", "free"],
)
def test_what_is_no_answer(body):
    with pytest.raises(InvalidInput):
        read_response(body)
