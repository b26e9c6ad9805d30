"""Constants of the file as arrays of the type they are meant for."""

from __future__ import annotations

from typing import Any

import numpy as np

from inferd.core import constant as core
from inferd.core.constant import Unfit, short
from inferd.core.errors import ConfigError
from inferd.core.tensor import uneven
from inferd.routing.pipeline.check.edges import shown
from inferd.routing.pipeline.spec import Constant, Value


def constant_array(constant: Constant, wanted: Value, what: str) -> np.ndarray:
    """Return a constant as an array of the datatype and shape of ``wanted``, without batch axis.

    An empty list stands for an empty array where the first axis is free. A list whose elements may differ in
    shape becomes a column of ``core.tensor.uneven``. ``what``: names it in the ``ConfigError`` for one that
    does not fit.
    """
    try:
        if wanted.uneven:
            return _column(constant.value, wanted)
        return core.constant_array(constant.value, wanted.dtype, wanted.shape)
    except Unfit as error:
        raise ConfigError(
            f"{constant.where}: {what} is {shown(wanted)}, and the constant {error}"
        ) from None


def _column(value: Any, wanted: Value) -> np.ndarray:
    if not isinstance(value, list):
        raise Unfit(f"{short(value)} is no list")
    if wanted.shape[0] not in (-1, len(value)):
        raise Unfit(f"has {len(value)} elements")
    return uneven([core.constant_array(item, wanted.dtype, wanted.shape[1:]) for item in value])
