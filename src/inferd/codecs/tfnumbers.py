"""Numbers as TensorFlow Serving writes them: floats that say they are floats, and bare tokens.

A float always carries a point or an exponent (``1.0``, never ``1``) and reads back as the same value
in its tensor's precision; NaN and the infinities are the bare tokens ``NaN``, ``Infinity`` and
``-Infinity``, which JSON does not have and this protocol's clients read. The JSON library writes the
first of these as wanted, and the second as ``null``: so only an answer in which that word occurs is
looked through, and only its arrays that hold such values are written anew.

Source: tensorflow/serving, ``util/json_tensor.cc`` (``WriteDecimal``).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from inferd.codecs import json

_NULL = b"null"
NAN, INFINITY, MINUS_INFINITY = b"NaN", b"Infinity", b"-Infinity"


def dumps(value: Any) -> bytes:
    """Encode ``value``, arrays in place; NaN and the infinities as bare tokens.

    ``value`` holds no ``None``. Raises ``Unsupported`` as ``json.dumps`` does.
    """
    body = json.dumps(value)
    return body if _NULL not in body else json.dumps(_bare(value))


def _bare(value: Any) -> Any:
    """Return ``value`` with what is not finite as JSON text that stands for itself."""
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_bare(item) for item in value]
    if isinstance(value, np.ndarray):
        return _array(value) if value.dtype.kind == "f" else value
    if isinstance(value, (float, np.floating)) and not math.isfinite(value):
        return json.verbatim(_token(float(value)))
    return value


def _array(array: np.ndarray) -> Any:
    text = json.dumps(array)
    if _NULL not in text:
        return array
    lost = array.reshape(-1)
    lost = lost[~np.isfinite(lost)]
    if np.isnan(lost).all():
        return json.verbatim(text.replace(_NULL, NAN))
    # The words stand in the order of the values, and no other text is in an array of floats.
    parts = text.split(_NULL)
    tokens = [_token(number) for number in lost.tolist()]
    return json.verbatim(
        b"".join(p for pair in zip(parts, tokens, strict=False) for p in pair) + parts[-1]
    )


def _token(number: float) -> bytes:
    if math.isnan(number):
        return NAN
    return INFINITY if number > 0 else MINUS_INFINITY
