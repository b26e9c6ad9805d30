import json

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from tests.api.serving import Server, value, version
from tests.codecs.signatures import signature

from inferd.api.triton_schemas import RESPONSES, generate_request, generate_response
from inferd.codecs.generate import GenerateCodec

SIG = signature(
    [("text", "BYTES", [-1]), ("tokens", "INT64", [-1, -1]), ("pair", "FP32", [-1, 2])],
    [("out", "BYTES", [-1, -1]), ("score", "FP32", [-1])],
)


def test_the_schema_of_a_request_takes_what_the_codec_takes():
    check = Draft202012Validator(generate_request(SIG))
    good = {"text": "a", "tokens": [1], "pair": [0.5, None], "k": 1, "parameters": {"s": True}}

    GenerateCodec(SIG).decode(json.dumps(good).encode())
    assert check.is_valid(good)
    assert check.is_valid({**good, "text": ["a"], "tokens": 1})


@pytest.mark.parametrize(
    "change",
    [{"text": 1}, {"tokens": [0.5]}, {"pair": [1]}, {"k": {}}, {"id": 5}, {"parameters": []}],
    ids=str,
)
def test_the_schema_of_a_request_refuses_what_the_codec_refuses(change):
    bad = {"text": "a", "tokens": [1], "pair": [0.5, 1], **change}

    assert not Draft202012Validator(generate_request(SIG)).is_valid(bad)


@pytest.mark.parametrize("texts", [["a"], ["a", "b"]], ids=["bare", "list"])
def test_the_schema_of_an_answer_fits_what_the_codec_writes(texts):
    out = np.empty((1, len(texts)), object)
    out[0] = texts
    answer = GenerateCodec(SIG).encode(
        {"out": out, "score": np.float32([0.5])}, True, "7", "m", "1"
    )

    Draft202012Validator(generate_response(SIG)).validate(json.loads(answer))


@pytest.mark.parametrize(
    ("door", "method", "path"),
    [
        ("triton_config", "get", "/v2/models/m/config"),
        ("triton_statistics", "get", "/v2/models/stats"),
        ("triton_index", "post", "/v2/repository/index"),
    ],
)
def test_the_schemas_fit_what_the_doors_answer(door, method, path):
    Draft202012Validator(RESPONSES[door]).validate(value(getattr(Server(version()), method)(path)))


def test_what_has_a_default_is_not_required():
    optional = signature([("text", "BYTES", [-1]), ("n", "INT64", [-1], {"default": 7})])

    assert generate_request(optional)["required"] == ["text"]
