import orjson
import pytest
from tests.codecs.signatures import signature

from inferd.api import schemas
from inferd.codecs.oip import OIPCodec
from inferd.codecs.simple import SimpleCodec
from inferd.core.errors import InvalidInput

jsonschema = pytest.importorskip("jsonschema")

VECTOR = signature([("x", "FP32", [-1, 3])])
TWO = signature([("a", "UINT8", [-1]), ("b", "BYTES", [-1, -1])], [("y", "FP32", [-1, 2])])
COLUMNS = signature(
    [("age", "FP32", [-1, 1]), ("city", "BYTES", [-1, 1])],
    [("sum", "FP32", [-1, 1]), ("prod", "FP32", [-1, -1])],
)
NUMBER = signature([("x", "FP32", [-1])], [("y", "FP32", [-1, 1])])
ONE = signature([("x", "FP32", [-1, 1])], [("y", "FP32", [-1])])
OPTIONAL = signature([("text", "BYTES", [-1]), ("n", "UINT8", [-1, 1], {"default": 7})])
SPARED = signature(
    [("a", "BYTES", [-1], {"default": ""}), ("b", "FP32", [-1, 2], {"default": [0, 1]})]
)
FLAG = signature([("f", "BOOL", [2])], [("y", "INT64", [])], batched=False)


def shown(value):
    """Return the id of a parameter: a signature by its inputs, data as it is."""
    return "-".join(s.name for s in value.inputs) if hasattr(value, "inputs") else str(value)


def valid(schema, value):
    return jsonschema.Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    ("sig", "data"),
    [
        (VECTOR, [1, 2, 3]),
        (VECTOR, [[1, 2, None]]),
        (VECTOR, {"x": [1, 2, 3]}),
        (VECTOR, {"x": [[1, 2, 3]]}),
        (VECTOR, [{"x": [1, 2, 3]}]),
        (VECTOR, [1, 2]),
        (VECTOR, ["a", "b", "c"]),
        (VECTOR, {"z": [1, 2, 3]}),
        (VECTOR, [True, 1, 1]),
        (TWO, {"a": 255, "b": ["x", {"b64": "/w=="}]}),
        (TWO, {"a": 256, "b": ["x"]}),
        (TWO, {"a": [1], "b": [["x"]]}),
        (TWO, [{"a": 1, "b": []}]),
        (TWO, {"a": 1}),
        (FLAG, [True, False]),
        (FLAG, [1, 0]),
        (COLUMNS, {"age": 31, "city": "Bonn"}),
        (COLUMNS, {"age": [31], "city": "Bonn"}),
        (COLUMNS, [{"age": None, "city": ["Bonn"]}]),
        (COLUMNS, {"age": [[31]], "city": [["Bonn"]]}),
        (COLUMNS, [31, "Bonn"]),
        (COLUMNS, [[31], ["Bonn"]]),
        (COLUMNS, [[31, "Bonn"], [60, "Ulm"]]),
        (COLUMNS, [[31, "Bonn"]]),
        (COLUMNS, [31]),
        (COLUMNS, [31, "Bonn", 5]),
        (COLUMNS, ["Bonn", 31]),
        (COLUMNS, [[31, "Bonn"], [60]]),
        (COLUMNS, {"age": [31, 60], "city": ["Bonn", "Ulm"]}),
        (COLUMNS, []),
        (NUMBER, 5),
        (NUMBER, [5, 6]),
        (NUMBER, []),
        (NUMBER, {"x": []}),
        (NUMBER, None),
        (ONE, 5),
        (ONE, [5]),
        (ONE, [5, 6]),
        (ONE, [[5], [6]]),
        (OPTIONAL, "x"),
        (OPTIONAL, ["x", "y"]),
        (OPTIONAL, 5),
        (OPTIONAL, {"text": "x"}),
        (OPTIONAL, {"n": 1}),
        (OPTIONAL, {"text": "x", "n": 256}),
        (OPTIONAL, [{"text": "x"}, {"text": "y", "n": [1]}]),
        (OPTIONAL, {"text": ["x", "y"], "n": [[1], [2]]}),
        (OPTIONAL, [{"n": 1}]),
        (OPTIONAL, {}),
        (SPARED, {}),
        (SPARED, [{}, {"a": "x"}]),
        (SPARED, {"b": [[1, 2], [3, 4]]}),
        (SPARED, ["x", [1, 2]]),
        (SPARED, "x"),
    ],
    ids=shown,
)
def test_the_schema_of_the_simple_dialect_agrees_with_its_decoder(sig, data):
    try:
        SimpleCodec(sig).decode(orjson.dumps({"data": data}))
        accepted = True
    except InvalidInput:
        accepted = False

    assert valid(schemas.simple_request(sig), {"data": data}) is accepted


@pytest.mark.parametrize(
    "more",
    [
        {"outputs": None},
        {"outputs": ["sum"]},
        {"outputs": []},
        {"outputs": ["z"]},
        {"outputs": "sum"},
        {"parameters": None},
        {"parameters": {"k": 1}},
        {"parameters": {"k": [1]}},
        {"parameters": {"k": [[1]]}},
        {"more": 1},
    ],
    ids=str,
)
def test_the_schema_of_the_envelope_agrees_with_the_decoder(more):
    request = {"data": [31, "Bonn"], **more}
    try:
        SimpleCodec(COLUMNS).decode(orjson.dumps(request))
        accepted = True
    except InvalidInput:
        accepted = False

    assert valid(schemas.simple_request(COLUMNS), request) is accepted


@pytest.mark.parametrize(
    ("sig", "result"),
    [
        (VECTOR, 0.5),
        (VECTOR, [0.5, None]),
        (TWO, [1, 2]),
        (TWO, [[1, 2]]),
        (FLAG, 3),
        (COLUMNS, {"sum": 1, "prod": [2]}),
        (COLUMNS, [{"sum": 1, "prod": []}]),
        (COLUMNS, 1),
        (COLUMNS, [1, 2]),
        (COLUMNS, [[1], [2, 3]]),
    ],
    ids=shown,
)
def test_results_fit_their_schema(sig, result):
    assert valid(schemas.simple_response(sig), {"result": result})
    assert not valid(schemas.simple_response(sig), {"result": "x"})


@pytest.mark.parametrize(
    "result", [{"sum": [1]}, {"sum": 1, "prod": 2}, {"z": 1}], ids=["list", "number", "name"]
)
def test_what_is_no_result_does_not_fit(result):
    assert not valid(schemas.simple_response(COLUMNS), {"result": result})


@pytest.mark.parametrize("key", ["id", "outputs", "parameters"])
def test_what_is_null_in_the_protocol_is_left_out(key):
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}
    request = {"inputs": [tensor], key: None}

    OIPCodec(VECTOR).decode(orjson.dumps(request))
    assert valid(schemas.oip_request(VECTOR), request)


@pytest.mark.parametrize(
    "change",
    [{}, {"data": [[1, 2, 3]]}, {"datatype": "FP64"}, {"shape": [1, 4]}, {"name": "z"},
     {"shape": [-1, 3]}, {"data": ["a", "b", "c"]}],
    ids=str,
)  # fmt: skip
def test_the_schema_of_the_protocol_agrees_with_its_decoder(change):
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3], **change}
    request = {"inputs": [tensor]}
    try:
        OIPCodec(VECTOR).decode(orjson.dumps(request))
        accepted = True
    except InvalidInput:
        accepted = False

    assert valid(schemas.oip_request(VECTOR), request) is accepted


@pytest.mark.parametrize(
    "sig", [VECTOR, TWO, FLAG, COLUMNS], ids=["vector", "two", "flag", "columns"]
)
@pytest.mark.parametrize(
    "make",
    [schemas.simple_request, schemas.simple_response, schemas.oip_request, schemas.oip_response],
)
def test_schemas_are_schemas(sig, make):
    jsonschema.Draft202012Validator.check_schema(make(sig))


@pytest.mark.parametrize("names", [["text"], ["text", "n"], ["n"], []], ids=str)
def test_the_schema_of_infer_counts_the_inputs_that_are_needed(names):
    tensors = {
        "text": {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["x"]},
        "n": {"name": "n", "shape": [1, 1], "datatype": "UINT8", "data": [1]},
    }
    body = {"inputs": [tensors[name] for name in names]}

    for sig in (OPTIONAL, signature([("text", "BYTES", [-1], {"default": ""})])):
        if sig is not OPTIONAL and "n" in names:
            continue
        assert valid(schemas.oip_request(sig), body) is (bool(names) or sig is not OPTIONAL)
    assert not valid(schemas.oip_request(OPTIONAL), {})
    assert valid(schemas.oip_request(SPARED), {})
