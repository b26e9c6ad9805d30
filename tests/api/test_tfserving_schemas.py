import jsonschema
import numpy as np
import orjson
import pytest
from tests.codecs.signatures import signature

from inferd.api.routes import ROUTES
from inferd.api.tfserving_schemas import (
    KINDS,
    MAKERS,
    OF_EXPLAINER,
    classify_response,
    examples_request,
    explain_response,
    predict_request,
    predict_response,
    regress_response,
)
from inferd.codecs.tfexamples import ClassifyCodec, RegressCodec
from inferd.codecs.tfserving import COLUMN, ROW, ExplainCodec, TFServingCodec
from inferd.core.errors import InvalidInput

VECTOR = signature([("x", "FP32", [-1, 2])])
OPTIONAL = signature([("text", "BYTES", [-1]), ("n", "INT64", [-1], {"default": 7})])
TABLE = signature(
    [("age", "INT8", [-1, 1]), ("city", "BYTES", [-1])],
    [("y", "FP32", [-1, 2]), ("n", "INT64", [-1])],
)


def fits(schema, value):
    return jsonschema.Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    ("sig", "body"),
    [
        (VECTOR, {"instances": [[1, 2], [3, 4.5]]}),
        (VECTOR, {"instances": [{"x": [1, 2]}], "signature_name": "serving_default"}),
        (VECTOR, {"inputs": [[1, 2]], "parameters": {"k": 1}}),
        (VECTOR, {"inputs": {"x": [[1, 2]]}, "other": 1}),
        (VECTOR, {"inputs": [{"x": [1, 2]}]}),
        (TABLE, {"instances": [{"age": 3, "city": "Bonn"}, {"age": [4], "city": {"b64": "YQ=="}}]}),
        (TABLE, {"inputs": {"age": [[3]], "city": ["Bonn"]}}),
        (VECTOR, {}),
        (VECTOR, {"instances": []}),
        (VECTOR, {"instances": [[1, 2]], "inputs": [[1, 2]]}),
        (VECTOR, {"instances": [[1]]}),
        (VECTOR, {"inputs": [1, 2]}),
        (VECTOR, {"signature_name": 1, "inputs": [[1, 2]]}),
        (TABLE, {"instances": [{"age": 300, "city": "Bonn"}]}),
        (TABLE, {"instances": [{"age": 3}]}),
        (TABLE, {"instances": [[3, "Bonn"]]}),
        (TABLE, {"inputs": {"age": [3], "city": ["Bonn"]}}),
        (OPTIONAL, {"instances": ["x", {"b64": "YQ=="}]}),
        (OPTIONAL, {"instances": [{"text": "x"}, {"text": "y", "n": 3}]}),
        (OPTIONAL, {"instances": [{"n": 3}]}),
        (OPTIONAL, {"inputs": {"text": ["x"]}}),
        (OPTIONAL, {"inputs": {"n": [3]}}),
        (OPTIONAL, {"inputs": ["x"]}),
    ],
    ids=str,
)
def test_the_schema_of_a_request_and_the_codec_agree(sig, body):
    try:
        TFServingCodec(sig).decode(orjson.dumps(body))
        taken = True
    except InvalidInput:
        taken = False

    assert fits(predict_request(sig), body) is taken


@pytest.mark.parametrize("form", [ROW, COLUMN])
@pytest.mark.parametrize("sig", [VECTOR, TABLE], ids=["one output", "several"])
def test_answers_fit_their_schema(sig, form):
    outputs = {s.name: np.zeros((3, *s.shape[1:]), s.dtype.numpy) for s in sig.outputs}
    answer = orjson.loads(TFServingCodec(sig).encode(outputs, form=form))

    assert fits(predict_response(sig), answer)
    assert not fits(predict_response(sig), {**answer, "more": 1})
    explanation = orjson.loads(ExplainCodec(sig).encode(outputs, form=form))
    assert fits(explain_response(sig), explanation)
    assert not fits(explain_response(sig), answer)


def test_examples_and_results_fit_theirs():
    scores = {"y": np.float32([[0.5]])}

    assert fits(examples_request(VECTOR), {"examples": [{"x": [1, 2]}], "context": {}})
    assert not fits(examples_request(VECTOR), {"examples": []})
    assert fits(classify_response(VECTOR), orjson.loads(ClassifyCodec(VECTOR).encode(scores)))
    assert fits(regress_response(VECTOR), orjson.loads(RegressCodec(VECTOR).encode(scores)))


def test_every_door_names_its_schemas():
    assert set(MAKERS) == {f"{k}{part}" for k in KINDS.values() for part in ("Request", "Response")}
    assert set(KINDS) < {route.door for route in ROUTES}
    assert set(OF_EXPLAINER) < set(MAKERS)
