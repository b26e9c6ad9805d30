"""A signature out of type hints, and how values of those hints are made and read.

``predict`` sees a batch, so the outermost list or axis 0 is the batch:

=================================================  ===========================================
hint                                               tensor
=================================================  ===========================================
``Annotated[np.ndarray, "float32", (-1, 4)]``      as written
``np.ndarray[tuple[int, int], np.dtype[np.int64]]``  INT64, two free axes
``list[float]``, ``list[int]``, ``list[bool]``     FP32, INT64, BOOL ``[-1]``
``list[str]``, ``list[bytes]``                     BYTES ``[-1]``
``list[list[float]]``                              FP32 ``[-1, -1]``
a ``TypedDict`` of these (returned)                one output for each key
=================================================  ===========================================

Where any hint is a single value (``float``, ``int``, ``bool``, ``str``, ``bytes``), the method is
written for one example: it is called row by row, and its hints lack the batch axis. That holds for
what it returns too, where nothing is hinted but that.
"""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from inferd.core.errors import InferdError, InvalidInput
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import as_bytes, dtype_named

_SCALARS: dict[Any, str] = {
    float: "float32", int: "int64", bool: "bool", str: "bytes", bytes: "bytes",
}  # fmt: skip
_TEXT = {str: "text"}
_VAGUE = {dict, Any, Mapping, inspect.Parameter.empty}
OUTPUT = "output"
T = TypeVar("T")


class Unhinted(ValueError):
    """A hint says too little or something that has no tensor; the text says what."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One hinted value: its tensor, and the Python type of an element where it is a list.

    ``element`` is ``None`` where the method takes the array itself; ``scalar`` where it is a single
    value, not a list.
    """

    spec: TensorSpec
    element: type | None = None
    scalar: bool = False

    def value(self, array: np.ndarray) -> Any:
        """Return what the method is called with; raises ``InvalidInput`` for bytes that are no text."""
        if self.element is None:
            return array
        if array.dtype.hasobject:
            try:
                return _texts(array, self.element)
            except UnicodeDecodeError:
                raise InvalidInput(
                    f"input {self.spec.name!r}: an element is not valid UTF-8 text"
                ) from None
        return array.tolist() if array.ndim else array.item()


@dataclass(frozen=True, slots=True)
class Hints:
    """What a method's hints say. ``outputs`` is empty where the return type is not hinted.

    ``each``: the method is written for one example. ``complete``: every parameter is hinted, so
    that ``inputs`` are all of its inputs.
    """

    inputs: dict[str, Slot]
    outputs: dict[str, Slot]
    each: bool
    complete: bool = True

    @property
    def ragged(self) -> bool:
        """Whether the rows it returns may be of unequal shapes.

        A batch returned as one array is even; lists, and values of one row at a time, need not be.
        """
        skip = 0 if self.each else 1
        return any(
            (self.each or s.element is not None) and -1 in s.spec.shape[skip:]
            for s in self.outputs.values()
        )

    def signature(self) -> Signature:
        """Return it with the batch axis, as clients see it."""
        return Signature(self.specs(self.inputs), self.specs(self.outputs))

    def specs(self, slots: Mapping[str, Slot]) -> tuple[TensorSpec, ...]:
        """Return the tensors of ``slots``, with the batch axis."""
        if not self.each:
            return tuple(s.spec for s in slots.values())
        return tuple(
            TensorSpec(s.spec.name, s.spec.dtype, (-1, *s.spec.shape), (), s.spec.content)
            for s in slots.values()
        )


def read_hints(method: Callable[..., Any], skip: Container[str] = ()) -> Hints | None:
    """Return what the hints of a bound method say, or ``None`` where they say nothing.

    Raises ``Unhinted`` for a hint that says too little, where every parameter has one. Where one
    has none the signature must be declared in any case, and such a hint is only a note. ``skip``:
    parameters that are no inputs.
    """
    try:
        hinted = typing.get_type_hints(method, include_extras=True)
    except Exception as error:  # a hint may be any expression
        raise Unhinted(f"its type hints cannot be read: {error}") from None
    parameters = [
        p for p in inspect.signature(method).parameters.values()
        if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}
        and p.name not in skip
    ]  # fmt: skip
    names = [p.name for p in parameters if p.default is p.empty or p.name in hinted]
    told = {n: hinted[n] for n in names if _origin(hinted.get(n, Any)) not in _VAGUE}
    returned = hinted.get("return", Any)
    complete = bool(names) and len(told) == len(names)
    read = {n: _read(slot_of, n, hint, strict=complete) for n, hint in told.items()}
    inputs = {n: slot for n, slot in read.items() if slot is not None}
    silent = _origin(returned) in {*_VAGUE, type(None)}
    outputs = {} if silent else _read(_outputs, returned, strict=complete) or {}
    if not inputs and not outputs:
        return None
    slots = [*inputs.values(), *outputs.values()]
    return Hints(inputs, outputs, any(s.scalar for s in slots), complete)


def _read(read: Callable[..., T], *hint: Any, strict: bool) -> T | None:
    try:
        return read(*hint)
    except (Unhinted, InferdError, TypeError):
        if strict:
            raise
        return None


def declared_spec(name: str, row: Any) -> TensorSpec:
    """Return the tensor that ``inputs = {name: (dtype, shape)}`` of a class declares."""
    try:
        dtype, shape = row
        return TensorSpec.from_json({"name": name, "dtype": _word(dtype), "shape": list(shape)})
    except InferdError as error:
        raise Unhinted(f"{name!r}: {error.message}") from None
    except (TypeError, ValueError):
        raise Unhinted(f"{name!r} must be (dtype, shape), not {row!r}") from None


def _origin(hint: Any) -> Any:
    return typing.get_origin(hint) or hint


def _outputs(hint: Any) -> dict[str, Slot]:
    origin = _origin(hint)
    if typing.is_typeddict(hint):
        rows = typing.get_type_hints(hint, include_extras=True)
        return {n: slot_of(n, inner) for n, inner in rows.items()}
    if origin is collections.abc.Iterable or (
        isinstance(origin, type) and issubclass(origin, Iterator)
    ):
        piece = (typing.get_args(hint) or (Any,))[0]
        return {} if _origin(piece) in _VAGUE else _outputs(piece)
    return {OUTPUT: slot_of(OUTPUT, hint)}


def slot_of(name: str, hint: Any) -> Slot:
    """Return what one hint says; raises ``Unhinted`` where that is too little."""
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:  # before anything hashes it: a note may be a list
        return _annotated(name, hint)
    if hint in _SCALARS:
        dtype = dtype_named(_SCALARS[hint])
        return Slot(TensorSpec(name, dtype, (), (), _TEXT.get(hint)), hint, scalar=True)
    if origin in {list, tuple} or _is_sequence(origin):
        return _listed(name, hint)
    if origin is np.ndarray or hint is np.ndarray:
        return Slot(_array(name, hint))
    raise Unhinted(f"the type {_shown(hint)} of {name!r} says no datatype and shape")


def _annotated(name: str, hint: Any) -> Slot:
    base, *notes = typing.get_args(hint)
    shape = next((n for n in notes if isinstance(n, (tuple, list))), None)
    word = next((n for n in notes if isinstance(n, (str, type, np.dtype))), None)
    if shape is None or word is None:
        return slot_of(name, base)
    spec = declared_spec(name, (word, shape))
    element = None if _origin(base) is np.ndarray else _element(base)
    return Slot(spec, element, scalar=base in _SCALARS)


def _listed(name: str, hint: Any) -> Slot:
    rank = 0
    inner = hint
    while typing.get_origin(inner) in {list, tuple} or _is_sequence(typing.get_origin(inner)):
        inner = (typing.get_args(inner) or (Any,))[0]
        rank += 1
    if inner not in _SCALARS:
        raise Unhinted(f"the type {_shown(hint)} of {name!r} says no datatype")
    spec = TensorSpec(name, dtype_named(_SCALARS[inner]), (-1,) * rank, (), _TEXT.get(inner))
    return Slot(spec, inner)


def _array(name: str, hint: Any) -> TensorSpec:
    shape, dtype = (*typing.get_args(hint), Any, Any)[:2]
    kinds = typing.get_args(dtype)
    axes = typing.get_args(shape)
    if not kinds or not axes or Ellipsis in axes or Any in axes:
        raise Unhinted(f"the type {_shown(hint)} of {name!r} says no datatype and shape")
    return TensorSpec(name, dtype_named(_word(kinds[0])), (-1,) * len(axes))


def _element(base: Any) -> type | None:
    while typing.get_args(base):
        base = typing.get_args(base)[0]
    return base if base in _SCALARS else None


def _is_sequence(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Sequence) and origin is not str


def _word(dtype: Any) -> str:
    return dtype if isinstance(dtype, str) else np.dtype(dtype).name


def _shown(hint: Any) -> str:
    return (
        hint.__name__
        if isinstance(hint, type) and not isinstance(hint, types.GenericAlias)
        else str(hint)
    )


def _texts(array: np.ndarray, element: type) -> Any:
    def one(value: Any) -> Any:
        return as_bytes(value).decode() if element is str else as_bytes(value)

    if array.ndim == 0:
        return one(array.item())
    return [_texts(a, element) if isinstance(a, np.ndarray) else one(a) for a in array]
