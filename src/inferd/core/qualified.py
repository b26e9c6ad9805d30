"""Names of a pipeline's own steps, told apart where one worker answers for all of them.

A tensor ``x`` of the step ``crop`` is ``crop.x`` there. A list of arrays that may differ in shape (a column
of ``uneven``) travels as its length, ``crop.x[]``, and its elements, ``crop.x[0]`` and so on: each by
itself, so that none is copied more than once.
"""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from inferd.core.errors import InvalidInput
from inferd.core.tensor import Tensors, uneven

LISTED = "[]"
MAX_ELEMENTS = 4096
"""Arrays in one list."""


def packed(step: str, tensors: Tensors, lists: Container[str]) -> Tensors:
    """Return the tensors of a step under their qualified names; those in ``lists`` are lists of arrays.

    Raises ``InvalidInput`` for a list that is too long.
    """
    out: Tensors = {}
    for name, array in tensors.items():
        whole = f"{step}.{name}"
        if name not in lists:
            out[whole] = array
            continue
        if len(array) > MAX_ELEMENTS:
            raise InvalidInput(
                f"{name!r} of the step {step!r} holds {len(array)} arrays, over {MAX_ELEMENTS}"
            )
        out[whole + LISTED] = np.array(len(array), np.int64)
        out.update((f"{whole}[{i}]", np.asarray(one)) for i, one in enumerate(array))
    return out


def unpacked(tensors: Tensors) -> tuple[str, Tensors]:
    """Return the step that qualified tensors are of, and the tensors under their own names.

    Raises ``KeyError`` where elements of a list are missing.
    """
    whole = dict(tensors)
    out: Tensors = {}
    step = ""
    for qualified, array in tensors.items():
        if qualified not in whole:
            continue  # an element of a list that was put together already
        step, _, name = qualified.partition(".")
        if qualified.endswith(LISTED):
            stem = qualified.removesuffix(LISTED)
            name = name.removesuffix(LISTED)
            array = uneven([whole.pop(f"{stem}[{i}]") for i in range(int(array))])
        out[name] = array
    return step, out
