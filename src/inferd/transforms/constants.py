"""Constants of a step given per element of an axis: which axis, in which shape, and its size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from inferd.core.errors import InvalidInput
from inferd.transforms.draft import Axis, Draft
from inferd.transforms.parameter import StepError


def values_axis(values: Any, draft: Draft, axis: int | None) -> int | None:
    """Return the axis a list of values runs along, ``None`` for one value for all.

    Without ``axis`` it is the last axis of that size, else axis 1, else a free last one. Raises
    ``StepError``.
    """
    if not isinstance(values, list):
        return None
    shape, count = draft.shape, len(values)
    rank = len(shape)
    if axis is not None and not -rank <= axis < rank:
        raise StepError(f"axis: there is no axis {axis} in {draft.text()}")
    if axis is None:
        axis = next((a for a in (rank - 1, 1) if 0 < a < rank and shape[a] == count), rank - 1)
    axis %= rank
    if axis == 0 or shape[axis] not in (count, -1):
        raise StepError(
            f"{count} values fit no axis of {draft.name!r}, which is {draft.text()}",
            help="give one number, or one per element of an axis, and name it with axis:",
        )
    return axis


def constants(values: Any, axis: int | None, rank: int, dtype: np.dtype) -> np.ndarray:
    """Return ``values`` shaped to broadcast along ``axis`` of a tensor of ``rank`` axes."""
    if axis is None:
        return np.asarray(values, dtype)
    view = [1] * rank
    view[axis] = len(values)
    return np.asarray(values, dtype).reshape(view)


def settled(draft: Draft, lists: tuple[Any, ...], axis: int | None) -> Draft:
    """Return ``draft`` with a free axis set to the length of the list that runs along it."""
    if draft.axes is None:
        return draft
    axes = list(draft.axes)
    for values in lists:
        at = values_axis(values, draft, axis)
        if at is not None and axes[at].size < 0:
            axes[at] = Axis(len(values))
    return replace(draft, axes=tuple(axes))


def sizes_check(given: Draft, result: Draft) -> Callable[[np.ndarray], None]:
    """Return a check of axes that only a run can know, for numpy would stretch a size of 1."""
    sizes = [
        (i, after) for i, (before, after) in enumerate(zip(given.shape, result.shape, strict=True))
        if before != after
    ]  # fmt: skip

    def check(x: np.ndarray) -> None:
        for axis, size in sizes:
            if x.shape[axis] != size:
                raise InvalidInput(
                    f"{given.name!r} has {x.shape[axis]} values along axis {axis}, not {size}"
                )

    return check
