"""Values to tensors. The same rules as the simple dialect's, which is asked as well."""

import contextlib
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.codecs.signatures import arrays, signature

from inferd.client.given import to_tensors
from inferd.codecs.simple import SimpleCodec
from inferd.core.errors import InvalidInput
from inferd.core.signature import Signature
from inferd.core.tensor import DTYPES

ROWS = signature([("x", "FP32", [-1, 4])])
NUMBER = signature([("x", "FP32", [-1])])
ONE = signature([("x", "INT64", [-1, 1])])
TEXT = signature([("t", "BYTES", [-1])])
PAIR = signature([("age", "INT64", [-1, 1]), ("city", "BYTES", [-1])])
FIXED = signature([("g", "FP64", [2, 3])], [("y", "FP64", [2])], batched=False)
SPARED = signature(
    [
        ("scale", "FP32", [-1], {"default": 1}),
        ("x", "FP32", [-1, 4]),
        ("n", "INT8", [-1], {"default": 2}),
    ]
)
NOTHING = Signature((), ())


def one(value, sig):
    given = to_tensors(value, sig)
    ((_, array),) = given.tensors.items()
    return array, given.single


@pytest.mark.parametrize(
    ("sig", "value", "shape", "single"),
    [
        (ROWS, [1, 2, 3, 4], (1, 4), True),
        (ROWS, [[1, 2, 3, 4]], (1, 4), False),
        (ROWS, np.ones((3, 4)), (3, 4), False),
        (ROWS, (1, 2.5, np.float32(3), 4), (1, 4), True),
        (ROWS, [np.ones(4), np.zeros(4)], (2, 4), False),
        (ROWS, {"x": [1, 2, 3, 4]}, (1, 4), True),
        (NUMBER, 7, (1,), True),
        (NUMBER, np.float64(7), (1,), True),
        (NUMBER, [7, 8], (2,), False),
        (ONE, 7, (1, 1), True),
        (ONE, [7], (1, 1), True),
        (ONE, [[7], [8]], (2, 1), False),
        (TEXT, "a", (1,), True),
        (TEXT, ["a", b"b"], (2,), False),
        (TEXT, np.array(["a", "b"]), (2,), False),
        (FIXED, np.ones((2, 3)), (2, 3), False),
        (FIXED, [[1, 2, 3], [4, 5, 6]], (2, 3), False),
    ],
    ids=str,
)
def test_the_rank_says_whether_it_is_an_example_or_a_batch(sig, value, shape, single):
    array, found = one(value, sig)

    assert array.shape == shape
    assert found is single
    assert array.dtype == sig.inputs[0].dtype.numpy


def test_a_value_without_a_name_is_for_the_only_input_that_has_no_default():
    given = to_tensors([1, 2, 3, 4], SPARED)
    table = to_tensors(pd.DataFrame(np.ones((2, 4))), SPARED)

    assert list(given.tensors) == ["x"] and given.single
    assert table.tensors["x"].shape == (2, 4)


@pytest.mark.parametrize(
    ("sig", "value", "said"),
    [
        (ROWS, [1, 2], r"must have shape \[4\], got \[2\]"),
        (ROWS, np.ones((2, 2, 4)), r"an example is \[4\]; a batch is \[any, 4\]; got \[2, 2, 4\]"),
        (ROWS, [1, 2, 3, "4"], "must be a number"),
        (ROWS, [1, 2, 3, True], "must be a number"),
        (ROWS, [[1, 2, 3, 4], [1]], "has 1 values where"),
        (ROWS, [np.ones(4), np.ones(3)], "unequal shape"),
        (ROWS, np.array([True] * 4), "takes FP32; the array holds bool"),
        (ROWS, np.array([1e300] * 4), "out of range"),
        (ROWS, "text", "must be a number"),
        (NUMBER, None, "has no value"),
        (ROWS, {"y": 1}, "no input named 'y'"),
        (ONE, 1.5, "must be an integer"),
        (ONE, np.array([1.5]), "takes INT64; the array holds float64"),
        (ONE, np.array([[2**63]], np.uint64), "out of range"),
        (TEXT, 1, "must be text or bytes"),
        (TEXT, ["a", None], "must be text or bytes"),
        (TEXT, "\ud800", "cannot be sent"),
        (TEXT, np.zeros((4, 4, 3), np.uint8), "takes texts or bytes; the array holds uint8"),
        (PAIR, [1, "a"], "takes 2 inputs"),
        (PAIR, {"age": 1, "city": ["a", "b"]}, "one example and input 'city' is a batch"),
        (PAIR, {"age": [[1]], "city": ["a", "b"]}, "holds 1 examples, input 'city' holds 2"),
        (FIXED, [1, 2, 3], r"an example is \[2, 3\]; got \[3\]"),
        (NOTHING, [1], "does not say what the model takes"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(sig, value, said):
    with pytest.raises(InvalidInput, match=said):
        to_tensors(value, sig)


def test_objects_are_a_batch():
    rows = [{"age": 1, "city": "A"}, {"age": [2], "city": b"B"}]
    found = to_tensors(rows, PAIR)

    assert found.tensors["age"].tolist() == [[1], [2]]
    assert found.tensors["city"].tolist() == [b"A", b"B"]
    assert not found.single
    with pytest.raises(InvalidInput, match="every row"):
        to_tensors([{"age": 1, "city": "A"}, {"age": 1}], PAIR)
    with pytest.raises(InvalidInput, match="takes no batch"):
        to_tensors([{"g": np.ones((2, 3))}], FIXED)


def test_an_input_left_out_is_the_servers_affair():
    assert list(to_tensors({"age": 1}, PAIR).tensors) == ["age"]


def test_arrays_that_fit_are_not_copied():
    array = np.ones((5, 4), np.float32)

    assert np.shares_memory(one(array, ROWS)[0], array)


def test_inputs_that_nothing_declares_go_as_they_are(tmp_path):
    (tmp_path / "f").write_bytes(b"data")
    found = to_tensors({"a": [1, 2], "b": "text", "c": tmp_path / "f"}, NOTHING)

    assert found.tensors["a"].tolist() == [1, 2]
    assert found.tensors["b"][()] == b"text"
    assert found.tensors["c"][()] == b"data"


def test_what_is_no_utf8_and_no_array_is_refused():
    with pytest.raises(InvalidInput, match="input 'x'"):
        to_tensors(object(), ROWS)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_lists_become_what_the_simple_dialect_makes_of_them(dtype, data):
    sig = signature([("x", dtype.name, [-1, 2, -1])])
    array = data.draw(arrays(sig.inputs[0], batch=data.draw(st.integers(1, 3))))
    value = (
        array.tolist()
        if dtype.name != "BYTES"
        else np.vectorize(bytes.decode, otypes=[object])(array).tolist()
    )
    value = value[0] if data.draw(st.booleans()) else value
    if dtype.name == "FP16":  # JSON's numbers are wider
        expected = np.asarray(value, np.float16)
        found, _ = one(value, sig)
        assert np.array_equal(found.reshape(expected.shape), expected)
        return
    expected = SimpleCodec(sig).decode(orjson.dumps({"data": value}))
    found, single = one(value, sig)

    assert single is expected.single
    assert np.array_equal(found, expected.inputs["x"])
    assert found.dtype == expected.inputs["x"].dtype


@settings(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3), lambda v: st.lists(v, max_size=3), max_leaves=8))  # fmt: skip
def test_nothing_but_invalid_input_is_raised(value):
    for sig in (ROWS, NUMBER, ONE, TEXT, PAIR, FIXED):
        with contextlib.suppress(InvalidInput):
            to_tensors(value, sig)


def test_a_table_by_name_or_as_features():
    pandas = pytest.importorskip("pandas")
    people = pandas.DataFrame({"city": ["A", "B"], "age": [1, 2]}, index=[7, 9])
    found = to_tensors(people, PAIR)

    assert found.tensors["age"].tolist() == [[1], [2]]
    assert found.tensors["city"].tolist() == [b"A", b"B"]
    assert list(found.index) == [7, 9]
    assert not found.single
    features = to_tensors(pandas.DataFrame(np.arange(8).reshape(2, 4)), ROWS)
    assert features.tensors["x"].dtype == np.float32
    assert features.tensors["x"].shape == (2, 4)
    one_row = to_tensors(people[:1], PAIR)
    assert not one_row.single
    with pytest.raises(InvalidInput, match="columns city, age, x; the model takes age, city"):
        to_tensors(people.assign(x=1), PAIR)


def test_a_column_is_a_batch_even_of_one():
    pandas = pytest.importorskip("pandas")

    assert one(pandas.Series([5]), ONE)[0].shape == (1, 1)
    assert one(pandas.Series([5]), ONE)[1] is False
    assert one(pandas.Series([1, 2]), NUMBER)[0].tolist() == [1, 2]
    assert one(pandas.Series([1, None, 3]), NUMBER)[0].tolist()[2] == 3
    assert np.isnan(one(pandas.Series([1, None], dtype="Int64"), NUMBER)[0][1])
    assert one(pandas.Series(["a", "b"]), TEXT)[0].tolist() == [b"a", b"b"]
    assert one(pandas.Series(["a", "b"], dtype="category"), TEXT)[0].tolist() == [b"a", b"b"]
    assert one(pandas.Series([1, 2, 3, 4]), ROWS)[1] is True, "a row of features"
    assert list(to_tensors({"x": pandas.Series([1], index=["i"])}, NUMBER).index) == ["i"]


def test_a_missing_text_is_refused():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(InvalidInput, match="must be text or bytes"):
        to_tensors(pandas.Series(["a", None]), TEXT)


def test_paths_are_read(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.ones(4))
    (tmp_path / "t.txt").write_text("hallo")

    assert one(tmp_path / "a.npy", ROWS)[0].shape == (1, 4)
    assert one([tmp_path / "t.txt"] * 2, TEXT)[0].tolist() == [b"hallo"] * 2
