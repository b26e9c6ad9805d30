from __future__ import annotations

import numpy as np
import pytest

from inferd.core.errors import InvalidInput
from inferd.core.qualified import MAX_ELEMENTS, packed, unpacked
from inferd.core.tensor import is_uneven, uneven

STRIPS = [np.zeros((n, 2), np.uint8) for n in range(3)]


@pytest.mark.parametrize(
    ("tensors", "lists", "names"),
    [
        ({"x": np.ones(3)}, (), ["crop.x"]),
        ({"x": np.ones(3), "a": uneven(STRIPS)}, {"a"},
         ["crop.x", "crop.a[]", "crop.a[0]", "crop.a[1]", "crop.a[2]"]),
        ({"a": uneven([])}, {"a"}, ["crop.a[]"]),
        ({"a": np.ones((2, 4))}, {"a"}, ["crop.a[]", "crop.a[0]", "crop.a[1]"]),
        ({"a[0]": np.ones(1), "b.c": np.ones(2)}, (), ["crop.a[0]", "crop.b.c"]),
    ],
    ids=["plain", "list", "empty list", "even list", "odd names"],
)  # fmt: skip
def test_what_is_packed_is_unpacked(tensors, lists, names):
    sent = packed("crop", tensors, lists)
    assert list(sent) == names
    step, got = unpacked(sent)

    assert step == "crop" and list(got) == list(tensors)
    for name, array in tensors.items():
        if name in lists:
            assert len(got[name]) == len(array)
            assert all(np.array_equal(a, b) for a, b in zip(got[name], array, strict=True))
            assert is_uneven(got[name]) or not len(array)
        else:
            assert got[name] is array


def test_elements_travel_without_a_copy():
    assert packed("s", {"a": uneven(STRIPS)}, {"a"})["s.a[2]"] is STRIPS[2]


def test_a_list_that_is_too_long_is_refused():
    with pytest.raises(InvalidInput, match="'a' of the step 's' holds 4097 arrays, over 4096"):
        packed("s", {"a": np.zeros((MAX_ELEMENTS + 1, 1))}, {"a"})


@pytest.mark.parametrize("count", [3, 10**12, -1], ids=["one missing", "very many", "negative"])
def test_a_list_that_lacks_elements_is_no_list(count):
    sent = {**packed("s", {"a": uneven(STRIPS[:2])}, {"a"}), "s.a[]": np.array(count)}
    if count < 0:
        assert len(unpacked(sent)[1]["a"]) == 0
    else:
        with pytest.raises(KeyError):
            unpacked(sent)
