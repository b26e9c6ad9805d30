from __future__ import annotations

import sys
from typing import Annotated, Any, TypedDict

import numpy as np
import pytest

from inferd.core.errors import InvalidInput, ModelFailed, ModelFileError
from inferd.core.tensor import BYTES, FP32, INT64, UINT8, uneven
from inferd.runtimes.function import Function

Image = Annotated[np.ndarray, "uint8", (-1, -1, 3)]


class Crops(TypedDict):
    lines: list[Image]
    boxes: Annotated[np.ndarray, "float32", (-1, 4)]
    count: int


class Odd(TypedDict("Odd", {"a.b": float})):
    pass


def crop(image: Image, scale: float, names: list[str], pad: int = 2) -> Crops:
    lines = [image[:n] for n in range(int(scale))]
    return {"lines": lines, "boxes": np.zeros((1, 4), np.float32), "count": len(names) + pad}


def of(function, *given):
    return Function(function, f"steps:{function.__name__}", given)


def types(specs):
    return [(s.name, s.dtype, s.shape) for s in specs]


def test_hints_are_of_one_example():
    found = of(crop)
    assert types(found.inputs) == [
        ("image", UINT8, (-1, -1, 3)), ("scale", FP32, ()), ("names", BYTES, (-1,)),
    ]  # fmt: skip
    assert types(found.outputs) == [
        ("lines", UINT8, (-1, -1, -1, 3)), ("boxes", FP32, (-1, 4)), ("count", INT64, ()),
    ]  # fmt: skip
    assert found.uneven == {"lines"}
    assert found.inputs[2].content == "text"


def test_what_has_a_default_is_an_input_only_where_it_is_given():
    assert [s.name for s in of(crop, "pad").inputs] == ["image", "scale", "names", "pad"]
    image, scale = np.zeros((4, 2, 3), np.uint8), np.array(3, np.float32)
    names = np.array([b"a", "é".encode()], object)
    got = of(crop)({"image": image, "scale": scale, "names": names})
    assert [a.shape for a in got["lines"]] == [(0, 2, 3), (1, 2, 3), (2, 2, 3)]
    assert got["count"] == 4 and got["count"].shape == ()
    assert (
        of(crop, "pad")({"image": image, "scale": scale, "names": names, "pad": np.array(0)})[
            "count"
        ]
        == 2
    )


def total(parts: list[Annotated[np.ndarray, "float32", (-1,)]], texts: list[str]) -> str:
    assert type(parts) is list and type(texts) is list
    return f"{sum(len(p) for p in parts)} {'/'.join(texts)}"


def test_a_list_of_arrays_is_taken_and_a_text_is_given():
    parts = uneven([np.zeros(n, np.float32) for n in (1, 2)])
    got = of(total)({"parts": parts, "texts": np.array([b"a", b"b"], object)})
    assert got["output"].item() == b"3 a/b" and got["output"].shape == ()
    even = of(total)({"parts": np.zeros((2, 3), np.float32), "texts": np.array([], object)})
    assert even["output"].item() == b"6 "


def told(x: float) -> Annotated[dict, {"y": float, "z": list[int]}]:
    return {"y": x, "z": [1, 2]}


def test_the_outputs_of_a_dict_may_be_told_beside_it():
    got = of(told)({"x": np.array(2, np.float32)})
    assert got["y"] == 2 and got["z"].tolist() == [1, 2]


# -- what says too little -------------------------------------------------------------------------------


def no_hint(x) -> float: ...
def no_return(x: float): ...
def nothing_back(x: float) -> None: ...
def bare(x: np.ndarray) -> float: ...
def vague(x: float) -> dict: ...
def anything(x: Any) -> float: ...
def no_inputs() -> float: ...
def unknown(x: "Missing") -> float: ...  # noqa: F821, UP037
def datatype(x: Annotated[np.ndarray, "float23", (1,)]) -> float: ...
def nested(x: list[list[Image]]) -> float: ...
def odd(x: float) -> Odd: ...
def both(x: list[Image]) -> Annotated[dict, {"x": float}]: ...
def positional(x: float, /) -> float: ...
async def coroutine(x: float) -> float: ...
def generator(x: float) -> float:
    yield x


class Klass:
    pass


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (no_hint, "nothing says what 'x' is"),
        (no_return, "nothing says what it returns"),
        (nothing_back, "nothing says what it returns"),
        (bare, "'x' says no datatype and shape"),
        (vague, "'output' says no datatype and shape"),
        (anything, "'x' says no datatype and shape"),
        (no_inputs, "takes nothing"),
        (unknown, "its type hints cannot be read"),
        (datatype, "unknown datatype 'float23'"),
        (nested, "'x' says no datatype"),
        (odd, "'a.b' is no name for an output"),
        (both, "'x' is a list of arrays on one side and none on the other"),
        (positional, "'x' has no name for the caller"),
        (coroutine, "must not be async"),
        (generator, "is a generator"),
        (Klass, "is a class, and a step is a function"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)  # fmt: skip
def test_a_function_that_says_too_little_is_refused(function, says):
    with pytest.raises(ModelFileError) as caught:
        of(function)
    assert says in caught.value.message
    if function is not Klass:
        line = function.__code__.co_firstlineno
        assert caught.value.message.startswith(f"{__file__}:{line}: {function.__name__}: ")


def test_what_is_no_function_is_refused():
    with pytest.raises(ModelFileError, match="steps:x: is a int, and a step is a function"):
        Function(3, "steps:x", ())


# -- what comes back wrongly ----------------------------------------------------------------------------


def answering(value):
    def gives(x: float) -> Crops:
        return value() if callable(value) else value

    return of(gives)


GOOD = {"lines": [], "boxes": np.zeros((0, 4), np.float32), "count": 1}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "is None"),
        ([1], "is a list, and the outputs are lines, boxes, count"),
        ({"lines": []}, "lacks the output 'boxes' (it has lines)"),
        ({**GOOD, "boxes": np.zeros(4, np.float32)}, "'boxes': it has the shape [4], and [-1, 4] is declared"),
        ({**GOOD, "count": 1.5}, "'count': it holds float64 values that do not fit the declared INT64"),
        ({**GOOD, "count": "one"}, "'count': it holds <U3 values"),
        ({**GOOD, "lines": 3}, "'lines': it is a int, and a list is declared"),
        ({**GOOD, "lines": [np.zeros((1, 1, 4), np.uint8)]}, "'lines': it has the shape [1, 1, 4]"),
        ({**GOOD, "lines": [np.zeros((1, 1, 3), np.uint8)] * 4097}, "'lines': it holds 4097 arrays, over 4096"),
        (lambda: sys.exit(3), "gives called sys.exit(3)"),
    ],
    ids=["none", "list", "lacks", "shape", "fraction", "text", "no list", "element", "many", "exit"],
)  # fmt: skip
def test_an_answer_that_is_not_as_hinted_is_the_function_s_fault(value, says):
    with pytest.raises(ModelFailed) as caught:
        answering(value)({"x": np.array(0, np.float32)})
    assert says in caught.value.message


def test_a_text_that_is_none_is_the_input_s_fault():
    with pytest.raises(InvalidInput, match="'texts': an element is not valid UTF-8"):
        of(total)({"parts": uneven([]), "texts": np.array([b"\xff"], object)})


def test_its_own_errors_pass():
    def broken(x: float) -> float:
        raise ZeroDivisionError("by nothing")

    with pytest.raises(ZeroDivisionError):
        of(broken)({"x": np.array(0, np.float32)})
