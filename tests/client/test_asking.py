import gzip

import numpy as np
import orjson
import pytest
from tests.client.serving import ADDRESS, answer

from inferd.client.asking import (
    UNSAID,
    compressed,
    infer_request,
    question,
    result_of,
    stream_request,
)
from inferd.client.given import Given
from inferd.client.wire import BINARY_HEADER, Outgoing
from inferd.codecs.oip_client import decode_response, encode_request
from inferd.core.errors import InvalidInput, Unavailable

X = np.arange(4, dtype=np.float32).reshape(1, 4)


def ask(model="m", inputs=1, **more):
    terms = dict.fromkeys(
        ("version", "outputs", "parameters", "timeout", "priority", "request_id")
    )  # fmt: skip
    return question(model, inputs, **{**terms, **more})


def test_a_lone_argument_is_the_inputs():
    asked = ask([1, 2], UNSAID)

    assert (asked.model, asked.inputs) == (None, [1, 2])
    assert ask(None, 3).inputs == 3


def test_arguments_are_made_of_one_kind():
    asked = ask(version=3, outputs="y", parameters={"a": 1})

    assert (asked.version, asked.outputs, asked.parameters) == ("3", ("y",), {"a": 1})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"model": 1}, "a model's name is a text, not int"),
        ({"model": None, "inputs": UNSAID}, "no inputs are given"),
        ({"priority": "hihg"}, "unknown priority 'hihg'"),
    ],
    ids=["model", "inputs", "priority"],
)
def test_wrong_arguments_are_refused(arguments, said):
    with pytest.raises(InvalidInput, match=said):
        ask(**arguments)


def test_a_binary_request_has_its_numbers_behind_the_json():
    asked = ask(version="2", outputs="y", parameters={"a": 1}, priority="high", request_id="r")
    sent = infer_request(
        asked, "m", Given({"x": X}, single=True), binary=True, schedules=True, coding=None
    )
    size = int(sent.headers[BINARY_HEADER])
    head = orjson.loads(sent.body[:size])

    assert (sent.method, sent.path) == ("POST", "/v2/models/m/versions/2/infer")
    assert sent.headers["Content-Type"] == "application/octet-stream"
    assert sent.headers["X-Priority"] == "high"
    assert sent.body[size:] == X.tobytes()
    assert head["id"] == "r"
    assert head["parameters"] == {"a": 1, "priority": 1, "binary_data_output": True}
    assert head["outputs"] == [{"name": "y", "parameters": {"binary_data": True}}]


def test_a_json_request_has_none():
    given = Given({"x": X}, single=True)
    sent = infer_request(
        ask(priority="high"), "m", given, binary=False, schedules=False, coding=None
    )

    assert BINARY_HEADER not in sent.headers
    assert orjson.loads(sent.body) == {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [0, 1, 2, 3]}]
    }


def test_a_stream_asks_for_one_example():
    texts = np.empty((1,), object)
    texts[0] = "é".encode()
    given = Given({"t": texts, "x": X}, single=True)
    asked = ask(parameters={"max_tokens": 3, "stop": ["a", "b"]}, request_id="r")
    sent = stream_request(asked, "m", given, batched=True, coding=None)

    assert sent.path == "/v2/models/m/generate_stream"
    assert sent.headers["Accept"] == "text/event-stream"
    assert orjson.loads(sent.body) == {
        "t": "é", "x": [0, 1, 2, 3], "parameters": {"max_tokens": 3, "stop": '["a", "b"]'}, "id": "r",
    }  # fmt: skip
    unbatched = stream_request(
        ask(), "m", Given({"x": X}, single=False), batched=False, coding=None
    )
    assert orjson.loads(unbatched.body) == {"x": [[0, 1, 2, 3]]}
    with pytest.raises(InvalidInput, match="holds 2"):
        two = Given({"x": np.ones((2, 4))}, single=False)
        stream_request(ask(), "m", two, batched=True, coding=None)


def test_long_bodies_are_compressed():
    request = Outgoing("POST", "/", {"A": "1"}, b"x" * 5000)
    small = compressed(request, "gzip")

    assert gzip.decompress(small.body) == request.body
    assert small.headers == {"A": "1", "Content-Encoding": "gzip"}
    assert compressed(request, None) is request
    assert compressed(request._replace(body=b"x"), "gzip").body == b"x"


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_an_answer_becomes_a_result(binary):
    body, size = encode_request({"y": X}, None, "r", {"took": 3}, binary=binary)
    # An infer request with "outputs" for "inputs" is an infer response.
    text = orjson.loads(body[:size])
    text["outputs"], text["model_name"], text["model_version"] = text.pop("inputs"), "m", "2"
    head = orjson.dumps(text)
    raw = bytearray(head + (body[size:] if binary else b""))
    headers = {BINARY_HEADER: str(len(head))} if binary else {}
    got = answer(200, bytes(raw), server_timing="run;dur=2", x_request_id="id-1", **headers)
    result = result_of(got, Given({}, single=True), ADDRESS)

    assert result["y"].tolist() == [0, 1, 2, 3]
    assert (result.model, result.version, result.id, result.request_id) == ("m", "2", "r", "id-1")
    assert result.parameters["took"] == 3
    assert result.timings == {"run": 0.002}


@pytest.mark.parametrize(
    "got",
    [answer(200, b"<html>"), answer(200, {"result": 1}), answer(200, {"outputs": [{}]}),
     answer(200, b"{}", **{BINARY_HEADER: "many"}), answer(200, b"{}", **{BINARY_HEADER: "99"})],
    ids=["html", "other", "nameless", "header", "short"],
)  # fmt: skip
def test_what_is_no_answer_of_the_protocol_is_said(got):
    with pytest.raises(Unavailable, match=r"the answer cannot be read") as error:
        result_of(got, Given({}, single=True), ADDRESS)
    assert ADDRESS in error.value.message


def test_arrays_are_views_of_the_body():
    body = bytearray(np.arange(8, dtype=np.float32).tobytes())
    head = orjson.dumps(
        {"outputs": [{"name": "y", "datatype": "FP32", "shape": [8], "parameters": {"binary_data_size": 32}}]}
    )  # fmt: skip
    whole = bytearray(head.ljust(128) + body)
    outputs, _ = decode_response(whole, 128)

    assert np.shares_memory(outputs["y"], np.frombuffer(whole, np.uint8))
    assert outputs["y"].flags.writeable
