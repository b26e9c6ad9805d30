"""Values between steps: found, fitted, given a batch axis and freed of it, and checked. Pure, no copies.

A value is that of one example, without batch axis; where a request of several rows goes through a
``straight`` pipeline in one go, values have the rows on axis 0. Only ``stacked`` and ``gathered`` copy, once,
where elements come apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inferd.core.errors import InferdError, ModelFailed
from inferd.core.tensor import Tensors, dtype_of, is_uneven, uneven
from inferd.routing.pipeline.execute.wiring import Slot, Source

Values = list["np.ndarray | None"]


def found(source: Source, values: Values) -> np.ndarray | None:
    """Return the first value that feeds an input; ``None`` where none is there."""
    for place in source.places:
        value = values[place]
        if value is not None:
            return value
    return source.constant


def fitted(array: np.ndarray, rank: int) -> np.ndarray:
    """Return the array with ``rank`` axes: an axis of one at the end is added or left out."""
    if array.ndim == rank + 1 and array.shape[-1] == 1:
        return array.reshape(array.shape[:-1])
    if array.ndim == rank - 1:
        return array.reshape((*array.shape, 1))
    return array


def lowered(array: np.ndarray) -> np.ndarray:
    """Return the one example of a batch of one."""
    # reshape, for indexing would give the element itself where an example is one number or text
    return array.reshape(array.shape[1:])


def repeated(array: np.ndarray, rows: int) -> np.ndarray:
    """Return one example as ``rows`` equal ones; a view."""
    return np.broadcast_to(array, (rows, *array.shape))


def stacked(elements: Sequence[np.ndarray]) -> np.ndarray:
    """Return elements as one list: an array where their shapes are equal, else an uneven column."""
    shape = elements[0].shape
    if all(e.shape == shape for e in elements):
        return np.stack(elements)
    return uneven(elements)


def gathered(batches: Sequence[np.ndarray]) -> np.ndarray:
    """Return batches of one as one list, as ``stacked`` does."""
    shape = batches[0].shape
    if all(b.shape == shape for b in batches):
        return np.concatenate(batches)
    return uneven([lowered(b) for b in batches])


def even(array: np.ndarray) -> np.ndarray | None:
    """Return a list as one array, stacked where need be; ``None`` where its elements differ."""
    if not array.dtype.hasobject or not is_uneven(array):
        return array
    shape = array[0].shape
    if any(e.shape != shape for e in array):
        return None
    return np.stack(list(array))


def element(array: np.ndarray, index: int) -> np.ndarray:
    """Return one element of a list, a view."""
    if array.dtype.hasobject and array.ndim == 1:
        one = array[index]
        if isinstance(one, np.ndarray):
            return one
    return array[index : index + 1].reshape(array.shape[1:])


def taken(outputs: object, slots: Sequence[Slot], rows: int | None) -> list[np.ndarray]:
    """Return the outputs that are used, checked; ``rows``: the size of axis 0 where that is a batch.

    Raises ``ModelFailed``, which says what came and what was expected.
    """
    if not isinstance(outputs, dict):
        raise ModelFailed(f"the answer is a {type(outputs).__name__}, not tensors by name")
    kept = []
    for slot in slots:
        array = outputs.get(slot.name)
        if array is None:
            raise _lacks(slot, outputs)
        if not isinstance(array, np.ndarray):
            raise ModelFailed(f"output {slot.name!r} is a {type(array).__name__}, not a tensor")
        if rows is not None and (not array.ndim or array.shape[0] != rows):
            raise ModelFailed(
                f"output {slot.name!r} has shape {list(array.shape)}, expected {rows} on its first axis"
            )
        seen = (array.shape, array.dtype)
        if seen != slot.seen:
            _check(slot, array, 0 if rows is None else 1)
            if not slot.uneven:
                slot.seen = seen
        kept.append(array)
    return kept


def _lacks(slot: Slot, outputs: Tensors) -> ModelFailed:
    came = ", ".join(repr(str(name)[:80]) for name in list(outputs)[:20]) or "none"
    return ModelFailed(f"output {slot.name!r} is missing", help=f"it answered: {came}")


def _check(slot: Slot, array: np.ndarray, lead: int) -> None:
    """Check datatype, axes and fixed sizes; ``lead``: axes before those of an example."""
    if slot.uneven and array.dtype.hasobject and array.shape == (0,):
        return  # a column of no elements, which tell no datatype
    if array.dtype.hasobject and is_uneven(array):
        if not slot.uneven:
            raise ModelFailed(
                f"output {slot.name!r} is a list of unequal shapes, expected {_type(slot)}"
            )
        for one in array:
            _fits(slot, one, slot.shape[1:])
        return
    _fits(slot, array, (*([-1] * lead), *slot.shape))


def _fits(slot: Slot, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray):
        raise ModelFailed(f"output {slot.name!r} holds a {type(array).__name__} among tensors")
    if array.dtype != slot.dtype.numpy and _other(array, slot):
        raise ModelFailed(
            f"output {slot.name!r} has datatype {_named(array)}, expected {slot.dtype}"
        )
    if len(array.shape) != len(shape) or any(
        want not in (-1, got) for want, got in zip(shape, array.shape, strict=False)
    ):
        raise ModelFailed(
            f"output {slot.name!r} has shape {list(array.shape)}, expected {list(shape)}",
            help="-1 stands for any size",
        )


def _other(array: np.ndarray, slot: Slot) -> bool:
    try:
        return dtype_of(array) is not slot.dtype
    except InferdError:
        return True


def _named(array: np.ndarray) -> str:
    try:
        return str(dtype_of(array))
    except InferdError:
        return str(array.dtype)


def _type(slot: Slot) -> str:
    return f"{slot.dtype} {list(slot.shape)}"
