"""Calls over gRPC: the messages written by hand are those of the protocol's generated code."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import calls, protobuf

pb = pytest.importorskip("tritonclient.grpc").service_pb2
ROW = np.array([1, 2, 3, 4], np.float32)
ANSWER = np.array([0.25, 0.5, 0.125], np.float32)


def _response(**contents: object):
    response = pb.ModelInferResponse(model_name="t", model_version="1", **contents)
    output = response.outputs.add(name="probabilities", datatype="FP32", shape=[1, 3])
    if not contents:
        output.contents.fp32_contents.extend(ANSWER.tolist())
    return response


def test_a_request_is_read_by_the_generated_code() -> None:
    request = pb.ModelInferRequest.FromString(calls.message(ROW))

    assert request.model_name == "t"
    (tensor,) = request.inputs
    assert (tensor.name, tensor.datatype, list(tensor.shape)) == ("x", "FP32", [1, 4])
    assert list(request.raw_input_contents) == [ROW.tobytes()]


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
def test_an_answer_is_read(raw: bool) -> None:
    response = _response(**({"raw_output_contents": [ANSWER.tobytes()]} if raw else {}))

    np.testing.assert_array_equal(calls.infer_result(response.SerializeToString()), ANSWER)


def test_an_answer_on_a_stream_is_read_in_either_form() -> None:
    response = _response(raw_output_contents=[ANSWER.tobytes()])
    wrapped = pb.ModelStreamInferResponse(infer_response=response)

    np.testing.assert_array_equal(calls.stream_result(wrapped.SerializeToString()), ANSWER)
    np.testing.assert_array_equal(calls.stream_result(response.SerializeToString()), ANSWER)


def test_an_error_on_a_stream_is_no_answer() -> None:
    failed = pb.ModelStreamInferResponse(error_message="no such model").SerializeToString()

    with pytest.raises(ValueError):
        calls.stream_result(failed)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**32, 2**63])
def test_numbers_survive(number: int) -> None:
    data = protobuf.varint(number)

    assert protobuf.read_varint(data, 0) == (number, len(data))


@pytest.mark.parametrize(
    "data", [b"\x0a\x05ab", b"\x0b", b"\x08\x80"], ids=["short", "type", "cut"]
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        list(protobuf.fields(data))
