import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.codecs.signatures import signature

from inferd.codecs.csv import CsvCodec
from inferd.core.errors import InvalidInput, UnsupportedMedia
from inferd.core.plan import BatchPlan

VECTOR = signature([("x", "FP32", [-1, 3])])
FREE = signature([("x", "FP64", [-1, -1])])
COLUMNS = signature([("age", "INT64", [-1, 1]), ("city", "BYTES", [-1])])
TEXT = signature([("text", "BYTES", [-1])])
FLAG = signature([("f", "BOOL", [-1])])


@pytest.mark.parametrize(
    ("sig", "body", "expected"),
    [
        (VECTOR, b"1,2,3\n4,5,6\n", {"x": [[1, 2, 3], [4, 5, 6]]}),
        (VECTOR, b"1,2,3", {"x": [[1, 2, 3]]}),
        (VECTOR, b"a,b,c\r\n1,2,3\r\n", {"x": [[1, 2, 3]]}),
        (VECTOR, b'"1","2",  3\n\n', {"x": [[1, 2, 3]]}),
        (VECTOR, b"\xef\xbb\xbf1,2,3", {"x": [[1, 2, 3]]}),
        (FREE, b"1,2\n3,4", {"x": [[1, 2], [3, 4]]}),
        (COLUMNS, b"30,Bonn\n40,Ulm", {"age": [[30], [40]], "city": [b"Bonn", b"Ulm"]}),
        (COLUMNS, b'city,age\n"Bonn, am Rhein",30', {"age": [[30]], "city": [b"Bonn, am Rhein"]}),
        (TEXT, b'good\n"so, so\nla"', {"text": [b"good", b"so, so\nla"]}),
        (TEXT, b"text\ngood", {"text": [b"good"]}),
        (FLAG, b"f\ntrue\n0\n", {"f": [True, False]}),
    ],
)
def test_rows_are_examples(sig, body, expected):
    decoded = CsvCodec(sig).decode(body)

    assert not decoded.single
    assert {name: array.tolist() for name, array in decoded.inputs.items()} == expected
    for spec in sig.inputs:
        assert decoded.inputs[spec.name].dtype == spec.dtype.numpy


def test_an_empty_cell_is_not_a_number():
    assert np.isnan(CsvCodec(VECTOR).decode(b"1,,3").inputs["x"][0, 1])


@pytest.mark.parametrize(
    ("sig", "body", "message"),
    [
        (VECTOR, b"", "no rows"),
        (VECTOR, b"a,b,c\n", "a header and no rows"),
        (VECTOR, b"1,2", "2 columns; input 'x' takes 3"),
        (VECTOR, b"1,2,3\n4,5", "line 2 of the table has 2 cells where line 1 has 3"),
        (VECTOR, b"a,b,c\n1,2,3\n1,x,3", "line 3 of the table: 'x' is no FP32"),
        (VECTOR, b"1,x,3", "line 1 of the table: 'x'"),
        (VECTOR, b"1,1_000,3", "'1_000' is no FP32"),
        (VECTOR, b'1,2,"3', "line 1 of the table"),
        (VECTOR, b"1,2,1e39", "out of range"),
        (VECTOR, b"1,\xff,3", "not UTF-8: bad byte at offset 2"),
        (VECTOR, b"1,2," + b"9" * 200_000, "field larger"),
        (COLUMNS, b"age,town\n30,Bonn", "column 'town' is no input"),
        (COLUMNS, b"age,age\n30,31", "2 columns for 2 inputs"),
        (COLUMNS, b"30", "1 columns for 2 inputs"),
        (COLUMNS, b"30.5,Bonn", "'30.5' is no INT64"),
        (FLAG, b"2", "'2' is no BOOL"),
    ],
)
def test_bad_tables_are_refused_with_the_line(sig, body, message):
    with pytest.raises(InvalidInput, match=message):
        CsvCodec(sig).decode(body)


@pytest.mark.parametrize(
    "sig",
    [
        signature([("x", "FP32", [-1, 2, 2])]),
        signature([("x", "BYTES", [-1], "image")]),
        signature([("x", "FP32", [3])], batched=False),
        signature([("a", "FP32", [-1, 2]), ("b", "FP32", [-1])]),
    ],
    ids=["rank", "image", "unbatched", "two vectors"],
)
def test_models_whose_examples_are_no_rows(sig):
    with pytest.raises(UnsupportedMedia, match="one row of values"):
        CsvCodec(sig).decode(b"1,2,3")


def test_a_plan_that_splits_gets_single_rows():
    decoded = CsvCodec(VECTOR, BatchPlan(split=True)).decode(b"1,2,3\n4,5,6")

    assert [row["x"].tolist() for row in decoded.rows] == [[[1, 2, 3]], [[4, 5, 6]]]


@given(st.binary(max_size=60), st.sampled_from([VECTOR, COLUMNS, TEXT, FLAG]))
def test_any_bytes_are_refused_politely(body, sig):
    with contextlib.suppress(InvalidInput):
        CsvCodec(sig).decode(body)


OPTIONAL = signature(
    [
        ("age", "INT64", [-1, 1]),
        ("city", "BYTES", [-1], {"default": "Bonn"}),
        ("size", "FP32", [-1], {"default": 1.5}),
    ]
)
WIDE = signature([("x", "FP32", [-1, 3]), ("scale", "FP32", [-1], {"default": 2})])


@pytest.mark.parametrize(
    ("sig", "body", "expected"),
    [
        (OPTIONAL, b"30\n40", {"age": [[30], [40]]}),
        (OPTIONAL, b"size,age\n1,30", {"age": [[30]], "size": [1.0]}),
        (OPTIONAL, b"30,Ulm,1", {"age": [[30]], "city": [b"Ulm"], "size": [1.0]}),
        (WIDE, b"1,2,3", {"x": [[1, 2, 3]]}),
    ],
    ids=["needed", "header", "all", "vector"],
)
def test_columns_of_inputs_that_have_a_default_may_be_left_out(sig, body, expected):
    decoded = CsvCodec(sig).decode(body)

    assert {name: array.tolist() for name, array in decoded.inputs.items()} == expected


@pytest.mark.parametrize(
    "body", [b"30,Ulm", b"size,city\n1,Ulm", b"age,age\n1,2"], ids=["two", "lacking", "twice"]
)
def test_columns_that_are_not_told_apart_are_refused(body):
    with pytest.raises(InvalidInput):
        CsvCodec(OPTIONAL).decode(body)
