import numpy as np
import pytest
from tests.codecs.signatures import signature

from inferd.codecs.protobuf.messages import serving
from inferd.codecs.protobuf.predict import REQUEST, RESPONSE, PredictCodec, specify
from inferd.codecs.protobuf.tensorproto import TENSOR, write
from inferd.core.errors import InvalidInput
from inferd.core.plan import BatchPlan

SIGNATURE = signature(
    [("a", "FP32", [-1, 2]), ("b", "INT64", [-1])], [("y", "FP32", [-1]), ("z", "BYTES", [-1])]
)
A, B = np.array([[1, 2], [3, 4]], np.float32), np.array([5, 6])


def codec(**plan):
    return PredictCodec(SIGNATURE, BatchPlan(**plan), "m", "3")


def request(name="", outputs=(), **inputs):
    message = REQUEST(output_filter=outputs)
    message.model_spec.signature_name = name
    for key, array in inputs.items():
        message.inputs[key].CopyFrom(TENSOR.FromString(write(array)))
    return message


@pytest.mark.parametrize("name", ["", "serving_default"])
def test_a_request_is_read(name):
    decoded = codec().decode(request(name, b=B, a=A))

    assert list(decoded.inputs) == ["a", "b"]
    assert decoded.inputs["a"].tolist() == A.tolist()
    assert decoded.outputs is None


def test_outputs_are_chosen():
    assert codec().decode(request(outputs=["z", "z"], a=A, b=B)).outputs == ("z",)


def test_rows_are_taken_apart_where_the_plan_says_so():
    assert len(codec(split=True).decode(request(a=A, b=B)).rows) == 2


def test_an_answer_names_the_version():
    texts = np.array([b"\xff", b""], object)
    answer = RESPONSE.FromString(codec().encode({"y": A[:, 0], "z": texts}))

    assert (answer.model_spec.name, answer.model_spec.version.value) == ("m", 3)
    assert answer.model_spec.signature_name == "serving_default"
    assert list(answer.outputs["y"].float_val) == [1, 3]
    assert list(answer.outputs["z"].string_val) == [b"\xff", b""]


def test_rows_are_put_together():
    answer = RESPONSE.FromString(codec().encode([{"y": A[:1, 0]}, {"y": A[1:, 0]}]))

    assert list(answer.outputs["y"].float_val) == [1, 3]


BAD = {
    "other signature": (request("classify", a=A, b=B), "no signature named 'classify'"),
    "unknown input": (request(a=A, b=B, c=B), "no input named 'c'"),
    "missing input": (request(a=A), "input 'b' is missing"),
    "unknown output": (request(outputs=["q"], a=A, b=B), "no output named 'q'"),
    "other batch": (request(a=A, b=B[:1]), "batch of 2 and input 'b' one of 1"),
}


@pytest.mark.parametrize(("message", "said"), BAD.values(), ids=BAD)
def test_what_does_not_fit_is_invalid_input(message, said):
    with pytest.raises(InvalidInput, match=said):
        codec().decode(message)


def test_a_version_that_is_no_number_has_none():
    spec = serving("ModelSpec")()
    specify(spec, "m", "beta")

    assert spec.name == "m"
    assert spec.WhichOneof("version_choice") is None


def test_an_input_that_has_a_default_may_be_left_out():
    optional = signature([("a", "FP32", [-1, 2]), ("b", "INT64", [-1], {"default": 2})])
    subject = PredictCodec(optional, BatchPlan(), "m", "3")

    assert list(subject.decode(request(a=A)).inputs) == ["a"]
    with pytest.raises(InvalidInput, match="input 'a' is missing"):
        subject.decode(request(b=B))
