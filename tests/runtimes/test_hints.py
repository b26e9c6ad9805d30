from __future__ import annotations

import collections.abc as abc
import typing
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pytest

from inferd.core.errors import InvalidInput
from inferd.runtimes.hints import Unhinted, declared_spec, read_hints


def hints(x=Any, returned=Any):
    def method(x):
        return x

    method.__annotations__ = {"x": x, "return": returned}
    return read_hints(method)


@pytest.mark.parametrize(
    ("hint", "dtype", "shape"),
    [
        pytest.param(Annotated[np.ndarray, "float32", (-1, 4)], "FP32", (-1, 4), id="annotated"),
        pytest.param(Annotated[np.ndarray, np.int8, [-1]], "INT8", (-1,), id="annotated-type"),
        pytest.param(Annotated[list[float], "float64", (-1,)], "FP64", (-1,), id="annotated-list"),
        pytest.param(Annotated[list[int], "a note"], "INT64", (-1,), id="other-note"),
        pytest.param(
            np.ndarray[tuple[int, int], np.dtype[np.uint8]], "UINT8", (-1, -1), id="ndarray"
        ),
        pytest.param(list[bool], "BOOL", (-1,), id="bools"),
        pytest.param(abc.Sequence[str], "BYTES", (-1,), id="sequence"),
        pytest.param(list[tuple[float, ...]], "FP32", (-1, -1), id="tuples"),
        pytest.param(typing.List[bytes], "BYTES", (-1,), id="old-list"),  # noqa: UP006
    ],
)
def test_one_hint(hint, dtype, shape):
    found = hints(hint)
    (spec,) = found.signature().inputs
    assert (spec.dtype.name, spec.shape, found.each) == (dtype, shape, False)


@pytest.mark.parametrize(
    ("x", "returned"),
    [
        pytest.param(str, list[float], id="text"),
        pytest.param(list[float], float, id="returned"),
        pytest.param(Annotated[float, "float64", ()], Any, id="annotated"),
    ],
)
def test_a_single_value_means_one_example(x, returned):
    found = hints(x, returned)
    assert found.each and all(s.shape[0] == -1 for s in found.signature().inputs)


@pytest.mark.parametrize("hint", [Any, dict, dict[str, np.ndarray], abc.Mapping[str, Any]], ids=str)
def test_dicts_and_nothing_say_nothing(hint):
    assert hints(hint) is None


@pytest.mark.parametrize(
    "hint", [np.ndarray, npt.NDArray[np.float32], list, list[object], set[int], complex], ids=str
)
def test_too_little_is_said_so(hint):
    with pytest.raises(Unhinted, match="says no datatype"):
        hints(hint)


def test_texts_are_strings_or_bytes_as_hinted():
    given = np.array(["é".encode()], object)
    assert hints(list[str]).inputs["x"].value(given) == ["é"]
    assert hints(list[bytes]).inputs["x"].value(given) == ["é".encode()]
    assert hints(str).inputs["x"].value(given.reshape(())) == "é"


def test_optional_parameters_are_left_out_unless_hinted():
    def method(x: list[str], k=3):
        return x

    assert list(read_hints(method).inputs) == ["x"]


def test_declarations_of_a_class():
    assert declared_spec("x", (np.float16, (-1, 2))).shape == (-1, 2)
    for wrong in (3, ("float32",), ("float32", 3), ("nope", [1]), ("float32", ["a"])):
        with pytest.raises(Unhinted):
            declared_spec("x", wrong)


def test_what_is_returned_counts_where_parameters_say_nothing():
    def method(output) -> float:
        return output

    found = read_hints(method)
    assert (found.each, found.complete, found.inputs) == (True, False, {})
    assert found.specs(found.outputs)[0].shape == (-1,)


def test_a_parameter_without_a_hint_leaves_the_others():
    def method(text: str, k):
        return text

    found = read_hints(method)
    assert (found.each, found.complete, list(found.inputs)) == (True, False, ["text"])


@pytest.mark.parametrize(
    "hint", [np.ndarray, complex, abc.Iterator, npt.NDArray[np.complex128], set[int]], ids=str
)
def test_a_vague_hint_is_a_note_where_parameters_say_nothing(hint):
    assert hints(Any, hint) is None


@pytest.mark.parametrize(
    ("x", "returned", "ragged"),
    [
        pytest.param(list[str], list[list[str]], True, id="lists"),
        pytest.param(str, list[str], True, id="one-list-each"),
        pytest.param(str, Annotated[np.ndarray, "float32", (-1,)], True, id="one-array-each"),
        pytest.param(list[str], Annotated[np.ndarray, "float32", (-1, -1)], False, id="array"),
        pytest.param(list[str], Annotated[list[list[str]], "bytes", (-1, 2)], False, id="fixed"),
        pytest.param(list[str], list[str], False, id="one-value"),
        pytest.param(str, str, False, id="one-value-each"),
        pytest.param(list[list[str]], Any, False, id="unhinted"),
    ],
)
def test_whether_rows_may_differ(x, returned, ragged):
    assert hints(x, returned).ragged is ragged


@pytest.mark.parametrize("hint", [str, list[str]], ids=["one", "several"])
def test_bytes_that_are_no_text_are_refused_as_the_clients_fault(hint):
    (slot,) = hints(hint).inputs.values()

    with pytest.raises(InvalidInput, match="input 'x'"):
        slot.value(np.array([b"\xff"], object))
