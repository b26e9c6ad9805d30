"""The binary form of infer requests and responses."""

import contextlib
import json

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.codecs.signatures import signature

from inferd.codecs.oip import OIPCodec, SplitCodec
from inferd.codecs.rawtensor import BF16, to_raw
from inferd.core.errors import InvalidInput, Unsupported

VECTOR = signature([("x", "FP32", [-1, 2])], [("y", "FP32", [-1, 1]), ("z", "INT64", [-1])])


def binary(parts, tail, names=("x",), **more):
    """Return a body in the binary form: entries of (shape, datatype, size), and what follows."""
    entries = [
        {"name": n, "shape": s, "datatype": d, "parameters": {"binary_data_size": b}}
        for n, (s, d, b) in zip(names, parts, strict=True)
    ]
    head = json.dumps({"inputs": entries, **more}).encode()
    return head + tail, len(head)


def test_a_tensor_in_binary_is_a_view_of_the_body():
    sent, size = binary([([2, 2], "FP32", 16)], np.float32([1, 2, 3, 4]).tobytes())
    buffer = bytearray(sent)

    array = OIPCodec(VECTOR).decode(memoryview(buffer), size).inputs["x"]

    assert array.tolist() == [[1, 2], [3, 4]]
    assert np.shares_memory(array, np.frombuffer(buffer, np.uint8))


def test_tensors_in_binary_follow_in_the_order_of_their_entries_json_ones_between():
    sig = signature([("a", "UINT8", [-1]), ("b", "UINT8", [-1]), ("c", "UINT8", [-1])])
    entries = [
        {"name": "c", "shape": [2], "datatype": "UINT8", "parameters": {"binary_data_size": 2}},
        {"name": "b", "shape": [2], "datatype": "UINT8", "data": [7, 8]},
        {"name": "a", "shape": [2], "datatype": "UINT8", "parameters": {"binary_data_size": 2}},
    ]
    head = json.dumps({"inputs": entries}).encode()

    inputs = OIPCodec(sig).decode(head + b"\1\2\3\4", len(head)).inputs

    assert {name: a.tolist() for name, a in inputs.items()} == {
        "a": [3, 4],
        "b": [7, 8],
        "c": [1, 2],
    }


def test_bf16_is_taken_for_fp32_in_binary():
    sent, size = binary([([1, 2], "BF16", 4)], to_raw(np.float32([1.5, -2]), BF16))

    array = OIPCodec(VECTOR).decode(sent, size).inputs["x"]

    assert (array.dtype, array.tolist()) == (np.float32, [[1.5, -2]])


@pytest.mark.parametrize(
    ("part", "tail", "message"),
    [
        (([1, 2], "FP32", 8), bytes(7), "takes 8 bytes of the binary part, 7 are left"),
        (([1, 2], "FP32", 8), bytes(9), "1 bytes of the binary part belong to no tensor"),
        (([1, 2], "FP32", 4), bytes(4), "takes 8 bytes as FP32"),
        (([1, 2], "FP16", 4), bytes(4), "takes FP32, got FP16"),
        (([1, 2], "INT32", 8), bytes(8), "takes FP32, got INT32"),
        (([1, 3], "FP32", 12), bytes(12), "must have shape"),
    ],
)
def test_binary_parts_that_do_not_fit_are_refused(part, tail, message):
    with pytest.raises(InvalidInput, match=message):
        OIPCodec(VECTOR).decode(*binary([part], tail))


def test_a_binary_size_without_a_binary_part_is_refused():
    with pytest.raises(InvalidInput, match="the body has no binary part"):
        OIPCodec(VECTOR).decode(binary([([1, 2], "FP32", 8)], b"")[0])


@pytest.mark.parametrize(
    ("row", "batched", "raw", "shape"),
    [
        (("x", "FP32", [-1, 2]), True, bytes(8), (1, 2)),
        (("x", "FP32", [-1, 3, -1]), True, bytes(24), (1, 3, 2)),
        (("x", "FP32", [-1]), True, bytes(4), (1,)),
        (("x", "FP32", [-1, -1]), True, b"", (1, 0)),
        (("x", "FP32", [-1, 2]), False, bytes(16), (2, 2)),
    ],
    ids=["fixed", "one free axis", "scalar", "empty", "not batched"],
)
def test_a_body_without_a_json_part_is_one_example(row, batched, raw, shape):
    decoded = OIPCodec(signature([row], batched=batched)).decode(raw, 0)

    assert decoded.inputs["x"].shape == shape
    assert decoded.form["binary"] == ["y"]


@pytest.mark.parametrize("shape", [[-1], [-1, 1], [-1, -1]], ids=str)
def test_a_text_without_a_json_part_is_the_body(shape):
    decoded = OIPCodec(signature([("t", "BYTES", shape)])).decode(memoryview(b"\1\0\0\0a"), 0)

    assert decoded.inputs["t"].ravel().tolist() == [b"\1\0\0\0a"]
    assert decoded.inputs["t"].ndim == len(shape)


@pytest.mark.parametrize(
    ("inputs", "raw", "message"),
    [
        ([("a", "FP32", [-1]), ("b", "FP32", [-1])], bytes(8), "this one takes 2"),
        ([("x", "FP32", [-1, -1, -1])], bytes(8), "more than one free axis"),
        ([("x", "FP32", [-1, 2])], bytes(12), "takes 8 bytes"),
        ([("x", "FP32", [-1, 3, -1])], bytes(16), "takes 12 bytes"),
        ([("t", "BYTES", [-1, 2])], b"a", "is one text"),
    ],
    ids=["two inputs", "two free axes", "too long", "a part of a row", "two texts"],
)
def test_a_body_without_a_json_part_must_be_clear(inputs, raw, message):
    with pytest.raises(InvalidInput, match=message):
        OIPCodec(signature(inputs)).decode(raw, 0)


def test_outputs_in_binary_follow_the_json_part():
    outputs = {"y": np.float32([[0.1], [np.nan]]), "z": np.array([2**53 + 1, -1])}
    form = {"binary": ["z"], "classes": {}}

    body, media, headers = OIPCodec(VECTOR).encode(outputs, False, "a1", "m", "2", form)

    size = int(dict(headers)[b"Inference-Header-Content-Length"])
    assert media == b"application/octet-stream"
    assert orjson.loads(body[:size])["outputs"] == [
        {"name": "y", "datatype": "FP32", "shape": [2, 1], "data": [pytest.approx(0.1), None]},
        {"name": "z", "datatype": "INT64", "shape": [2], "parameters": {"binary_data_size": 16}},
    ]
    assert body[size:] == outputs["z"].tobytes()


def test_a_split_codec_knows_the_size_of_the_json_part():
    sent, size = binary([([1, 2], "FP32", 8)], bytes(8))

    assert SplitCodec(OIPCodec(VECTOR), size).decode(sent).inputs["x"].tolist() == [[0, 0]]


@given(st.binary(max_size=60), st.integers(0, 70))
def test_any_bytes_are_decoded_or_refused(sent, size):
    with contextlib.suppress(InvalidInput, Unsupported):
        OIPCodec(VECTOR).decode(sent, size)


ANY = (
    st.none() | st.integers(-3, 10) | st.text(max_size=2) | st.lists(st.integers(-1, 4), max_size=3)
)


@given(st.binary(max_size=30), ANY, ANY, st.integers(-1, 1))
def test_any_binary_tensor_is_decoded_or_refused(tail, shape, size, off):
    sent, length = binary([(shape, "FP32", size)], tail)

    with contextlib.suppress(InvalidInput, Unsupported):
        OIPCodec(VECTOR).decode(sent, length + off)
