"""one_hot."""

from __future__ import annotations

import numpy as np
import pytest
from tests.transforms.chains import chain, one_input, signature, spec

from inferd.core.errors import ConfigError, InvalidInput
from inferd.core.tensor import BYTES, INT64

ROW = signature(spec("x", "float32", -1, 3), spec("y", "float32", -1, 1))
SEQUENCE = signature(spec("x", "float32", -1, -1, 3), spec("y", "float32", -1, 1))
TABLE = signature(spec("x", "float32", -1, 5), spec("y", "float32", -1, 1))


def test_class_numbers() -> None:
    chained = chain(ROW, [{"one_hot": 3}])

    given = one_input(chained, np.array([2, 0]))

    assert chained.external.inputs[0].shape == (-1,)
    assert chained.external.inputs[0].dtype is INT64
    assert given.dtype == np.float32
    assert given.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_texts_along_a_sequence() -> None:
    chained = chain(SEQUENCE, [{"one_hot": ["a", "b", "c"]}])

    given = one_input(chained, np.array([["c", b"a"]], object))

    assert chained.external.inputs[0].dtype is BYTES
    assert chained.external.inputs[0].shape == (-1, -1)
    assert given.tolist() == [[[0, 0, 1], [1, 0, 0]]]


def test_one_column_of_a_table() -> None:
    chained = chain(TABLE, [{"one_hot": {"depth": 3, "column": 1}}])

    given = one_input(chained, np.array([[0.5, 2, 7.5], [1, 0, 2]], np.float32))

    assert chained.external.inputs[0].shape == (-1, 3)
    assert given.tolist() == [[0.5, 0, 0, 1, 7.5], [1, 1, 0, 0, 2]]


def test_unknown_may_be_zeros() -> None:
    chained = chain(ROW, [{"one_hot": {"categories": [10, 20, 30], "unknown": "zeros"}}])

    assert one_input(chained, np.array([20, 99])).tolist() == [[0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("bad", [3, -1, 2**62], ids=["over", "negative", "huge"])
def test_unknown_is_refused(bad: int) -> None:
    with pytest.raises(InvalidInput, match=f"^one_hot: {bad} is not a class from 0 to 2$"):
        one_input(chain(ROW, [{"one_hot": 3}]), np.array([0, bad]))


@pytest.mark.parametrize(
    ("categories", "bad", "said", "help"),
    [
        pytest.param(["red", "blue", "green"], b"pink", "'pink' is not one of the 3 categories",
                     "they are 'red', 'blue', 'green'", id="text"),
        pytest.param([*range(10, 80, 10)], 25, "25 is not one of the 7 categories",
                     "they are 10, 20, 30, 40, 50 and 2 more", id="number"),
    ],
)  # fmt: skip
def test_an_unknown_category_is_said_plainly(
    categories: list[object], bad: object, said: str, help: str
) -> None:
    sig = signature(spec("x", "float32", -1, len(categories)), spec("y", "float32", -1, 1))
    kind = object if isinstance(bad, bytes) else np.int64

    with pytest.raises(InvalidInput) as caught:
        one_input(chain(sig, [{"one_hot": categories}]), np.array([bad], kind))

    assert (caught.value.message, caught.value.help) == (f"one_hot: {said}", help)


def test_an_unknown_number_of_a_table_is_said_plainly() -> None:
    chained = chain(TABLE, [{"one_hot": {"categories": [1, 2, 3], "column": 1}}])

    with pytest.raises(InvalidInput, match=r"^one_hot: 25\.1 is not one of the 3 categories"):
        one_input(chained, np.array([[0, 25.1, 0]], np.float32))


@pytest.mark.parametrize("bad", [0.5, np.nan, np.inf], ids=["fraction", "nan", "infinite"])
def test_a_column_must_hold_class_numbers(bad: float) -> None:
    chained = chain(TABLE, [{"one_hot": {"depth": 3, "column": 1}}])

    with pytest.raises(InvalidInput):
        one_input(chained, np.array([[0, bad, 0]], np.float32))


@pytest.mark.parametrize(
    ("params", "said"),
    [
        pytest.param(None, "one of them", id="nothing"),
        pytest.param({"depth": 3, "categories": [1, 2, 3]}, "one of them", id="both"),
        pytest.param(4, "4 categories do not fit", id="count"),
        pytest.param(["a", "a", "b"], "given twice", id="twice"),
        pytest.param(["a", 1, "b"], "all texts or all numbers", id="mixed"),
        pytest.param({"depth": 3, "column": 1}, "do not fit a table", id="no-room"),
        pytest.param({"categories": ["a", "b"], "column": 0}, "needs numbers", id="text-column"),
        pytest.param(1 << 30, "over the most", id="enormous"),
    ],
)
def test_what_cannot_be(params: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        chain(ROW, [{"one_hot": params}])
