import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.codecs.signatures import signature

from inferd.codecs import numbers
from inferd.codecs.json import loads
from inferd.codecs.numbers import Numbers, read
from inferd.codecs.oip import OIPCodec
from inferd.codecs.simple import SimpleCodec
from inferd.core.errors import InvalidInput
from inferd.core.plan import BatchPlan
from inferd.core.tensor import dtype_named


@pytest.fixture(autouse=True)
def _at_any_size(monkeypatch):
    monkeypatch.setattr(numbers, "LARGE", 0)
    monkeypatch.setattr(numbers, "_FEW", 2)


def plain(value):
    """Return what ``read`` gave as the ordinary parser gives it."""
    if isinstance(value, Numbers):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def found(value):
    return read(json.dumps(value).encode())


@pytest.mark.parametrize("value", [[1, 2, 3], [1.5, 2, 3], [[1, 2], [3, 4]], [[[0.5] * 3] * 2] * 4])
def test_regular_lists_of_numbers_are_read_as_such(value):
    assert isinstance(found(value), Numbers)
    assert found(value).shape == np.array(value).shape
    assert found({"data": value, "id": "a"})["id"] == "a"


@pytest.mark.parametrize(
    "text",
    [
        b"[1, 2, null]", b"[1, true, 3]", b"[[1, 2, 3], [4]]", b"[[1, 2], 3, [4, 5]]", b'[1, "a", 3]',
        b"[[1, 2], [3, [4]]]", b"[1, 2, NaN]", b"[1, 2, 3", b"[1, [2], 3]", b'{"a": [1,2,3], "a": 1}',
        b"[1, 2, 123456789012345678901234567890]", b"[1, 2, 1e999]", b"", b"[[[1,2],[3]],[[4],[5,6]]]",
        b"[[], [1, 2, 3]]", b"\xff\xfe",
    ],
)  # fmt: skip
def test_anything_else_is_left_to_the_ordinary_parser(text):
    assert read(text) is None


leaves = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.none(),
    st.booleans(), st.text(max_size=3),
)  # fmt: skip
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=30,
)  # fmt: skip


@given(values)
def test_what_is_read_is_what_the_ordinary_parser_reads(value):
    text = json.dumps(value).encode()

    got = read(text)

    assert got is None or plain(got) == loads(text)


@given(st.lists(st.lists(st.integers(-(2**63), 2**64 - 1), min_size=3, max_size=3), min_size=1))
def test_integers_are_exact(value):
    got = found(value)

    if got is not None and got.flat.dtype.kind != "f":
        assert got.tolist() == value


@pytest.mark.parametrize(
    ("value", "dtype", "fits"),
    [
        ([1, 2, 3], "int8", True),
        ([1, 2, 300], "int8", False),
        ([1, 2, -3], "uint8", False),
        ([1, 2, 2**64 - 1], "uint64", True),
        ([1, 2, 2**64 - 1], "int64", False),
        ([1, 2, 2**53 + 1], "int64", True),
        ([1.0, 2.0, 3.0], "int64", False),
        ([1, 2, 3], "float32", True),
        ([1.5, 2, 1e39], "float32", False),
        ([1.5, 2, 1e39], "float64", True),
        ([1.5, 2, 70000], "float16", False),
        ([1, 2, 3], "bool", False),
        ([1, 2, 3], "bytes", False),
    ],
)
def test_an_array_is_given_where_every_value_fits(value, dtype, fits):
    array = found(value).array(dtype_named(dtype))

    assert (array is not None) == fits
    if fits:
        assert array.tolist() == value and array.dtype == dtype_named(dtype).numpy


def test_small_bodies_are_read_the_ordinary_way(monkeypatch):
    monkeypatch.setattr(numbers, "LARGE", 100)

    assert read(b"[1, 2, 3]") is None


def test_a_narrow_table_of_many_rows_is_left(monkeypatch):
    monkeypatch.setattr(numbers, "_ROWS", 3)

    assert found([[1, 2]] * 3).shape == (3, 2)
    assert found([[1, 2]] * 4) is None


FLOATS = signature([("x", "FP32", [-1, 3])])
WHOLE = signature([("x", "INT64", [2, 3])], batched=False)
FREE = signature([("x", "FP64", [-1, -1])])
rows = st.lists(
    st.lists(st.one_of(st.integers(-3, 3), st.floats(-1, 1), st.none()), min_size=2, max_size=4),
    min_size=1, max_size=4,
)  # fmt: skip


def outcome(decode, body, monkeypatch, *, quick):
    monkeypatch.setattr(numbers, "LARGE", 0 if quick else 1 << 30)
    try:
        decoded = decode(body)
    except InvalidInput as error:
        return error.message, error.help
    tensors = decoded.inputs if decoded.inputs is not None else decoded.rows
    rows = tensors if isinstance(tensors, list) else [tensors]
    return [
        {k: (a.dtype, a.shape, str(a.tolist())) for k, a in r.items()} for r in rows
    ], decoded.single


@pytest.mark.parametrize("sig", [FLOATS, WHOLE, FREE], ids=["rows", "whole", "free"])
@pytest.mark.parametrize("split", [False, True])
@given(data=rows, alone=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_dialects_read_the_same_either_way(monkeypatch, sig, split, data, alone):
    plan = BatchPlan(split=split)
    value = data[0] if alone else data
    dtype = sig.inputs[0].dtype.name
    tensor = {"name": "x", "datatype": dtype, "shape": [len(data), len(data[0])], "data": value}
    for codec, request in (
        (SimpleCodec(sig, plan), {"data": value}),
        (SimpleCodec(sig, plan), {"data": {"x": value}, "outputs": ["y"], "parameters": {"a": 1}}),
        (OIPCodec(sig, plan), {"id": "a", "inputs": [tensor]}),
    ):
        body = json.dumps(request).encode()
        quick = outcome(codec.decode, body, monkeypatch, quick=True)
        assert quick == outcome(codec.decode, body, monkeypatch, quick=False)
