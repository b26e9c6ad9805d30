"""Types of values, and which may feed which.

Datatypes must be equal. Sizes must be equal; a free axis (``-1``) agrees with every size, and what really
comes is checked where it is taken. The number of axes must be equal, but a single value, ``[]``, and a list
of one, ``[1]``, feed each other. A list whose elements may differ in shape feeds only a Python
function that says that it takes one, or an input under ``map:``, which is fed its elements.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from inferd.core.constant import ONE
from inferd.core.signature import TensorSpec
from inferd.core.tensor import BYTES, uneven
from inferd.routing.pipeline.spec import Value


def shown(value: Value) -> str:
    """Return a type as a person reads it: ``float32[?, 4]``, ``a list of uint8[?, ?, 3]``."""
    shape = value.shape[1:] if value.uneven else value.shape
    sizes = ", ".join("?" if n < 0 else str(n) for n in shape)
    name = (value.content or "bytes") if value.dtype is BYTES else value.dtype.numpy.name
    return f"a list of {name}[{sizes}]" if value.uneven else f"{name}[{sizes}]"


def of_spec(spec: TensorSpec, *, batched: bool, uneven: bool = False) -> Value:
    """Return the type of one example of a callee's tensor."""
    shape = spec.shape[1:] if batched else spec.shape
    return Value(spec.dtype, tuple(shape), uneven and len(shape) > 0, spec.content)


def spec(name: str, value: Value, *, batched: bool = False) -> TensorSpec:
    """Return a type as a tensor of a signature: the reverse of ``of_spec``."""
    shape = (-1, *value.shape) if batched else value.shape
    return TensorSpec(name, value.dtype, shape, (), value.content)


def sample(value: Value) -> np.ndarray:
    """Return a value of a type, as small as one can be: a zero or an empty text, in as many axes."""
    if value.uneven:
        return uneven([sample(replace(value, shape=value.shape[1:], uneven=False))])
    return np.full((1,) * len(value.shape), b"" if value.dtype is BYTES else 0, value.dtype.numpy)


def listed(value: Value) -> Value:
    """Return the type of a list of such values: they may differ in shape where an axis is free."""
    return replace(value, shape=(-1, *value.shape), uneven=-1 in value.shape)


def element(value: Value) -> Value | None:
    """Return the type of an element, ``None`` where the value is no list."""
    if not value.shape:
        return None
    return replace(value, shape=value.shape[1:], uneven=False)


def mismatch(given: Value, wanted: Value) -> str | None:
    """Return what to do where ``given`` cannot feed ``wanted``, ``None`` where it can."""
    if given.dtype is not wanted.dtype:
        return "convert it in a Python step"
    if given.uneven and not wanted.uneven:
        return "its elements may differ in shape: feed it under map:, or take it in a Python step as list[...]"
    if given.shape in ONE and wanted.shape in ONE:
        return None
    if len(given.shape) != len(wanted.shape):
        return "reshape it in a Python step; only [] and [1] stand for each other"
    fits = all(a == b or -1 in (a, b) for a, b in zip(given.shape, wanted.shape, strict=True))
    return None if fits else "its sizes are others"


def narrowed(first: Value, second: Value) -> Value:
    """Return ``first`` with the sizes that only ``second`` knows; they must agree."""
    if len(first.shape) != len(second.shape):
        return first
    shape = (b if a < 0 else a for a, b in zip(first.shape, second.shape, strict=True))
    return replace(first, shape=tuple(shape), content=first.content or second.content)


def either(values: Iterable[Value]) -> Value:
    """Return the type of what may be any of ``values``: sizes that differ are free.

    They must be of one datatype and one number of axes, ``[]`` and ``[1]`` aside.
    """
    first, *rest = values
    for value in rest:
        if len(value.shape) == len(first.shape):
            sizes = zip(first.shape, value.shape, strict=True)
            shape = tuple(a if a == b else -1 for a, b in sizes)
            first = replace(first, shape=shape, uneven=first.uneven or value.uneven)
        if first.content != value.content:
            first = replace(first, content=None)
    return first


def alike(first: Value, second: Value) -> bool:
    """Return whether the two may be sources of one output: datatype and number of axes are the same."""
    same_rank = len(first.shape) == len(second.shape)
    return first.dtype is second.dtype and (
        same_rank or (first.shape in ONE and second.shape in ONE)
    )
