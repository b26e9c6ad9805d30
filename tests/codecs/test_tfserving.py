import base64
import contextlib
import json

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.codecs.signatures import signature

from inferd.codecs.base import MAX_ROWS
from inferd.codecs.tfserving import COLUMN, ROW, ExplainCodec, TFServingCodec
from inferd.core.errors import InvalidInput, TooLarge
from inferd.core.plan import BatchPlan

VECTOR = signature([("x", "FP32", [-1, 3])])
NUMBERS = signature([("x", "INT64", [-1])], [("y", "FP32", [-1])])
TEXT = signature([("text", "BYTES", [-1])])
TOKENS = signature([("ids", "INT64", [-1, -1])], [("y", "FP32", [-1, 2])])
TWO = signature([("tag", "BYTES", [-1]), ("signal", "FP32", [-1, 2])])
TABLE = signature([("age", "FP32", [-1, 1]), ("city", "BYTES", [-1, 1])])
SCALAR = signature([("t", "FP32", []), ("x", "FP32", [2])], [("y", "FP32", [])], batched=False)
GRID = signature([("x", "FP32", [2, 2])], [("y", "FP32", [2])], batched=False)
PAIR = signature([("x", "FP32", [-1, 3])], [("y", "FP32", [-1, 1]), ("label", "BYTES", [-1])])


def decode(sig, plan=None, **body):
    return TFServingCodec(sig, plan).decode(json.dumps(body).encode())


def shown(value):
    return "-".join(s.name for s in value.inputs) if hasattr(value, "inputs") else str(value)[:50]


B64 = {"b64": base64.b64encode(b"\x00\xff").decode()}


@pytest.mark.parametrize(
    ("sig", "body", "expected"),
    [
        (VECTOR, {"instances": [[1, 2, 3], [4.5, 5, 6]]}, {"x": [[1, 2, 3], [4.5, 5, 6]]}),
        (VECTOR, {"instances": [{"x": [1, 2, 3]}]}, {"x": [[1, 2, 3]]}),
        (VECTOR, {"inputs": [[1, 2, 3]]}, {"x": [[1, 2, 3]]}),
        (VECTOR, {"inputs": {"x": [[1, 2, 3]]}}, {"x": [[1, 2, 3]]}),
        (VECTOR, {"inputs": {"x": [[1, 2, 3]], "other": 1}}, {"x": [[1, 2, 3]]}),
        (VECTOR, {"inputs": [{"x": [1, 2, 3]}]}, {"x": [[1, 2, 3]]}),
        (VECTOR, {"instances": [[1, None, 3]]}, {"x": [[1, np.nan, 3]]}),
        (VECTOR, {"instances": [[1, float("nan"), float("-inf")]]}, {"x": [[1, np.nan, -np.inf]]}),
        (NUMBERS, {"instances": [2**53 + 1, -(2**63)]}, {"x": [2**53 + 1, -(2**63)]}),
        (NUMBERS, {"inputs": [1]}, {"x": [1]}),
        (TEXT, {"instances": ["a", B64]}, {"text": [b"a", b"\x00\xff"]}),
        (TEXT, {"instances": [B64]}, {"text": [b"\x00\xff"]}),
        (TEXT, {"instances": [{"text": B64}]}, {"text": [b"\x00\xff"]}),
        (TEXT, {"inputs": ["a", "b"]}, {"text": [b"a", b"b"]}),
        (TEXT, {"inputs": {"text": ["a"]}}, {"text": [b"a"]}),
        (TWO, {"instances": [{"tag": "a", "signal": [1, 2]}, {"signal": [3, 4], "tag": B64}]},
         {"tag": [b"a", b"\x00\xff"], "signal": [[1, 2], [3, 4]]}),
        (TWO, {"inputs": {"tag": ["a", "b"], "signal": [[1, 2], [3, 4]]}},
         {"tag": [b"a", b"b"], "signal": [[1, 2], [3, 4]]}),
        (TABLE, {"instances": [{"age": 30, "city": "Bonn"}, {"age": [31], "city": ["Ulm"]}]},
         {"age": [[30], [31]], "city": [[b"Bonn"], [b"Ulm"]]}),
        (SCALAR, {"inputs": {"t": 5, "x": [1, 2]}}, {"t": 5, "x": [1, 2]}),
        (GRID, {"instances": [[1, 2], [3, 4]]}, {"x": [[1, 2], [3, 4]]}),
        (GRID, {"inputs": [[1, 2], [3, 4]]}, {"x": [[1, 2], [3, 4]]}),
        (VECTOR, {"inputs": []}, {"x": np.zeros((0, 3))}),
        (TOKENS, {"inputs": [[], []]}, {"ids": np.zeros((2, 0))}),
        (TOKENS, {"instances": [[]]}, {"ids": np.zeros((1, 0))}),
    ],
    ids=shown,
)  # fmt: skip
def test_rows_and_columns_become_tensors(sig, body, expected):
    decoded = decode(sig, **body)

    assert not decoded.single
    assert list(decoded.inputs) == [spec.name for spec in sig.inputs]
    for spec in sig.inputs:
        array, wanted = decoded.inputs[spec.name], np.array(expected[spec.name])
        assert array.dtype == spec.dtype.numpy
        assert array.shape == wanted.shape
        np.testing.assert_array_equal(array, wanted.astype(array.dtype))


@pytest.mark.parametrize(
    ("sig", "body", "message"),
    [
        (VECTOR, {}, 'either "instances" or "inputs"$'),
        (VECTOR, {"instances": [[1, 2, 3]], "inputs": [[1, 2, 3]]}, "not both"),
        (VECTOR, {"instances": []}, "at least one example"),
        (VECTOR, {"instances": 5}, "at least one example"),
        (VECTOR, {"instances": [[1, 2]]}, r"must have shape \[any, 3\], got \[1, 2\]"),
        (VECTOR, {"instances": [[1, 2, 3], [1, 2]]}, r"instances\[1\] has 2 values"),
        (VECTOR, {"instances": [1, 2, 3]}, r"instances\[0\] must be a list"),
        (VECTOR, {"instances": [[1, "a", 3]]}, r"instances\[0\]\[1\] must be a number"),
        (VECTOR, {"instances": [[1, True, 3]]}, r"must be a number \(FP32\), got a boolean"),
        (VECTOR, {"instances": [[1, 1e39, 3]]}, "out of range for FP32"),
        (VECTOR, {"instances": [{"y": [1, 2, 3]}]}, r"exactly the keys 'x', got 'y'"),
        (VECTOR, {"instances": [{"x": [1, 2, 3]}, [1, 2, 3]]}, r"instances\[1\] must be an object"),
        (VECTOR, {"instances": [[1, 2, 3], {"x": [1, 2, 3]}]}, r"instances\[1\] must be a list"),
        (VECTOR, {"inputs": [1, 2, 3]}, r"inputs\[0\] must be a list"),
        (VECTOR, {"inputs": {"y": [[1, 2, 3]]}}, "'x' is missing"),
        (VECTOR, {"signature_name": "other", "inputs": []}, "no signature 'other'"),
        (VECTOR, {"signature_name": 1, "inputs": []}, "must be a string"),
        (VECTOR, {"inputs": [[1, 2, 3]], "parameters": {"k": {}}}, "parameters: 'k'"),
        (NUMBERS, {"instances": [1.0]}, r"must be an integer \(INT64\), got 1.0"),
        (NUMBERS, {"instances": [2**63]}, "out of range for INT64"),
        (NUMBERS, {"instances": [True]}, "must be an integer"),
        (TEXT, {"instances": [5]}, "must be a text"),
        (TEXT, {"instances": [{"b64": "?"}]}, "not valid"),
        (TEXT, {"instances": [{"b64": "YQ==", "x": 1}]}, "exactly the keys 'text'"),
        (TWO, {"instances": [["a", [1, 2]]]}, "takes 2 inputs"),
        (TWO, {"instances": [{"tag": "a"}]}, "exactly the keys"),
        (TWO, {"instances": [{"tag": "a", "signal": [1, 2], "z": 1}]}, "exactly the keys"),
        (TWO, {"inputs": [["a"]]}, "takes 2 inputs"),
        (TWO, {"inputs": {"tag": ["a"], "signal": [[1, 2], [3, 4]]}}, "a batch of 1 and .* of 2"),
        (SCALAR, {"instances": [{"t": 1, "x": 1}]}, "'t' is a single value"),
    ],
    ids=shown,
)
def test_what_does_not_fit_is_refused_with_its_place(sig, body, message):
    with pytest.raises(InvalidInput) as caught:
        decode(sig, **body)
    assert caught.match(message.rstrip("$"))


@pytest.mark.parametrize("name", [None, "", "serving_default"])
def test_the_default_signature_may_be_named(name):
    assert decode(VECTOR, signature_name=name, instances=[[1, 2, 3]]).inputs["x"].shape == (1, 3)


def test_parameters_reach_the_model_and_other_members_are_ignored():
    decoded = decode(VECTOR, inputs=[[1, 2, 3]], parameters={"k": 3}, context={"a": []})

    assert decoded.parameters == {"k": 3}


@pytest.mark.parametrize("form", ["instances", "inputs"])
def test_unequal_rows_are_run_one_by_one_where_an_axis_is_free(form):
    decoded = decode(TOKENS, **{form: [[1], [2, 3], []]})

    assert decoded.inputs is None
    assert [row["ids"].tolist() for row in decoded.rows] == [[[1]], [[2, 3]], [[]]]
    with pytest.raises(InvalidInput, match=r"\[1\]\[0\] must be an integer"):
        decode(TOKENS, **{form: [[1], [2.5, 3]]})


def test_too_many_unequal_rows_are_refused():
    with pytest.raises(TooLarge):
        decode(TOKENS, instances=[[1]] * MAX_ROWS + [[1, 2]])


def test_a_plan_that_splits_gets_single_rows():
    plan = BatchPlan(split=True)

    assert len(decode(VECTOR, plan, instances=[[1, 2, 3], [4, 5, 6]]).rows) == 2
    assert decode(VECTOR, plan, instances=[[1, 2, 3]]).rows is None


EVENT = {"specversion": "1.0", "type": "t", "source": "s", "id": "1"}


def test_a_structured_cloud_event_is_its_data():
    request = {"instances": [[1, 2, 3]]}
    packed = base64.b64encode(json.dumps(request).encode()).decode()

    assert decode(VECTOR, **EVENT, data=request).inputs["x"].tolist() == [[1, 2, 3]]
    assert decode(VECTOR, **EVENT, data_base64=packed).inputs["x"].tolist() == [[1, 2, 3]]
    for wrong in ({"data": [1]}, {"data_base64": "?"}, {"data_base64": "Ww=="}, {}):
        with pytest.raises(InvalidInput):
            decode(VECTOR, **EVENT, **wrong)


def encode(sig, outputs, form):
    return TFServingCodec(sig).encode(outputs, form=form)


Y = np.float32([[0.5], [1]])
LABEL = np.array([b"cat", b"\xff"], object)


def test_one_output_stands_alone():
    assert encode(VECTOR, {"y": Y}, ROW) == b'{"predictions":[[0.5],[1.0]]}'
    assert encode(VECTOR, {"y": Y}, COLUMN) == b'{"outputs":[[0.5],[1.0]]}'
    assert encode(SCALAR, {"y": np.float32(7)}, COLUMN) == b'{"outputs":7.0}'


def test_explanations_have_one_key_in_either_form():
    codec, rows = ExplainCodec(VECTOR), [{"y": Y[:1]}, {"y": Y[1:]}]

    for form, outputs in ((ROW, {"y": Y}), (COLUMN, {"y": Y}), (ROW, rows), (COLUMN, rows)):
        assert codec.encode(outputs, form=form) == b'{"explanations":[[0.5],[1.0]]}'


def test_several_outputs_are_named():
    row = encode(PAIR, {"y": Y, "label": LABEL}, ROW)
    column = encode(PAIR, {"y": Y, "label": LABEL}, COLUMN)

    assert orjson.loads(row) == {
        "predictions": [{"y": [0.5], "label": "cat"}, {"y": [1.0], "label": {"b64": "/w=="}}]
    }
    assert orjson.loads(column) == {
        "outputs": {"y": [[0.5], [1.0]], "label": ["cat", {"b64": "/w=="}]}
    }


@pytest.mark.parametrize("form", [ROW, COLUMN])
def test_outputs_named_as_bytes_are_in_base64(form):
    texts = np.array([[b"a"], [b"\x00"]], object)
    rows = [{"t_bytes": texts[:1]}, {"t_bytes": texts[1:]}]
    value = [[{"b64": "YQ=="}], [{"b64": "AA=="}]]

    assert [*orjson.loads(encode(VECTOR, {"t_bytes": texts}, form)).values()] == [value]
    assert [*orjson.loads(encode(VECTOR, rows, form)).values()] == [value]
    assert b"[[0.5],[1.0]]" in encode(VECTOR, {"y_bytes": Y}, form), "a number is a number"


def test_outputs_without_common_rows_have_no_row_form():
    for outputs in ({"y": Y, "z": Y[:1]}, {"y": np.float32(1)}):
        with pytest.raises(InvalidInput, match="no rows in common"):
            encode(PAIR, outputs, ROW)
        assert encode(PAIR, outputs, COLUMN)


def test_answers_of_single_rows_may_be_of_unequal_shape():
    rows = [{"y": np.float32([[1]]), "n": np.int64([1])}, {"y": np.float32([[2, 3]]), "n": [2]}]

    assert orjson.loads(encode(PAIR, rows, ROW)) == {
        "predictions": [{"y": [1.0], "n": 1}, {"y": [2.0, 3.0], "n": 2}]
    }
    assert orjson.loads(encode(PAIR, rows, COLUMN)) == {
        "outputs": {"y": [[1.0], [2.0, 3.0]], "n": [1, 2]}
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["x", "tag", "signal", "ids", "b64"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "sig", [VECTOR, NUMBERS, TOKENS, TWO, TABLE, TEXT, GRID, SCALAR], ids=shown
)
@pytest.mark.parametrize("key", ["instances", "inputs", "data"])
@given(value=JSON)
def test_any_json_is_decoded_or_refused(sig, key, value):
    for body in ({key: value}, {"specversion": "1", key: value}, value):
        try:
            decoded = TFServingCodec(sig).decode(json.dumps(body).encode())
        except InvalidInput:
            continue
        for row in decoded.rows or [decoded.inputs]:
            assert [(n, a.ndim) for n, a in row.items()] == [
                (s.name, len(s.shape)) for s in sig.inputs
            ]


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_politely(body):
    with contextlib.suppress(InvalidInput):
        TFServingCodec(VECTOR).decode(body)


def test_names_of_any_length_are_refused_shortly():
    with pytest.raises(InvalidInput) as caught:
        decode(TWO, instances=[{"a" * 1_000_000: 1, **{str(i): i for i in range(1000)}}])

    assert len(str(caught.value)) < 400


OPTIONAL = signature([("tag", "BYTES", [-1]), ("signal", "FP32", [-1, 2], {"default": [0, 1]})])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"instances": ["a", "b"]}, {"tag": [b"a", b"b"]}),
        (
            {"instances": [{"tag": "a"}, {"tag": "b", "signal": [2, 3]}]},
            {"tag": [b"a", b"b"], "signal": [[0, 1], [2, 3]]},
        ),
        ({"inputs": {"tag": ["a", "b"]}}, {"tag": [b"a", b"b"]}),
    ],
    ids=["bare", "rows", "columns"],
)
def test_an_input_that_has_a_default_may_be_left_out(body, expected):
    decoded = decode(OPTIONAL, **body)

    given = {n: decoded.inputs[n].tolist() for n in expected}
    assert given == expected


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"instances": [{"signal": [1, 2]}]}, "must have the keys 'tag', and may have others of"),
        ({"inputs": {"signal": [[1, 2]]}}, "input 'tag' is missing"),
    ],
    ids=["rows", "columns"],
)
def test_what_has_no_default_is_missing(body, says):
    with pytest.raises(InvalidInput, match=says):
        decode(OPTIONAL, **body)
