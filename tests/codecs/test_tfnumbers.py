import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inferd.codecs.tfnumbers import dumps
from inferd.core.errors import Unsupported

NUMBER = re.compile(r"-?(\d+\.\d+(e[-+]?\d+)?|\d+e[-+]?\d+|Infinity)|NaN")
KINDS = ["float16", "float32", "float64"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32([1, -0.0, 0.1, 16777216, 1e10]), "[1.0,-0.0,0.1,16777216.0,10000000000.0]"),
        (np.float64([1, 0.1, 1e15, 1e-7]), "[1.0,0.1,1000000000000000.0,1e-7]"),
        (np.float16([1, 65504]), "[1.0,65504.0]"),
        (np.float32([np.nan]), "[NaN]"),
        (np.float32([[np.inf, 1], [-np.inf, np.nan]]), "[[Infinity,1.0],[-Infinity,NaN]]"),
        (np.float32([[np.nan, 1], [2, np.nan]]), "[[NaN,1.0],[2.0,NaN]]"),
        (np.float32(np.nan), "NaN"),
        (np.array(-np.inf), "-Infinity"),
        (float("inf"), "Infinity"),
        (np.int64([2**53 + 1, -(2**63)]), "[9007199254740993,-9223372036854775808]"),
        (np.uint64([2**64 - 1]), "[18446744073709551615]"),
        (np.array([True, False]), "[true,false]"),
        (np.zeros((2, 0)), "[[],[]]"),
        (["null", np.float32(np.nan)], '["null",NaN]'),
        ({"null": [np.float32(1)]}, '{"null":[1.0]}'),
    ],
    ids=str,
)
def test_numbers_say_of_what_kind_they_are(value, text):
    assert dumps(value).decode() == text


@pytest.mark.parametrize("dtype", KINDS)
@given(data=st.data())
def test_every_float_reads_back_as_itself_and_shows_that_it_is_one(dtype, data):
    array = data.draw(hnp.arrays(dtype, hnp.array_shapes(max_side=4)))

    text = dumps({"y": array}).decode()
    back = np.array(json.loads(text)["y"]).astype(dtype).reshape(array.shape)

    np.testing.assert_array_equal(back, array)
    assert (np.signbit(back) == np.signbit(array))[~np.isnan(array)].all()
    assert all(map(NUMBER.fullmatch, re.findall(r"[^][,]+", text[5:-1])))


@given(hnp.arrays("float64", 7))
def test_an_array_in_another_layout_is_written_as_it_is_read(array):
    grid = np.stack([array, array[::-1]])[:, ::-2]

    assert dumps(grid) == dumps(np.ascontiguousarray(grid))
    assert dumps(grid.astype(">f8")) == dumps(grid)


def test_rows_are_looked_through_one_by_one():
    rows = [{"s": "null", "y": y} for y in np.float32([[1, 2], [np.inf, np.nan]])]

    assert dumps(rows) == b'[{"s":"null","y":[1.0,2.0]},{"s":"null","y":[Infinity,NaN]}]'
    assert math.isnan(json.loads(dumps(rows))[1]["y"][1])


def test_what_has_no_form_is_refused():
    with pytest.raises(Unsupported):
        dumps(np.array([1j]))
