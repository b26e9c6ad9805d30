"""The ``.npy`` format: one array as bytes, read without pickle and without a copy.

The header is a Python literal, but nothing is evaluated: three keys are matched by pattern, the
sizes multiplied as Python integers and compared with the bytes that are there, and only then is an
array made, as a view on the body. Object, structured and date arrays are refused.

Source: numpy's NEP 1 and ``numpy.lib.format`` (versions 1.0 to 3.0).
"""

from __future__ import annotations

import math
import re

import numpy as np

from inferd.codecs.base import Decoded, split_rows
from inferd.codecs.values import MAX_TEXTS, check_shape, show_shape
from inferd.core.errors import InvalidInput, TooLarge, UnsupportedMedia
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, as_bytes

MAGIC = b"\x93NUMPY"
MAX_HEADER = 4096
MAX_AXES = 32

_ITEM = re.compile(
    r"\s*(?P<q>['\"])(?P<key>\w{1,20})(?P=q)\s*:\s*"
    r"(?:(?P<quote>['\"])(?P<descr>[^'\"]{1,16})(?P=quote)|(?P<flag>True|False)"
    r"|\((?P<shape>[0-9,\s]*)\))\s*(?:,|$)"
)
_DESCR = re.compile(r"[<>|=]?([biufSU])([0-9]{1,8})")


def parse(body: bytes) -> np.ndarray:
    """Return the array in ``body``: a read-only view of it where byte order and layout allow.

    Raises ``InvalidInput`` for anything but one complete, plain array.
    """
    start, header = _header(body)
    dtype, fortran, shape = _fields(header)
    count = math.prod(shape)
    need, have = count * dtype.itemsize, len(body) - start
    if need != have:
        raise InvalidInput(
            f"the npy array {dtype.name} {show_shape(shape)} takes {need} bytes, "
            f"the body holds {have} after its header"
        )
    try:
        if count == 0:
            return np.empty(shape, dtype.newbyteorder("="))
        flat = np.frombuffer(body, dtype, offset=start)
        array = flat.reshape(shape, order="F" if fortran else "C")
    except (ValueError, OverflowError, MemoryError):
        raise InvalidInput(f"an npy array of shape {show_shape(shape)} cannot be read") from None
    if not array.dtype.isnative or not array.flags.aligned or not array.flags.c_contiguous:
        array = np.array(array, dtype.newbyteorder("="), order="C")
    return array


def _header(body: bytes) -> tuple[int, str]:
    if body[:6] != MAGIC or len(body) < 10:
        raise InvalidInput("the body is not an npy file: it does not begin with \\x93NUMPY")
    major = body[6]
    if major not in (1, 2, 3) or body[7] != 0:
        raise InvalidInput(f"npy format {major}.{body[7]} is not known; 1.0, 2.0 and 3.0 are")
    width = 2 if major == 1 else 4
    size = int.from_bytes(body[8 : 8 + width], "little")
    start = 8 + width + size
    if size > MAX_HEADER:
        raise InvalidInput(f"the npy header is {size} bytes; at most {MAX_HEADER} are accepted")
    if len(body) < start:
        raise InvalidInput("the npy header is cut off")
    try:
        return start, bytes(body[8 + width : start]).decode("ascii")
    except UnicodeDecodeError:
        raise InvalidInput("the npy header is not plain text") from None


def _fields(header: str) -> tuple[np.dtype, bool, tuple[int, ...]]:
    text = header.strip()
    if not (text.startswith("{") and text.endswith("}")):
        raise _bad_header()
    text, at = text[1:-1].strip(), 0
    found: dict[str, str] = {}
    while at < len(text):
        item = _ITEM.match(text, at)
        if item is None or item["key"] in found:
            raise _bad_header()
        value = item["descr"] or item["flag"]
        found[item["key"]] = value if value is not None else f"({item['shape']}"
        at = item.end()
    if set(found) != {"descr", "fortran_order", "shape"} or not found["shape"].startswith("("):
        raise _bad_header()
    if found["fortran_order"] not in ("True", "False"):
        raise _bad_header()
    return _dtype(found["descr"]), found["fortran_order"] == "True", _shape(found["shape"][1:])


def _bad_header() -> InvalidInput:
    return InvalidInput(
        "the npy header is not one of a plain array",
        help="save one array of numbers with numpy.save(..., allow_pickle=False)",
    )


def _dtype(descr: str) -> np.dtype:
    plain = _DESCR.fullmatch(descr)
    if plain is None or int(plain[2]) == 0:
        raise InvalidInput(
            f"npy arrays of dtype {descr!r} are not accepted",
            help="send booleans, integers, floats or texts (dtype S or U)",
        )
    try:
        return np.dtype(descr)
    except TypeError:
        raise InvalidInput(f"npy dtype {descr!r} is not known") from None


def _shape(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if parts and not parts[-1]:
        parts.pop()
    if any(not part.isdigit() or len(part) > 18 for part in parts) or len(parts) > MAX_AXES:
        raise _bad_header()
    return tuple(map(int, parts))


def fit(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Return ``array`` in the datatype of ``spec``.

    Within a kind (integers, floats) and from integer to float, values kept in range; anything else
    raises ``InvalidInput``. BYTES takes S and U arrays.
    """
    if spec.dtype is BYTES:
        return _texts(array, spec)
    wanted = spec.dtype.numpy
    if array.dtype == wanted:
        return array
    if (array.dtype.kind == "b") != (wanted.kind == "b") or not np.can_cast(
        array.dtype, wanted, "same_kind"
    ):
        raise InvalidInput(
            f"input {spec.name!r} takes {spec.dtype.name}; the array holds {array.dtype.name}",
            help=f"convert it with array.astype({wanted.name!r})",
        )
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(wanted)
    if not _kept(array, cast):
        raise InvalidInput(
            f"input {spec.name!r} takes {spec.dtype.name}; the array holds values out of range"
        )
    return cast


def _kept(array: np.ndarray, cast: np.ndarray) -> bool:
    if np.can_cast(array.dtype, cast.dtype, "safe"):
        return True
    if cast.dtype.kind in "iu":
        return bool((cast == array).all())
    return not bool((np.isinf(cast) & np.isfinite(array)).any())


def _texts(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    if array.dtype.kind not in "SU":
        raise InvalidInput(
            f"input {spec.name!r} takes texts; the npy array holds {array.dtype.name}"
        )
    if array.size > MAX_TEXTS:
        raise TooLarge(f"the npy array holds {array.size} texts; at most {MAX_TEXTS} are accepted")
    texts = np.empty(array.size, object)
    try:
        for index, element in enumerate(array.ravel().tolist()):
            texts[index] = as_bytes(element)
    except ValueError:  # UnicodeEncodeError, or a code point beyond the last
        raise InvalidInput(f"input {spec.name!r}: the npy array holds invalid text") from None
    return texts.reshape(array.shape)


class NpyCodec:
    """``application/x-npy``: the one input of a model as an array; its rank decides."""

    def __init__(self, signature: Signature, plan: BatchPlan | None = None) -> None:
        self._signature = signature
        self._split = plan is not None and plan.split

    def decode(self, body: bytes) -> Decoded:
        """Decode an array that is one example or a batch of them."""
        spec = self._signature.lone
        if spec is None:
            raise UnsupportedMedia(
                f"application/x-npy holds one array; the model takes "
                f"{len(self._signature.inputs)} inputs",
                help="send application/json",
            )
        array = fit(parse(body), spec)
        if not self._signature.batched:
            check_shape(array.shape, spec.shape, spec, "the value")
            return Decoded({spec.name: array}, None, True)
        rank = len(spec.shape) - 1
        if array.ndim == rank:
            check_shape(array.shape, spec.shape[1:], spec, "an example")
            return Decoded({spec.name: array[np.newaxis]}, None, True)
        check_shape(array.shape, spec.shape, spec, "a batch")
        if array.shape[0] == 0:
            raise InvalidInput("the batch holds no examples")
        if self._split and array.shape[0] > 1:
            return Decoded(None, split_rows({spec.name: array}, array.shape[0]))
        return Decoded({spec.name: array})
