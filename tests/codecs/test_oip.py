import contextlib
import json

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.codecs.signatures import signature

from inferd.codecs.oip import OIPCodec
from inferd.core.errors import InvalidInput, Unsupported
from inferd.core.message import ADMITTED, HIGH, NORMAL
from inferd.core.plan import BatchPlan

VECTOR = signature([("x", "FP32", [-1, 2])], [("y", "FP32", [-1, 1]), ("z", "INT64", [-1])])
TWO = signature([("a", "FP32", [-1, 1]), ("b", "INT64", [-1, 1])])


def body(data=((1, 2),), shape=(1, 2), datatype="FP32", name="x", tensor=None, **more):
    entry = {
        "name": name,
        "shape": list(shape),
        "datatype": datatype,
        "data": data,
        **(tensor or {}),
    }
    return json.dumps({"inputs": [entry], **more}).encode()


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        ([1, 2, 3, 4], (2, 2)),
        ([[1, 2], [3, 4]], (2, 2)),
        ([[[1, 2], [3, 4]]], (2, 2)),
        ([1, 2], (1, 2)),
        ([], (0, 2)),
    ],
    ids=["flat", "nested", "with an axis of one", "one row", "no rows"],
)
def test_values_are_row_major_nested_or_flat(data, shape):
    array = OIPCodec(VECTOR).decode(body(data, shape)).inputs["x"]

    assert array.dtype == np.float32
    assert array.shape == shape
    assert array.ravel().tolist() == list(np.ravel(data))


def test_null_and_bare_tokens_are_floats():
    array = OIPCodec(VECTOR).decode(body([None, float("nan"), float("inf"), 1], (2, 2))).inputs["x"]

    np.testing.assert_array_equal(array, np.float32([[np.nan, np.nan], [np.inf, 1]]))


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"[]", "must be an object"),
        (b"{}", "must be a list"),
        (b'{"inputs":[]}', "input 'x' is missing"),
        (b'{"inputs":[5]}', r"inputs\[0\] must be an object"),
        (b'{"inputs":[{}]}', '"name" must be a string'),
        (body(name="X1"), "no input named 'X1'"),
        (body(id=5), '"id" must be a string'),
        (body(datatype="FP64"), "takes FP32, got FP64"),
        (body(datatype="FP16"), "takes FP32, got FP16"),
        (body(datatype="BF16"), "BF16 has no JSON form"),
        (body(datatype="fp32"), "unknown datatype 'fp32'"),
        (body(datatype=None), '"datatype" must be a string'),
        (body(shape=(-1, 2)), "none free"),
        (body(shape=(1.0, 2)), "list of sizes"),
        (body(shape=(True, 2)), "list of sizes"),
        (body(shape=(2,)), r"must have shape \[any, 2\], got \[2\]"),
        (body(shape=(1, 3), data=[1, 2, 3]), r"must have shape \[any, 2\]"),
        (body(shape=(10**15, 2)), "has 2 values for the shape"),
        (body(shape=(3, 2), data=[[1, 2, 3], [4, 5, 6]]), "nested as"),
        (body(data=[[1], [2, 3]]), r"\[1\] has 2 values where .*\[0\] has 1"),
        (body(data=[1, "2"]), "must be a number"),
        (body(data=[1, True]), "must be a number"),
        (body(data=None), 'has no "data"'),
        (body(data=[1, 1e39]), "out of range"),
        (
            body(tensor={"parameters": {"k": None}}),
            "must be a string, a number, a boolean or a list of these",
        ),
        (body(parameters={"k": [[1]]}), "must be a string, a number, a boolean or a list of these"),
        (body(parameters={"priority": -1}), "integer of 0 or more"),
        (body(parameters={"timeout": "1"}), "integer of 0 or more"),
        (body(outputs=5), '"outputs" must be a list'),
        (body(outputs=[5]), '"name" must be a string'),
        (body(outputs=[{"name": "w"}]), "no output named 'w'"),
        (body(outputs=[{"name": "y"}, {"name": "y"}]), "asked for twice"),
    ],
)
def test_what_the_protocol_does_not_allow_is_refused(sent, message):
    with pytest.raises(InvalidInput, match=message):
        OIPCodec(VECTOR).decode(sent)


def test_an_input_given_twice_is_refused():
    entry = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}

    with pytest.raises(InvalidInput, match="given twice"):
        OIPCodec(VECTOR).decode(orjson.dumps({"inputs": [entry, entry]}))


def test_inputs_must_agree_on_the_batch():
    a = {"name": "a", "shape": [2, 1], "datatype": "FP32", "data": [1, 2]}
    b = {"name": "b", "shape": [1, 1], "datatype": "INT64", "data": [1]}

    with pytest.raises(InvalidInput, match="'a' has a batch of 2 and input 'b' one of 1"):
        OIPCodec(TWO).decode(orjson.dumps({"inputs": [b, a][::-1]}))


def test_shared_memory_is_unsupported():
    given = {"parameters": {"shared_memory_region": "r"}}

    for sent in (body(tensor=given), body(outputs=[{"name": "y", **given}]), body(**given)):
        with pytest.raises(Unsupported, match="not offered"):
            OIPCodec(VECTOR).decode(sent)


@pytest.mark.parametrize(
    ("outputs", "form", "raw"),
    [
        ([{"name": "z"}], None, False),
        ([{"name": "z", "parameters": {"binary_data": False}}], None, False),
        (
            [{"name": "z", "parameters": {"binary_data": True}}],
            {"binary": ["z"], "classes": {}},
            True,
        ),
        (
            [{"name": "z", "parameters": {"binary_data": True}}, {"name": "y"}],
            {"binary": ["z"], "classes": {}},
            False,
        ),
        (
            [{"name": "y", "parameters": {"classification": 2}}],
            {"binary": [], "classes": {"y": 2}, "labels": ["cat", "dog"]},
            False,
        ),
    ],
    ids=["plain", "not binary", "binary", "mixed", "classes"],
)
def test_how_outputs_are_wanted_is_kept(outputs, form, raw):
    decoded = OIPCodec(VECTOR, labels=("cat", "dog")).decode(body(outputs=outputs))

    assert decoded.outputs == tuple(o["name"] for o in outputs)
    assert (decoded.form, decoded.raw) == (form, raw)


@pytest.mark.parametrize(
    ("said", "binary"),
    [(None, ["y", "z"]), (False, ["z"]), (True, ["y", "z"])],
    ids=["unsaid", "no", "yes"],
)
def test_an_output_says_better_than_the_request_whether_it_is_binary(said, binary):
    y = {"name": "y"} if said is None else {"name": "y", "parameters": {"binary_data": said}}
    sent = body(parameters={"binary_data_output": True}, outputs=[y, {"name": "z"}])

    decoded = OIPCodec(VECTOR).decode(sent)

    assert decoded.form["binary"] == binary
    assert decoded.parameters == {}
    assert decoded.outputs is None


def test_all_outputs_may_be_wanted_in_binary():
    decoded = OIPCodec(VECTOR).decode(body(parameters={"binary_data_output": True}))

    assert (decoded.form["binary"], decoded.raw, decoded.outputs) == (["y", "z"], True, None)


def test_classes_take_the_place_of_an_output():
    form = {"binary": [], "classes": {"y": 2}}
    codec = OIPCodec(VECTOR, labels=["cat", "dog", "cow"])

    answer = codec.encode({"y": np.float32([[0.1, 0.5, 0.4]])}, False, form=form)

    assert orjson.loads(answer)["outputs"] == [
        {"name": "y", "datatype": "BYTES", "shape": [1, 2], "data": ["0.5:1:dog", "0.4:2:cow"]}
    ]


@pytest.mark.parametrize(
    "given",
    [{"triton_enable_empty_final_response": True}, {"triton_x": 1}],
    ids=["known elsewhere", "unknown"],
)
def test_reserved_parameters_are_refused(given):
    with pytest.raises(InvalidInput, match="is not known"):
        OIPCodec(VECTOR).decode(body(parameters=given))


@pytest.mark.parametrize(
    "sent",
    [
        body(parameters={"binary_data_output": 1}),
        body(outputs=[{"name": "y", "parameters": {"binary_data": "yes"}}]),
        body(outputs=[{"name": "y", "parameters": {"classification": -1}}]),
        body(outputs=[{"name": "y", "parameters": {"classification": True}}]),
        body(outputs=[{"name": "y", "parameters": {"classification": 1.5}}]),
    ],
)
def test_parameters_of_another_kind_are_refused(sent):
    with pytest.raises(InvalidInput, match="must be"):
        OIPCodec(VECTOR).decode(sent)


def test_parameters_of_sequences_are_the_models():
    given = {"sequence_id": 5, "sequence_start": True, "sequence_end": False}

    assert OIPCodec(VECTOR).decode(body(parameters=given)).parameters == given


def test_the_envelope_is_read():
    decoded = OIPCodec(VECTOR).decode(
        body(
            id="a1",
            outputs=[{"name": "z", "parameters": {"binary_data": False}}],
            parameters={"priority": 1, "timeout": 250_000, "k": "v"},
            unknown=[1],
        )
    )

    assert (decoded.id, decoded.outputs, decoded.parameters) == ("a1", ("z",), {"k": "v"})
    assert (decoded.priority, decoded.timeout) == (HIGH, 0.25)


@pytest.mark.parametrize(
    ("given", "priority", "timeout"),
    [
        ({"priority": 0, "timeout": 0}, NORMAL, None),
        ({"priority": 7}, NORMAL, None),
        ({"priority": ADMITTED}, NORMAL, None),
        ({}, None, None),
    ],
    ids=["defaults", "lower", "not for clients", "none"],
)
def test_schedule_parameters(given, priority, timeout):
    decoded = OIPCodec(VECTOR).decode(body(parameters=given))

    assert (decoded.priority, decoded.timeout, decoded.parameters) == (priority, timeout, {})


def test_a_response():
    outputs = {"y": np.float32([[0.1], [np.nan]]), "z": np.array([2**53 + 1, -1])}

    assert OIPCodec(VECTOR).encode(outputs, False, "a1", "m", "2") == (
        b'{"model_name":"m","model_version":"2","id":"a1","outputs":['
        b'{"name":"y","datatype":"FP32","shape":[2,1],"data":[0.1,null]},'
        b'{"name":"z","datatype":"INT64","shape":[2],"data":[9007199254740993,-1]}]}'
    )


def test_an_absent_id_stays_absent():
    assert b'"id"' not in OIPCodec(VECTOR).encode({"z": np.array([1])}, False, None, "m", "1")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.float16([1]), "is FP16, which has no JSON form"),
        (np.array([b"\xff"], object), "not UTF-8"),
    ],
    ids=["FP16", "bytes"],
)
def test_outputs_without_a_json_form_are_unsupported(array, message):
    with pytest.raises(Unsupported, match=message):
        OIPCodec(VECTOR).encode({"y": array}, False)


def test_rows_are_put_together_where_they_agree():
    rows = [{"y": np.float32([[1]])}, {"y": np.float32([[2]])}]
    ragged = [{"y": np.float32([[1]])}, {"y": np.float32([[2, 3]])}]

    assert orjson.loads(OIPCodec(VECTOR).encode(rows, False))["outputs"][0]["data"] == [1, 2]
    with pytest.raises(Unsupported, match="rows of unequal shape"):
        OIPCodec(VECTOR).encode(ragged, False)


def test_a_plan_that_splits_gets_single_rows():
    decoded = OIPCodec(VECTOR, BatchPlan(split=True)).decode(body([1, 2, 3, 4], (2, 2)))

    assert decoded.inputs is None
    assert [row["x"].tolist() for row in decoded.rows] == [[[1, 2]], [[3, 4]]]


KEYS = ["inputs", "name", "shape", "datatype", "data", "outputs", "parameters", "id", "x"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10) | st.floats() | st.sampled_from(["x", "FP32"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=15,
)


@given(st.fixed_dictionaries({"inputs": st.lists(st.fixed_dictionaries(
    {"name": st.just("x"), "shape": JSON, "datatype": st.just("FP32"), "data": JSON}
))}, optional={"outputs": JSON, "parameters": JSON, "id": JSON}) | JSON)  # fmt: skip
def test_any_json_is_decoded_or_refused(value):
    with contextlib.suppress(InvalidInput, Unsupported):
        OIPCodec(VECTOR).decode(json.dumps(value).encode())


OPTIONAL = signature(
    [("x", "FP32", [-1, 2]), ("scale", "INT64", [-1], {"default": 2})], [("y", "FP32", [-1, 1])]
)
ALL = signature([("a", "BYTES", [-1], {"default": ""})])


def test_an_input_that_has_a_default_may_be_left_out():
    assert list(OIPCodec(OPTIONAL).decode(body()).inputs) == ["x"]
    assert list(OIPCodec(OPTIONAL).decode(np.ones(2, np.float32).tobytes(), 0).inputs) == ["x"]
    with pytest.raises(InvalidInput, match="input 'x' is missing"):
        OIPCodec(OPTIONAL).decode(body([2], [1], "INT64", "scale"))


@pytest.mark.parametrize("request_", [{}, {"inputs": []}], ids=["none", "empty"])
def test_all_inputs_may_be_left_out_where_all_have_defaults(request_):
    assert OIPCodec(ALL).decode(json.dumps(request_).encode()).inputs == {}
    with pytest.raises(InvalidInput):
        OIPCodec(VECTOR).decode(json.dumps(request_).encode())
