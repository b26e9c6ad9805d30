import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inferd.codecs.classification import MAX_CLASSES, classified
from inferd.core.errors import InvalidInput, TooLarge


def classes(array, count, labels=(), *, batched=True):
    found = classified("y", np.asarray(array), count, labels, batched=batched)
    assert found.dtype == object
    return [text.decode() for text in found.ravel()], found.shape


def test_the_highest_come_first_in_every_row():
    found, shape = classes(np.float32([[1.5, 3.25, 0.5], [9, 8, 10]]), 2)

    assert found == ["3.25:1", "1.5:0", "10.0:2", "9.0:0"]
    assert shape == (2, 2)


def test_labels_follow_where_there_is_one_for_each_class():
    assert classes([[1, 2]], 1, ["no", "yes"])[0] == ["2:1:yes"]
    assert classes([[1, 2, 3]], 1, ["no", "yes"])[0] == ["3:2"]


def test_no_more_than_there_are():
    assert classes([[1, 2]], 5) == (["2:1", "1:0"], (1, 2))


@pytest.mark.parametrize(
    ("array", "first"),
    [
        (np.array([[2**63, 2**64 - 1]], np.uint64), "18446744073709551615:1"),
        (np.array([[-(2**63), 2**63 - 1]], np.int64), "9223372036854775807:1"),
        (np.array([[False, True]]), "1:1"),
        (np.float16([[0.1, 0.2]]), "0.2:1"),
        (np.float32([[np.nan, 1.0]]), "1.0:1"),
        (np.float32([[1.0, np.inf]]), "inf:1"),
        (np.float32([[1.0, 1.0]]), "1.0:0"),
    ],
    ids=["UINT64", "INT64", "BOOL", "FP16", "NaN", "infinity", "equal"],
)
def test_values_are_compared_in_their_own_datatype(array, first):
    assert classes(array, 1)[0] == [first]


def test_further_axes_are_counted_through():
    assert classes(np.arange(6).reshape(1, 2, 3), 1)[0] == ["5:5"]


def test_a_model_without_a_batch_has_one_row():
    assert classes([1, 7, 3], 2, batched=False) == (["7:1", "3:2"], (2,))
    assert classes(np.float32(5), 1, batched=False) == (["5.0:0"], (1,))


def test_no_rows_have_no_classes():
    assert classes(np.zeros((0, 3)), 2) == ([], (0, 2))


def test_texts_have_no_highest():
    with pytest.raises(InvalidInput, match="holds texts"):
        classified("y", np.array([[b"a"]], object), 1, (), batched=True)


@given(
    hnp.arrays(np.float32, 6, elements=st.sampled_from([np.nan, -np.inf, -1, 0, 1, 2])),
    st.integers(1, 6),
)
def test_the_order_is_that_of_a_full_sort(row, count):
    order = sorted(range(6), key=lambda i: (np.isnan(row[i]), -row[i], i))

    found = [int(t.split(":")[1]) for t in classes(row, count, batched=False)[0]]

    numbers = [i for i in order if not np.isnan(row[i])]
    assert found[: len(numbers)] == numbers[:count]
    assert len(set(found)) == count


@given(hnp.arrays(np.float32, (2, 5), elements=st.floats(width=32)), st.integers(1, 6))
def test_what_is_told_are_values_of_the_row(array, count):
    found, shape = classes(array, count)

    assert shape == (2, min(count, 5))
    for i, text in enumerate(found):
        value, index = text.split(":")
        np.testing.assert_equal(np.float32(value), array[i // shape[1], int(index)])


def test_classes_are_bounded_in_number():
    """Of a tensor of 60 MiB telling them took half a minute, and gigabytes."""
    whole = np.zeros((MAX_CLASSES // 2, 2), np.float32)

    assert classes(whole, 2)[1] == whole.shape
    for array, count in (
        (np.zeros((MAX_CLASSES + 1, 4)), 1),
        (np.zeros((1, MAX_CLASSES + 1)), 1 << 40),
    ):
        with pytest.raises(TooLarge, match=f"at most {MAX_CLASSES} classes are told"):
            classes(array, count)
