"""Values between steps: views wherever they can be, and checked against what was promised."""

import numpy as np
import pytest
from tests.routing.pipeline.running import texts

from inferd.core.errors import ModelFailed
from inferd.core.tensor import BYTES, FP32, UINT8, is_uneven, uneven
from inferd.routing.pipeline.execute.values import (
    element,
    even,
    fitted,
    found,
    gathered,
    lowered,
    repeated,
    stacked,
    taken,
)
from inferd.routing.pipeline.execute.wiring import Slot, Source


def slot(dtype=FP32, shape=(2,), uneven=False):
    return Slot("y", 0, dtype, shape, uneven)


@pytest.mark.parametrize(
    ("shape", "rank", "expected"),
    [((1,), 0, ()), ((), 1, (1,)), ((5, 1), 1, (5,)), ((5,), 2, (5, 1)), ((2, 3), 2, (2, 3)), ((3,), 0, (3,))],
    ids=str,
)  # fmt: skip
def test_one_element_is_a_number_or_a_list_of_one(shape, rank, expected):
    array = np.zeros(shape)
    result = fitted(array, rank)

    assert result.shape == expected
    assert np.shares_memory(array, result)


def test_the_example_of_a_batch_of_one_is_a_view():
    batch = np.arange(6.0).reshape(1, 2, 3)
    assert lowered(batch).shape == (2, 3)
    assert np.shares_memory(lowered(batch), batch)
    assert lowered(texts(b"a")).shape == ()
    assert lowered(texts(b"a"))[()] == b"a"


def test_repeated_rows_take_no_memory():
    one = np.arange(3.0)
    assert repeated(one, 1000).shape == (1000, 3)
    assert np.shares_memory(repeated(one, 1000), one)


def test_the_first_source_that_is_there_is_taken():
    values = [None, np.array(1.0), np.array(2.0)]
    constant = np.array(9.0)

    assert found(Source("x", (0, 1, 2), constant, 0), values) == 1.0
    assert found(Source("x", (0,), constant, 0), values) is constant
    assert found(Source("x", (0,), None, 0), values) is None


def test_elements_are_stacked_where_they_are_alike():
    alike = [np.zeros(2), np.ones(2)]
    unlike = [np.zeros(2), np.ones(3)]

    assert stacked(alike).shape == (2, 2)
    assert gathered([a[None] for a in alike]).shape == (2, 2)
    assert is_uneven(stacked(unlike))
    assert [a.shape for a in gathered([a[None] for a in unlike])] == [(2,), (3,)]
    assert stacked([lowered(texts(b"a")), lowered(texts(b"b"))]).tolist() == [b"a", b"b"]


def test_a_list_is_one_array_where_its_elements_are_alike():
    array = np.zeros((3, 2))
    assert even(array) is array
    assert even(uneven([np.zeros(2), np.ones(2)])).tolist() == [[0, 0], [1, 1]]
    assert even(uneven([np.zeros(2), np.ones(3)])) is None
    strings = texts(b"a", b"b")
    assert even(strings) is strings


def test_elements_of_a_list_are_views():
    array = np.arange(6.0).reshape(3, 2)
    column = uneven([np.zeros(2), np.ones(3)])

    assert element(array, 1).tolist() == [2, 3]
    assert np.shares_memory(element(array, 1), array)
    assert element(column, 1) is column[1]
    assert element(texts(b"a", b"b"), 1).shape == ()
    assert element(texts(b"a", b"b"), 1)[()] == b"b"
    assert element(np.arange(3), 2).shape == ()


GOOD = [
    (slot(), np.zeros((1, 2), np.float32), 1),
    (slot(), np.zeros(2, np.float32), None),
    (slot(shape=(-1,)), np.zeros((4, 7), np.float32), 4),
    (slot(BYTES, ()), texts(b"a"), 1),
    (slot(BYTES, ()), np.array(["a"]), 1),
    (slot(UINT8, (-1, -1), uneven=True), uneven([np.zeros(2, np.uint8), np.zeros(3, np.uint8)]), None),
    (slot(UINT8, (-1, -1), uneven=True), np.zeros((2, 3), np.uint8), None),
]  # fmt: skip


@pytest.mark.parametrize(("promised", "array", "rows"), GOOD, ids=range(len(GOOD)))
def test_what_is_of_its_type_is_taken_as_it_is(promised, array, rows):
    for _ in range(2):  # the second time it is known
        (result,) = taken({"y": array, "z": 1}, (promised,), rows)
        assert result is array


BAD = [
    ({}, 1, "output 'y' is missing"),
    ("no", 1, "the answer is a str"),
    ({"y": [1.0, 2.0]}, 1, "output 'y' is a list"),
    ({"y": np.zeros((1, 2))}, 1, r"has datatype FP64, expected FP32"),
    ({"y": np.zeros((1, 2), complex)}, 1, r"has datatype complex128, expected FP32"),
    ({"y": np.zeros((1, 3), np.float32)}, 1, r"has shape \[1, 3\], expected \[-1, 2\]"),
    ({"y": np.zeros((1, 2, 1), np.float32)}, 1, r"has shape \[1, 2, 1\]"),
    ({"y": np.zeros((2, 2), np.float32)}, 1, r"has shape \[2, 2\], expected 1 on its first axis"),
    ({"y": np.zeros((), np.float32)}, 1, r"expected 1 on its first axis"),
    ({"y": uneven([np.zeros(2), np.zeros(3)])}, 2, "a list of unequal shapes"),
]  # fmt: skip


@pytest.mark.parametrize(("outputs", "rows", "message"), BAD, ids=range(len(BAD)))
def test_what_is_not_of_its_type_is_refused_and_said(outputs, rows, message):
    promised = slot()
    taken({"y": np.zeros((1, 2), np.float32)}, (promised,), 1)
    with pytest.raises(ModelFailed, match=message):
        taken(outputs, (promised,), rows)


def test_elements_of_a_list_are_checked_each():
    promised = slot(UINT8, (-1, -1, 3), uneven=True)
    with pytest.raises(ModelFailed, match=r"has shape \[2, 4\], expected \[-1, 3\]"):
        taken(
            {"y": uneven([np.zeros((1, 3), np.uint8), np.zeros((2, 4), np.uint8)])},
            (promised,),
            None,
        )
    with pytest.raises(ModelFailed, match="datatype"):
        taken({"y": uneven([np.zeros((1, 3), np.uint8), np.zeros((2, 3))])}, (promised,), None)
    mixed = uneven([np.zeros((1, 3), np.uint8), np.zeros((2, 3), np.uint8)])
    mixed[1] = b"text"
    with pytest.raises(ModelFailed, match="holds a bytes"):
        taken({"y": mixed}, (promised,), None)
