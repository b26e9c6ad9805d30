import contextlib

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.codecs.signatures import arrays, signature

from inferd.codecs import results
from inferd.codecs.base import MAX_ROWS
from inferd.codecs.simple import SimpleCodec
from inferd.core.errors import InvalidInput, TooLarge
from inferd.core.plan import BatchPlan

VECTOR = signature([("x", "FP32", [-1, 3])])
SCALAR = signature([("x", "FP32", [-1])])
TOKENS = signature([("ids", "INT64", [-1, -1])], [("y", "FP32", [-1, 2])])
TWO = signature([("a", "FP32", [-1]), ("b", "INT64", [-1, 2])])
COLUMNS = signature([("age", "FP32", [-1, 1]), ("city", "BYTES", [-1, 1])])
TEXT = signature([("text", "BYTES", [-1])])
NUMBER = signature([("x", "FP32", [-1, 3])], [("y", "FP32", [-1, 1])])
WIDE = signature([("b", "INT64", [-1, 2]), ("age", "FP32", [-1, 1])])
FIXED = signature([("x", "FP32", [2, 2])], [("y", "FP32", [1])], batched=False)


def decode(sig, data, plan=None, **more):
    return SimpleCodec(sig, plan).decode(orjson.dumps({"data": data, **more}))


@pytest.mark.parametrize(
    ("sig", "data", "single", "expected"),
    [
        (VECTOR, [0.1, 0.2, 0.3], True, {"x": [[0.1, 0.2, 0.3]]}),
        (VECTOR, [1, 2, None], True, None),
        (VECTOR, [[1, 2, 3]], False, {"x": [[1, 2, 3]]}),
        (VECTOR, [[1, 2, 3], [4, 5, 6]], False, {"x": [[1, 2, 3], [4, 5, 6]]}),
        (VECTOR, {"x": [1, 2, 3]}, True, {"x": [[1, 2, 3]]}),
        (VECTOR, {"x": [[1, 2, 3]]}, False, {"x": [[1, 2, 3]]}),
        (VECTOR, [{"x": [1, 2, 3]}], False, {"x": [[1, 2, 3]]}),
        (SCALAR, 5, True, {"x": [5]}),
        (SCALAR, [5], False, {"x": [5]}),
        (SCALAR, [5, 6.5], False, {"x": [5, 6.5]}),
        (TOKENS, [1, 2, 3], True, {"ids": [[1, 2, 3]]}),
        (TOKENS, [], True, {"ids": [[]]}),
        (TOKENS, [[1, 2], [3, 4]], False, {"ids": [[1, 2], [3, 4]]}),
        (TEXT, "good", True, {"text": [b"good"]}),
        (TEXT, ["good", "bad"], False, {"text": [b"good", b"bad"]}),
        (TEXT, {"b64": "/w=="}, True, {"text": [b"\xff"]}),
        (TEXT, [{"b64": "/w=="}], False, {"text": [b"\xff"]}),
        (TEXT, {"text": "good"}, True, {"text": [b"good"]}),
        (TWO, {"a": 1, "b": [2, 3]}, True, {"a": [1], "b": [[2, 3]]}),
        (TWO, {"b": [[2, 3]], "a": [1]}, False, {"a": [1], "b": [[2, 3]]}),
        (TWO, [{"a": 1, "b": [2, 3]}, {"a": 4, "b": [5, 6]}], False,
         {"a": [1, 4], "b": [[2, 3], [5, 6]]}),
        (TWO, [1, [2, 3]], True, {"a": [1], "b": [[2, 3]]}),
        (TWO, [[1, [2, 3]], [4, [5, 6]]], False, {"a": [1, 4], "b": [[2, 3], [5, 6]]}),
        (COLUMNS, {"age": 30, "city": "Bonn"}, True, {"age": [[30]], "city": [[b"Bonn"]]}),
        (COLUMNS, {"age": [30], "city": ["Bonn"]}, True, {"age": [[30]], "city": [[b"Bonn"]]}),
        (COLUMNS, [{"age": 30, "city": "Bonn"}], False, {"age": [[30]], "city": [[b"Bonn"]]}),
        (COLUMNS, [30, "Bonn"], True, {"age": [[30]], "city": [[b"Bonn"]]}),
        (COLUMNS, [[30], "Bonn"], True, {"age": [[30]], "city": [[b"Bonn"]]}),
        (COLUMNS, [[30, "Bonn"]], False, {"age": [[30]], "city": [[b"Bonn"]]}),
        (COLUMNS, [[30, "Bonn"], [60, "Ulm"]], False,
         {"age": [[30], [60]], "city": [[b"Bonn"], [b"Ulm"]]}),
        (COLUMNS, [[[30], "Bonn"], [60, ["Ulm"]]], False,
         {"age": [[30], [60]], "city": [[b"Bonn"], [b"Ulm"]]}),
        (WIDE, [[1, 2], 30], True, {"b": [[1, 2]], "age": [[30]]}),
        (WIDE, [[[1, 2], 30], [[3, 4], 60]], False, {"b": [[1, 2], [3, 4]], "age": [[30], [60]]}),
        (FIXED, [[1, 2], [3, 4]], True, {"x": [[1, 2], [3, 4]]}),
        (FIXED, {"x": [[1, 2], [3, 4]]}, True, {"x": [[1, 2], [3, 4]]}),
    ],
)  # fmt: skip
def test_rank_decides_between_one_example_and_a_batch(sig, data, single, expected):
    decoded = decode(sig, data)

    assert decoded.single is single
    assert list(decoded.inputs) == [spec.name for spec in sig.inputs]
    for spec in sig.inputs:
        array = decoded.inputs[spec.name]
        assert array.dtype == spec.dtype.numpy
        if expected is not None:
            wanted = np.array(expected[spec.name], array.dtype)
            assert array.shape == wanted.shape
            assert (array == wanted).all()


@pytest.mark.parametrize(
    ("sig", "data", "message"),
    [
        (VECTOR, [1, 2], r"must have shape \[3\], got \[2\]"),
        (VECTOR, [[1, 2], [3, 4]], r"must have shape \[3\], got \[2\]"),
        (VECTOR, [[1, 2, 3], [4, 5]], r"data\[1\] has 2 values where data\[0\] has 3"),
        (VECTOR, 5, "data has a single value"),
        (VECTOR, [[[1, 2, 3]]], "data has 3 nested lists"),
        (VECTOR, {"y": [1, 2, 3]}, "no input named 'y'"),
        (VECTOR, {}, "input 'x' is missing"),
        (VECTOR, [True, False, True], r"data\[0\] must be a number"),
        (VECTOR, ["a", "b", "c"], r"data\[0\] must be a number"),
        (VECTOR, [1, 2, 1e39], "out of range"),
        (VECTOR, [{"x": [1, 2, 3]}, {"x": [1, 2, 3], "z": 1}], r"data\[1\]: no input named 'z'"),
        (VECTOR, [{"x": [[1, 2, 3]]}], r"data\[0\].x has 2 nested lists"),
        (VECTOR, [{"x": [1, 2, 3]}, 5], "must be"),
        (VECTOR, None, 'has no "data"'),
        (SCALAR, [], "no examples"),
        (TOKENS, [[1, 2], [3, [4]]], r"data\[1\]\[1\] is a list"),
        (TOKENS, [[1, 2], [3], [1.5]], r"data\[2\]\[0\] must be an integer"),
        (TOKENS, [[1, 2], 3], r"data\[1\] must be a list"),
        (TWO, {"a": 1, "b": [[2, 3]]}, "data.a is one example and data.b is a batch"),
        (TWO, {"a": [1, 2], "b": [[2, 3]]}, "data.a holds 2 examples and data.b holds 1"),
        (TWO, [1, 2, 3], "every example must hold 2 values"),
        (TWO, 5, "takes 2 inputs"),
        (COLUMNS, [[30, "Bonn"], [60]], "every example must hold 2 values"),
        (COLUMNS, [[30, 60], ["Bonn"]], "every example must hold 2 values"),
        (COLUMNS, [30], "data holds 1 values for 2 inputs"),
        (TWO, [[1, [2, 3]], [4]], "every example must hold 2 values"),
        (FIXED, [[[1, 2], [3, 4]]], "3 nested lists"),
        (FIXED, [[1, 2]], r"must have shape \[2, 2\], got \[1, 2\]"),
        (TEXT, {"b64": "?"}, "not valid"),
        (TEXT, 5, "must be a text"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(sig, data, message):
    with pytest.raises(InvalidInput, match=message):
        decode(sig, data)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[1,2,3]", "must be an object"),
        (b"{}", 'has no "data"'),
        (b'{"date":[1,2,3]}', "(?s)unknown key 'date'.*did you mean 'data'"),
        (
            b'{"x":[1,2,3]}',
            '(?s)unknown key \'x\'.*inputs belong into "data": {"data": {"x": ...}}',
        ),
        (b'{"data":[1,2,3],"outputs":["z"]}', "no output named 'z'"),
        (b'{"data":[1,2,3],"outputs":"y"}', "must be a list of output names"),
        (b'{"data":[1,2,3],"outputs":[]}', "must be a list of output names"),
        (b'{"data":[1,2,3],"parameters":[]}', "parameters must be an object"),
        (b'{"data":[1,2,3],"parameters":{"k":[[1]]}}', "parameters: 'k' must be"),
    ],
)
def test_the_envelope_is_checked(body, message):
    with pytest.raises(InvalidInput, match=message):
        SimpleCodec(VECTOR).decode(body)


def test_outputs_and_parameters_are_passed_on():
    decoded = decode(VECTOR, [1, 2, 3], outputs=["y"], parameters={"k": 3, "stop": ["ä", "\n"]})

    assert decoded.outputs == ("y",)
    assert decoded.parameters == {"k": 3, "stop": '["ä", "\\n"]'}


def test_rows_of_unequal_length_are_decoded_one_by_one():
    decoded = decode(TOKENS, [[1], [2, 3], []])

    assert decoded.inputs is None
    assert not decoded.single
    assert [row["ids"].tolist() for row in decoded.rows] == [[[1]], [[2, 3]], [[]]]


def test_too_many_ragged_rows_are_refused():
    rows = [[1]] * MAX_ROWS + [[1, 2]]

    with pytest.raises(TooLarge, match="16385 examples"):
        decode(TOKENS, rows)


def test_a_plan_that_splits_gets_single_rows():
    plan = BatchPlan(split=True)

    assert len(decode(VECTOR, [[1, 2, 3], [4, 5, 6]], plan).rows) == 2
    assert decode(VECTOR, [[1, 2, 3]], plan).rows is None
    assert decode(VECTOR, [1, 2, 3], plan).single


def encode(sig, outputs, single):
    tensors = {k: np.array(v[0], v[1]) for k, v in outputs.items()}
    return orjson.loads(SimpleCodec(sig).encode(tensors, single))["result"]


@pytest.mark.parametrize("shape", [[-1], [-1, 1], [-1, 1, 1]], ids=str)
def test_one_number_is_that_number(shape):
    sig = signature([("x", "FP32", [-1, 3])], [("y", "FP32", shape)])
    rank = len(shape)
    one = np.full((1,) * rank, 0.5, np.float32)
    two = np.full((2,) + (1,) * (rank - 1), 0.5, np.float32)

    assert SimpleCodec(sig).encode({"y": one}, True) == b'{"result":0.5}'
    assert SimpleCodec(sig).encode({"y": one}, False) == b'{"result":[0.5]}'
    assert SimpleCodec(sig).encode({"y": two}, False) == b'{"result":[0.5,0.5]}'
    assert SimpleCodec(sig).encode([{"y": one}, {"y": one}], False) == b'{"result":[0.5,0.5]}'


@pytest.mark.parametrize(
    "sig",
    [
        signature([("x", "INT64", [-1, -1])], [("y", "FP32", [-1, -1])]),
        signature(
            [("x", "INT64", [-1, -1], [None, "seq"])], [("y", "FP32", [-1, -1], [None, "seq"])]
        ),
        signature(
            [("x", "INT64", [-1, -1], [None, "seq"])], [("y", "FP32", [-1, -1], [None, "dim"])]
        ),
        signature([("x", "FP32", [-1, 3])], [("y", "FP32", [-1, -1])]),
        signature([("x", "BYTES", [-1])], [("y", "FP32", [-1, 2])]),
    ],
    ids=["unnamed", "named", "another name", "no free input", "another size"],
)
def test_what_is_not_fixed_at_one_value_stays_a_list(sig):
    assert encode(sig, {"y": ([[0.5]], "f4")}, True) == [0.5]
    assert encode(sig, {"y": ([[0.5]], "f4")}, False) == [[0.5]]


def test_several_outputs_make_an_object_for_each_example():
    sig = signature(
        [("x", "FP32", [-1, 3])], [("label", "INT64", [-1]), ("scores", "FP32", [-1, 2])]
    )
    outputs = {"label": ([1, 0], "i8"), "scores": ([[0.25, 0.75], [1, 0]], "f4")}

    assert encode(sig, outputs, False) == [
        {"label": 1, "scores": [0.25, 0.75]},
        {"label": 0, "scores": [1.0, 0.0]},
    ]
    single = {"label": ([1], "i8"), "scores": ([[0.25, 0.75]], "f4")}
    assert encode(sig, single, True) == {"label": 1, "scores": [0.25, 0.75]}
    assert encode(sig, {"scores": single["scores"]}, True) == [0.25, 0.75]


def test_texts_and_not_a_number_are_written():
    sig = signature([("x", "FP32", [-1, 3])], [("y", "BYTES", [-1, 2])])

    assert encode(sig, {"y": ([[b"cat", b"dog"]], object)}, True) == ["cat", "dog"]
    assert encode(NUMBER, {"y": ([[b"cat"]], object)}, True) == "cat"
    assert encode(NUMBER, {"y": ([[np.nan]], "f4")}, True) is None


def test_an_unbatched_answer_is_the_tensor_itself():
    sig = signature([("x", "FP32", [2, 2])], [("y", "FP32", [2, 2])], batched=False)

    assert encode(sig, {"y": ([[1, 2], [3, 4]], "f4")}, True) == [[1, 2], [3, 4]]
    assert encode(FIXED, {"y": ([7], "f4")}, True) == 7


MIXED = signature(
    [("a", "FP32", [-1, -1]), ("t", "BYTES", [-1]), ("n", "UINT64", [-1, 2]), ("f", "BOOL", [-1])],
    [("a", "FP32", [-1, -1]), ("t", "BYTES", [-1]), ("n", "UINT64", [-1, 2]), ("f", "BOOL", [-1])],
)


@given(st.data(), st.integers(1, 3), st.booleans())
def test_what_a_client_writes_is_what_is_read(data, batch, single):
    batch = 1 if single else batch
    inputs = {spec.name: data.draw(arrays(spec, batch)) for spec in MIXED.inputs}

    decoded = SimpleCodec(MIXED).decode(results.encode_request(inputs, MIXED, single))
    body = SimpleCodec(MIXED).encode(inputs, single)
    answer = results.decode_response(body, MIXED, single)

    assert decoded.single is single
    for name, array in inputs.items():
        assert decoded.inputs[name].dtype == array.dtype
        np.testing.assert_array_equal(decoded.inputs[name], array)
        np.testing.assert_array_equal(answer[name], array)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["data", "x", "a", "b", "ids", "b64"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("sig", [VECTOR, SCALAR, TOKENS, TWO, COLUMNS, TEXT, FIXED])
@given(data=JSON)
def test_any_json_is_decoded_or_refused(sig, data):
    import json

    for body in (json.dumps(data).encode(), json.dumps({"data": data}).encode()):
        try:
            decoded = SimpleCodec(sig).decode(body)
        except InvalidInput:
            pass
        else:
            for row in decoded.rows or [decoded.inputs]:
                assert set(row) == {spec.name for spec in sig.inputs}


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_politely(body):
    with contextlib.suppress(InvalidInput):
        SimpleCodec(VECTOR).decode(body)


def test_names_of_any_length_are_refused_quickly_and_shortly():
    with pytest.raises(InvalidInput) as caught:
        SimpleCodec(VECTOR).decode(b'{"' + b"ab" * 2_000_000 + b'": 1}')

    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("value", ["1" + "0" * 30, "NaN", "-Infinity", str(2**64)])
def test_a_parameter_that_no_worker_can_be_told_is_refused(value):
    # Beside a bare NaN the lenient parser reads integers of any size.
    body = f'{{"data": [1, 2, NaN], "parameters": {{"k": {value}}}}}'.encode()

    with pytest.raises(InvalidInput, match="'k'"):
        SimpleCodec(signature([("x", "FP32", [-1, 3])])).decode(body)


OPTIONAL = signature(
    [
        ("text", "BYTES", [-1]),
        ("marks", "BYTES", [-1, -1], {"default": ["!"]}),
        ("times", "INT64", [-1, 1], {"default": 2}),
    ]
)
ALL = signature([("a", "BYTES", [-1], {"default": ""}), ("b", "BYTES", [-1], {"default": "-"})])


@pytest.mark.parametrize(
    ("data", "expected", "single"),
    [
        ("hi", {"text": [b"hi"]}, True),
        (["a", "b"], {"text": [b"a", b"b"]}, False),
        ({"text": "hi"}, {"text": [b"hi"]}, True),
        ({"text": "hi", "times": 1}, {"text": [b"hi"], "times": [[1]]}, True),
        ({"text": ["a", "b"]}, {"text": [b"a", b"b"]}, False),
        (
            [{"text": "a"}, {"text": "b", "times": [1]}],
            {"text": [b"a", b"b"], "marks": [[b"!"], [b"!"]], "times": [[2], [1]]},
            False,
        ),
    ],
    ids=["bare", "batch", "named", "two", "columns", "objects"],
)
def test_an_input_that_has_a_default_may_be_left_out(data, expected, single):
    decoded = decode(OPTIONAL, data)

    assert {name: array.tolist() for name, array in decoded.inputs.items()} == expected
    assert decoded.single is single


def test_rows_of_unequal_length_have_the_default_where_it_is_left_out():
    decoded = decode(OPTIONAL, [{"text": "a"}, {"text": "b", "marks": ["?", "?"]}])

    assert [row["marks"].tolist() for row in decoded.rows] == [[[b"!"]], [[b"?", b"?"]]]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, {}), ({"b": "x"}, {"b": [b"x"]}), ("x", {"a": [b"x"]}), (["x", "y"], {"a": [b"x", b"y"]}),
        ([{}, {"a": "x"}], {"a": [b"", b"x"], "b": [b"-", b"-"]}),
    ],
    ids=["nothing", "one", "bare", "batch", "objects"],
)  # fmt: skip
def test_where_every_input_has_a_default(data, expected):
    decoded = decode(ALL, data)

    assert {name: array.tolist() for name, array in decoded.inputs.items()} == expected


@pytest.mark.parametrize("data", [{"times": 1}, [{"times": 1}]], ids=["columns", "objects"])
def test_what_has_no_default_is_missing(data):
    with pytest.raises(InvalidInput, match="'text' is missing"):
        decode(OPTIONAL, data)
