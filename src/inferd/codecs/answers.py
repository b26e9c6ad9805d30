"""Answers in other types than JSON: CSV, npy, npz, JSON Lines, and bytes as they are.

Which types an answer may have follows from the outputs of the signature: a table where the part of an
example is a row of values, an array where there is one output, bare bytes where that is one text or
byte string. Numbers keep their datatype and their shortest form; a table has no header, as SageMaker's
have none. Bytes that are not text cannot be in a table.
"""

from __future__ import annotations

import csv as _stdlib
import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from inferd.codecs import json, jsonlines
from inferd.codecs.base import Encoded, Encoder
from inferd.codecs.media import CSV, JSON, JSON_LINES, NPY, NPZ, OCTETS, TEXT
from inferd.codecs.npz import write, write_npy
from inferd.codecs.results import Results
from inferd.codecs.values import holds_one
from inferd.core.errors import NotAcceptable, Unsupported
from inferd.core.signature import Signature, is_text
from inferd.core.tensor import BYTES, Tensors, as_bytes

ANSWERS = (JSON, CSV, NPY, NPZ, JSON_LINES, TEXT, OCTETS)
"""Every type an answer may have, the preferred first."""


def offers(signature: Signature) -> tuple[str, ...]:
    """Return the types that the answers of a model of this signature may have, JSON first."""
    lone = signature.outputs[0] if len(signature.outputs) == 1 else None
    bare = lone is not None and lone.dtype is BYTES and holds_one(lone, signature)
    fits = {
        JSON: True,
        CSV: signature.batched and all(len(s.shape) <= 2 for s in signature.outputs),
        NPY: lone is not None,
        NPZ: True,
        JSON_LINES: signature.batched,
        TEXT: bare and lone is not None and is_text(lone),
        OCTETS: bare,
    }
    return tuple(media for media in ANSWERS if fits[media])


def answerer(media: str, signature: Signature) -> Encoder:
    """Return the encoder of a type that is not JSON; raises ``NotAcceptable`` where it cannot be."""
    if media not in offers(signature) or media not in _WRITERS:
        raise NotAcceptable(
            f"this model does not answer in {media}", help="it has " + ", ".join(offers(signature))
        )
    return Answers(media, signature)


class Answers:
    """Encoder of one type for one signature."""

    def __init__(self, media: str, signature: Signature) -> None:
        self._media = media.encode()
        self._write = _WRITERS[media]
        self._signature = signature

    def encode(
        self,
        outputs: Tensors | list[Tensors],
        single: bool,
        id: str | None = None,
        model: str = "",
        version: str = "",
        form: Any = None,
    ) -> Encoded:
        """Encode outputs; raises ``Unsupported`` where these have no such form."""
        return Encoded(self._write(self._signature, outputs, single), self._media)


def _joined(outputs: Tensors | list[Tensors], media: str) -> Tensors:
    """Return rows that were run one by one as one batch."""
    if isinstance(outputs, dict):
        return outputs
    try:
        return {name: np.concatenate([row[name] for row in outputs]) for name in outputs[0]}
    except ValueError:
        raise Unsupported(
            f"the examples were answered in unequal shapes, which {media} cannot hold",
            help=f"ask for {JSON}",
        ) from None


# --------------------------------------------------------------------------------------- tables


def _csv(signature: Signature, outputs: Tensors | list[Tensors], single: bool) -> bytes:
    if isinstance(outputs, list):
        return b"".join(_csv(signature, row, single) for row in outputs)
    columns = [a.reshape(a.shape[0], math.prod(a.shape[1:])) for a in outputs.values()]
    if len(columns) == 1 and columns[0].size and columns[0].dtype.kind in "iuf":
        (column,) = columns
        if column.dtype.kind != "f" or np.isfinite(column).all():
            # The digits of JSON are those of a table; its brackets become line ends.
            return json.dumps(column)[2:-2].replace(b"],[", b"\n") + b"\n"
    out = io.StringIO()
    writer = _stdlib.writer(out, lineterminator="\n")
    texts = [_cells(column) for column in columns]
    writer.writerows([cell for row in rows for cell in row] for rows in zip(*texts, strict=True))
    return out.getvalue().encode()


def _cells(column: np.ndarray) -> list[list[str]]:
    if column.dtype.hasobject:
        return [[_text(element) for element in row] for row in column]
    if column.dtype.kind == "b":
        return [["true" if value else "false" for value in row] for row in column.tolist()]
    return [[str(value) for value in row] for row in column]


def _text(element: object) -> str:
    try:
        return as_bytes(element).decode()
    except UnicodeDecodeError:
        raise Unsupported(
            "an output holds bytes that are not text, which a table cannot hold",
            help=f"ask for {JSON}",
        ) from None


# --------------------------------------------------------------------------------------- arrays


def _npy(signature: Signature, outputs: Tensors | list[Tensors], single: bool) -> bytes:
    ((_, array),) = _joined(outputs, NPY).items()
    return write_npy(_fixed(_part(signature, array, single)))


def _npz(signature: Signature, outputs: Tensors | list[Tensors], single: bool) -> bytes:
    arrays = _joined(outputs, NPZ).items()
    return write({name: _fixed(_part(signature, a, single)) for name, a in arrays})


def _part(signature: Signature, array: np.ndarray, single: bool) -> np.ndarray:
    """Return the array without its batch axis where one example was asked."""
    return array.reshape(array.shape[1:]) if single and signature.batched else array


def _fixed(array: np.ndarray) -> np.ndarray:
    """Return texts in numpy's own fixed-width form: an object array would be a pickle."""
    if not array.dtype.hasobject:
        return np.ascontiguousarray(array) if array.ndim else array
    elements = [as_bytes(e) for e in array.flat]
    kind = "S"
    try:
        texts: list[Any] = [e.decode() for e in elements]
        kind = "U"
    except UnicodeDecodeError:
        texts = elements
    if any(t.endswith("\0" if kind == "U" else b"\0") for t in texts):
        raise Unsupported(
            "an output ends in a zero byte, which numpy's arrays of texts drop",
            help=f"ask for {JSON}",
        )
    return np.array(texts, kind).reshape(array.shape)


# ---------------------------------------------------------------------------------------- lines


def _lines(signature: Signature, outputs: Tensors | list[Tensors], single: bool) -> bytes:
    result = Results(signature).result(outputs, single)
    return jsonlines.dumps([result] if single else list(result))


def _bare(signature: Signature, outputs: Tensors | list[Tensors], single: bool) -> bytes:
    rows = outputs if isinstance(outputs, list) else [outputs]
    elements = [as_bytes(e) for row in rows for array in row.values() for e in array.flat]
    if len(elements) != 1:
        raise Unsupported(
            f"{len(elements)} answers cannot be one body of bytes", help="send one example"
        )
    return elements[0]


_WRITERS: dict[str, Callable[[Signature, Tensors | list[Tensors], bool], bytes]] = {
    CSV: _csv, NPY: _npy, NPZ: _npz, JSON_LINES: _lines, TEXT: _bare, OCTETS: _bare,
}  # fmt: skip
