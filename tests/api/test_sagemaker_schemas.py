import pytest
from jsonschema import Draft202012Validator
from tests.codecs.signatures import signature

from inferd.api.routes import ROUTES
from inferd.api.sagemaker_schemas import (
    KINDS,
    REFUSALS,
    REQUESTS,
    RESPONSES,
    invocation_request,
    invocation_response,
)
from inferd.core import script

VECTOR = signature([("x", "FP32", [-1, 3])], [("y", "FP32", [-1])])
NAMED = signature([("age", "INT64", [-1]), ("city", "BYTES", [-1])], [("y", "FP32", [-1])])


@pytest.mark.parametrize(
    ("sig", "body", "fits"),
    [
        (VECTOR, {"instances": [[1, 2, 3]]}, True),
        (VECTOR, {"instances": [{"x": [1, 2, 3]}]}, True),
        (VECTOR, {"inputs": [1, 2, 3], "parameters": {"a": 1}}, True),
        (VECTOR, {"data": [[1, 2, 3]]}, True),
        (VECTOR, [[1, 2, 3]], True),
        (VECTOR, [1, 2, 3], True),
        (VECTOR, {"instances": []}, False),
        (VECTOR, {"instances": [[1, 2]]}, False),
        (VECTOR, {"x": [1, 2, 3]}, False),
        (VECTOR, {}, False),
        (NAMED, {"instances": [{"age": 3, "city": "Bonn"}]}, True),
        (NAMED, {"inputs": {"age": [3], "city": ["Bonn"]}}, True),
        (NAMED, {"age": 3, "city": "Bonn"}, False),
        (script.SIGNATURE, "anything", True),
    ],
)
def test_requests(sig, body, fits):
    assert Draft202012Validator(invocation_request(sig)).is_valid(body) == fits


@pytest.mark.parametrize(
    ("answer", "fits"),
    [
        ({"predictions": [1.5]}, True), ({"predictions": 1.5}, True), ({"result": [1]}, True),
        ([1, 2], True), (1, True), ({"predictions": ["a"]}, False), ({"error": "no"}, False),
    ],
)  # fmt: skip
def test_responses(answer, fits):
    assert Draft202012Validator(invocation_response(VECTOR)).is_valid(answer) == fits


def test_what_is_described_is_a_door():
    doors = {route.door for route in ROUTES}

    assert doors >= KINDS.keys() | REFUSALS.keys() | REQUESTS.keys() | RESPONSES.keys()
