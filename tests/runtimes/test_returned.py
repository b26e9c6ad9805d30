from __future__ import annotations

import numpy as np
import pytest

from inferd.core.signature import TensorSpec
from inferd.core.tensor import BYTES, FP32, INT64, is_uneven
from inferd.runtimes.returned import Uneven, to_array, to_tensors

Y = TensorSpec("y", FP32, (-1,))
LABEL = TensorSpec("label", BYTES, (-1,))


@pytest.mark.parametrize(
    ("value", "dtype", "want"),
    [
        pytest.param([1, 2], FP32, np.array([1, 2], np.float32), id="ints-to-float"),
        pytest.param([1.0, 2.0], INT64, np.array([1, 2]), id="whole-floats-to-int"),
        pytest.param(np.float64(3), FP32, np.array(3, np.float32), id="scalar"),
        pytest.param([1.5], None, np.array([1.5], np.float32), id="plain-floats-are-fp32"),
        pytest.param(np.array([1.5]), None, np.array([1.5]), id="arrays-keep-theirs"),
        pytest.param([True], None, np.array([True]), id="bools"),
    ],
)
def test_numbers(value, dtype, want):
    got = to_array(value, dtype)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        pytest.param("a", (), id="one"),
        pytest.param(["a", b"b"], (2,), id="list"),
        pytest.param([["a"], ["b"]], (2, 1), id="rows"),
        pytest.param(np.array(["a", "b"]), (2,), id="array"),
        pytest.param([], (0,), id="none"),
    ],
)
def test_texts_become_bytes(value, shape):
    got = to_array(value, BYTES)
    assert got.shape == shape and all(isinstance(e, bytes) for e in got.flat)


@pytest.mark.parametrize(
    ("value", "dtype", "says"),
    [
        pytest.param([[1], [1, 2]], FP32, "ragged", id="ragged"),
        pytest.param([["a"], ["a", "b"]], BYTES, "ragged", id="ragged-text"),
        pytest.param([1.5], INT64, "do not fit", id="fraction"),
        pytest.param([3], BYTES, "holds a int where text is declared", id="number"),
        pytest.param(
            ["\ud800"], BYTES, "holds a text that cannot be written as UTF-8: surr", id="surrogate"
        ),
        pytest.param({"a": 1}, FP32, "holds object", id="dict"),
        pytest.param([None], FP32, "holds object", id="none"),
    ],
)
def test_what_does_not_fit(value, dtype, says):
    with pytest.raises(ValueError, match=says):
        to_array(value, dtype)


def test_names():
    assert list(to_tensors([1.0], [Y])) == ["y"]
    assert list(to_tensors(([1.0], ["a"]), [Y, LABEL])) == ["y", "label"]
    assert list(to_tensors({"label": ["a"], "y": [1.0], "more": 3}, [Y, LABEL])) == ["y", "label"]
    assert list(to_tensors([1.0], None, "x")) == ["x"]
    assert to_tensors([{"y": 1}, {"y": 2}], [Y])["y"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("value", "specs", "says"),
    [
        pytest.param(None, [Y], "is None", id="none"),
        pytest.param([1.0], [Y, LABEL], "return a dict", id="one-for-two"),
        pytest.param(([1.0],), [Y, LABEL], "1 parts for 2", id="short"),
        pytest.param({}, None, "empty dict", id="empty"),
        pytest.param([{"y": 1}, {"z": 2}], [Y], "same keys", id="rows"),
        pytest.param({"y": ["a"]}, [Y], "output 'y'", id="in"),
    ],
)
def test_what_cannot_be_named(value, specs, says):
    with pytest.raises(ValueError, match=says):
        to_tensors(value, specs)


@pytest.mark.parametrize(
    ("value", "dtype", "want"),
    [
        pytest.param([["a"], ["a", b"b"], []], BYTES, [[b"a"], [b"a", b"b"], []], id="texts"),
        pytest.param([[1], [1, 2]], FP32, [[1.0], [1.0, 2.0]], id="numbers"),
        pytest.param([[], ["a"]], None, [[], [b"a"]], id="learned-texts"),
        pytest.param([[1], [1.5, 2], []], None, [[1.0], [1.5, 2.0], []], id="learned-numbers"),
        pytest.param(
            [np.ones((1, 2)), np.ones((3, 2))], FP32, [[[1, 1]], [[1, 1]] * 3], id="arrays"
        ),
    ],
)
def test_ragged_rows_make_a_column_where_they_may(value, dtype, want):
    got = to_array(value, dtype, ragged=True)
    assert is_uneven(got)
    assert [row.tolist() for row in got] == want
    assert len({row.dtype for row in got if row.size}) == 1
    with pytest.raises(Uneven, match="ragged"):
        to_array(value, dtype)


@pytest.mark.parametrize(
    ("value", "dtype", "says"),
    [
        pytest.param([[[1], [1, 2]], [[1], [1]]], FP32, "ragged", id="within-a-row"),
        pytest.param([1, [1, 2]], FP32, "ragged", id="unequal-ranks"),
        pytest.param([[1, 2], ["a"]], None, "texts in some rows and numbers", id="mixed"),
        pytest.param([["a"], [1, 2]], BYTES, "holds a int where text", id="no-text"),
    ],
)
def test_what_is_no_column_either(value, dtype, says):
    with pytest.raises(ValueError, match=says):
        to_array(value, dtype, ragged=True)


def test_outputs_by_name_may_be_ragged_each():
    specs = [Y, TensorSpec("words", BYTES, (-1, -1))]
    returned = {"y": [1.0, 2.0], "words": [["a"], []]}
    rows = [{"y": 1, "words": ["a"]}, {"y": 2, "words": []}]
    for value in (returned, tuple(returned.values()), rows):
        got = to_tensors(value, specs, ragged=True)
        assert got["y"].tolist() == [1, 2]
        assert [row.tolist() for row in got["words"]] == [[b"a"], []]
