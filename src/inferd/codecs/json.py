"""JSON bytes to Python values and back, bounded in depth and strict in form.

orjson does the work. What it does not do is added around it: a limit on nesting that is checked
before parsing (a body shorter than the limit, or with fewer opening brackets, cannot exceed it, so
small bodies pay for a comparison only); the bare ``NaN`` and ``Infinity`` tokens that Python's own
``json`` and rapidjson write, by a second, slower parse only after the first has failed; and an
error that says where. A key given twice keeps its last value, as in every common parser.

NaN and the infinities are written as ``null``, which is what RFC 8259 leaves and what the Open
Inference Protocol's servers do.
"""

from __future__ import annotations

import base64
import json as _stdlib
import re
from typing import Any

import numpy as np
import orjson

from inferd.core.errors import InvalidInput, Unsupported

MAX_DEPTH = 64

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_CLOSED = re.compile(rb'(?:[^"]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
"""What comes before a string that has no end; from its quotes on nothing is looked at twice."""

_NOT_BRACKET = bytes(b for b in range(256) if b not in b"[]{}")
_STEP = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_OPTION = orjson.OPT_SERIALIZE_NUMPY
_BARE = (b"NaN", b"Infinity")
_SLICE = 1 << 18

verbatim = orjson.Fragment
"""JSON text (bytes) that ``dumps`` writes as it stands, anywhere in a value."""


def depth_of(body: bytes) -> int:
    """Return how deep brackets nest in ``body``, strings left out. Linear, without recursion.

    Goes through slices, since what is left of one takes many times its size for a moment.
    """
    deepest = depth = at = 0
    size = _SLICE
    while at < len(body):
        piece = body[at : at + size]
        closed = _CLOSED.match(piece).end()  # type: ignore[union-attr]  # it matches nothing as well
        last = at + size >= len(body)
        if not closed and not last:  # a string that goes on in the next slice
            size *= 2
            continue
        bare = _STRING.sub(b"", piece[:closed])
        steps = np.frombuffer(bare.translate(_STEP, _NOT_BRACKET), np.int8)
        if steps.size:
            sums = steps.cumsum(dtype=np.int64)
            deepest = max(deepest, depth + int(sums.max()))
            depth += int(sums[-1])
        at = len(body) if last else at + closed  # what may be left at the end is a string cut off
        size = _SLICE
    return deepest


def loads(body: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Parse a body. Raises ``InvalidInput`` with line and column, or when it nests too deep.

    Bare ``NaN``, ``Infinity`` and ``-Infinity`` are read as floats.
    """
    if len(body) > max_depth and body.count(b"[") + body.count(b"{") > max_depth:
        depth = depth_of(body)
        if depth > max_depth and body.lstrip()[:1] in (b"[", b"{"):  # else it is no JSON at all
            raise InvalidInput(f"the JSON body nests {depth} deep; at most {max_depth} is accepted")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if any(token in body for token in _BARE):
            return _lenient(body)
        raise _malformed(body, error) from None


def _lenient(body: bytes) -> Any:
    # The depth is known to be bounded here, so the recursive parser is safe.
    try:
        return _stdlib.loads(body.decode("utf-8"))
    except _stdlib.JSONDecodeError as error:
        raise _malformed(body, error) from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the body is not UTF-8: bad byte at offset {error.start}") from None
    except (ValueError, RecursionError):  # an integer of over 4300 digits
        raise InvalidInput("the body is not valid JSON: a number is too long") from None


def _malformed(body: bytes, error: _stdlib.JSONDecodeError) -> InvalidInput:
    if not body.strip():
        return InvalidInput("the body is empty", help='send JSON, for example {"data": [1, 2, 3]}')
    return InvalidInput(
        f"the body is not valid JSON: {error.msg} at line {error.lineno} column {error.colno}",
        help=None if body.isascii() else "if it is no JSON, say in Content-Type what it is",
    )


def dumps(value: Any) -> bytes:
    """Encode ``value``, arrays in place: float32 in its shortest form, NaN and infinity as null.

    Texts of BYTES arrays become strings, and ``{"b64": ...}`` where they are not UTF-8. Raises
    ``Unsupported`` for an array that has no JSON form (complex numbers, objects).
    """
    try:
        return orjson.dumps(value, default=_default, option=_OPTION)
    except orjson.JSONEncodeError:
        pass
    # orjson asks for help with arrays that are not contiguous, not with those of foreign byte order.
    try:
        return orjson.dumps(_native(value), default=_default, option=_OPTION)
    except orjson.JSONEncodeError as error:
        raise Unsupported(f"the answer cannot be written as JSON: {error}") from None


def _native(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _native(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_native(item) for item in value]
    return plain(value) if isinstance(value, np.ndarray) else value


def _default(value: Any) -> Any:
    """Rewrite what orjson hands back: arrays in a layout it does not read, bytes, and scalars.

    Scalars of the C types ``long long`` are those that come back: equal to int64, another class.
    """
    if isinstance(value, np.ndarray):
        return plain(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return text(bytes(value))
    if isinstance(value, np.generic) and value.dtype.kind in "biu":
        return value.item()
    raise Unsupported(f"a {type(value).__name__} cannot be written as JSON")


def plain(array: np.ndarray) -> Any:
    """Return what orjson can write for any array: a native C-ordered one, a scalar, or lists."""
    kind = array.dtype.kind
    if kind in "OSU":
        return _texts(array)
    if kind not in "biuf" or array.dtype.itemsize > 8:
        raise Unsupported(f"an array of dtype {array.dtype} cannot be written as JSON")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native[()] if native.ndim == 0 else np.ascontiguousarray(native)


def _texts(array: np.ndarray) -> Any:
    if array.ndim == 0:
        return text(array.item())
    if array.ndim == 1:
        return [text(element) for element in array.tolist()]
    return [_texts(row) for row in array]


def text(element: object) -> Any:
    """Return one BYTES element as a string, or as ``{"b64": ...}`` where it is not UTF-8."""
    if isinstance(element, str):
        return element
    if isinstance(element, bytes):
        try:
            return element.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(element).decode()}
    raise Unsupported(f"a {type(element).__name__} in a BYTES tensor cannot be written as JSON")
