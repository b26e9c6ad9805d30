import contextlib
import json

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.codecs.signatures import signature

from inferd.codecs.generate import GenerateCodec
from inferd.core.errors import InvalidInput, Unsupported

TEXT = signature([("text_input", "BYTES", [-1])], [("text_output", "BYTES", [-1])])
MIXED = signature(
    [("s", "FP32", [-1]), ("v", "INT64", [-1, -1]), ("t", "BYTES", [-1, 1])],
    [("y", "FP32", [-1, 1]), ("z", "INT64", [-1, -1])],
)


def decode(sig, value):
    return GenerateCodec(sig).decode(json.dumps(value).encode())


def test_a_text_and_its_parameters():
    decoded = decode(
        TEXT,
        {"text_input": "hello", "parameters": {"stream": False}, "temperature": 0.5, "id": "7"},
    )

    assert decoded.inputs["text_input"].tolist() == [b"hello"]
    assert decoded.parameters == {"stream": False, "temperature": 0.5}
    assert (decoded.id, decoded.single) == ("7", True)


def test_values_become_one_row_each():
    inputs = decode(MIXED, {"t": "a", "v": [1, 2, 3], "s": 0.5}).inputs

    assert {n: (a.dtype.kind, a.shape) for n, a in inputs.items()} == {
        "s": ("f", (1,)), "v": ("i", (1, 3)), "t": ("O", (1, 1)),
    }  # fmt: skip
    assert inputs["v"].tolist() == [[1, 2, 3]]


def test_a_list_of_one_is_a_bare_value():
    assert decode(MIXED, {"t": ["a"], "v": [1], "s": [0.5]}).inputs["s"].tolist() == [0.5]


def test_a_model_without_a_batch_gets_its_value_as_it_is():
    sig = signature([("x", "FP32", [2])], [("y", "FP32", [2])], batched=False)

    assert decode(sig, {"x": [1, 2]}).inputs["x"].tolist() == [1, 2]
    assert GenerateCodec(sig).encode({"y": np.float32([1, 2])}, True, None, "m", "1") == (
        b'{"model_name":"m","model_version":"1","y":[1.0,2.0]}'
    )


def test_schedule_parameters_are_taken_out():
    decoded = decode(TEXT, {"text_input": "a", "parameters": {"priority": 1, "timeout": 1000}})

    assert (decoded.priority, decoded.timeout, decoded.parameters) == (1, 0.001, {})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "must be an object"),
        ({}, "input 'text_input' is missing"),
        ({"text": "a"}, "input 'text_input' is missing"),
        ({"text_input": 5}, "must be a text"),
        ({"text_input": ["a", "b"]}, "nested too deep|must be a text"),
        ({"text_input": "a", "id": 5}, '"id" must be a string'),
        (
            {"text_input": "a", "k": [{}]},
            "'k' must be a string, a number, a boolean or a list of these",
        ),
        ({"text_input": "a", "parameters": [1]}, "must be an object"),
        ({"text_input": "a", "triton_k": 1}, "is not known"),
    ],
)
def test_what_does_not_fit_is_refused(value, message):
    with pytest.raises(InvalidInput, match=message):
        decode(TEXT, value)


def test_an_answer_is_flat():
    outputs = {"y": np.float32([[0.1]]), "z": np.array([[1, 2**53 + 1]])}

    assert GenerateCodec(MIXED).encode(outputs, True, "7", "m", "2") == (
        b'{"id":"7","model_name":"m","model_version":"2","y":0.1,"z":[1,9007199254740993]}'
    )


def test_a_text_is_a_string():
    output = {"text_output": np.array([b"caf\xc3\xa9"], object)}

    answer = orjson.loads(GenerateCodec(TEXT).encode(output, True, None, "m", "1"))

    assert answer["text_output"] == "café"


def test_bytes_that_are_no_text_are_unsupported():
    with pytest.raises(Unsupported, match="not UTF-8"):
        GenerateCodec(TEXT).encode({"text_output": np.array([b"\xff"], object)})


def texts(*pieces):
    made = GenerateCodec(TEXT).pieces(None, "m", "1")
    found = [made.piece({"text_output": np.array([p], object)})["text_output"] for p in pieces]
    return found, made.rest()


def test_a_character_cut_in_two_is_held_back_until_it_is_whole():
    assert texts(b"caf\xc3", b"\xa9!") == (["caf", "é!"], None)


def test_what_never_becomes_a_character_is_replaced():
    assert texts(b"a\xff", b"\xe2\x82") == (
        ["a\ufffd", ""], {"model_name": "m", "model_version": "1", "text_output": "\ufffd"},
    )  # fmt: skip


def test_pieces_of_numbers_are_written_as_they_come():
    made = GenerateCodec(MIXED).pieces("7", "m", "1")

    assert orjson.loads(orjson.dumps(made.piece({"z": np.array([[1, 2]])}), option=orjson.OPT_SERIALIZE_NUMPY)) == {
        "id": "7", "model_name": "m", "model_version": "1", "z": [1, 2],
    }  # fmt: skip


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.fixed_dictionaries({"s": JSON, "v": JSON, "t": JSON}, optional={"parameters": JSON}))
def test_any_object_is_decoded_or_refused(value):
    with contextlib.suppress(InvalidInput):
        decode(MIXED, value)


def test_an_input_that_has_a_default_may_be_left_out():
    sig = signature([("prompt", "BYTES", [-1], {"default": ""}), ("mark", "BYTES", [-1])])

    assert list(decode(sig, {"mark": "!", "top_k": 2}).inputs) == ["mark"]
    with pytest.raises(InvalidInput, match="'mark' is missing"):
        decode(sig, {"prompt": "hi"})
