"""``text/csv``: rows are examples, columns are numbers, and the answer is always a batch.

A model of one vector input takes its vector as the columns; a model of several inputs of one value
each takes one column for each, in the signature's order or, with a header, in any order. Columns of inputs
that have a default may be left out: any of them by a header, all of them without one. A first
row without any number is a header; where the model's inputs are the columns its names must match,
elsewhere it is skipped. An empty cell is NaN in a float column.

Source: RFC 4180 (commas, double quotes, CRLF or LF; a byte order mark is dropped).
"""

from __future__ import annotations

import csv as _stdlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from inferd.codecs.base import Decoded, split_rows
from inferd.codecs.values import from_flat, show_shape, shown
from inferd.core.errors import InvalidInput, UnsupportedMedia, nearest
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, Tensors

FILES = ("image", "audio")
"""What the bytes of an input may be that no cell of a table holds."""

Rows = list[list[str]]


class CsvCodec:
    """Decoder of CSV bodies for one signature."""

    def __init__(self, signature: Signature, plan: BatchPlan | None = None) -> None:
        self._signature = signature
        self._split = plan is not None and plan.split

    def decode(self, body: bytes) -> Decoded:
        """Decode a table; raises ``InvalidInput`` naming the line and column of a bad cell."""
        if not takes_csv(self._signature):
            raise UnsupportedMedia(
                "text/csv needs a model whose examples are one row of values",
                help="inputs: "
                + ", ".join(f"{s.name} {show_shape(s.shape)}" for s in self._signature.inputs),
            )
        table = Table(body)
        specs = self._signature.inputs
        vector = _vector(self._signature)
        inputs = table.columns(specs) if vector is None else table.vector(vector)
        size = len(table.rows)
        if self._split and size > 1:
            return Decoded(None, split_rows(inputs, size))
        return Decoded(inputs)


def takes_csv(signature: Signature) -> bool:
    """Return whether a row of values is an example of this signature."""
    if not signature.batched or any(s.content in FILES for s in signature.inputs):
        return False
    if _vector(signature) is not None:
        return True
    return len(signature.inputs) != 1 and all(
        all(n == 1 for n in s.shape[1:]) for s in signature.inputs
    )


def _vector(signature: Signature) -> TensorSpec | None:
    """Return the one input whose values the columns are, ``None`` where each is an input."""
    lone = signature.lone
    if lone is None or len(lone.shape) > 2:
        return None
    return lone if len(signature.inputs) == 1 or lone.shape[1:] not in ((), (1,)) else None


class Table:
    """A parsed table: its header, if it has one, and rows of equally many cells."""

    def __init__(self, body: bytes) -> None:
        self.rows, self._lines = _read(body)
        self._header: list[str] | None = None

    def vector(self, spec: TensorSpec) -> Tensors:
        """Return the columns as the one input."""
        width = 1 if len(spec.shape) == 1 else spec.shape[1]
        self._take_header([spec])
        if width != -1 and len(self.rows[0]) != width:
            raise InvalidInput(
                f"the table has {len(self.rows[0])} columns; "
                f"input {spec.name!r} takes {width} values"
            )
        array = self._array([cell for row in self.rows for cell in row], spec)
        shape = (len(self.rows),) if len(spec.shape) == 1 else (len(self.rows), -1)
        return {spec.name: array.reshape(shape)}

    def columns(self, specs: tuple[TensorSpec, ...]) -> Tensors:
        """Return one column for each input, found by header or by order."""
        names = [spec.name for spec in specs]
        self._take_header(specs)
        needed = [spec.name for spec in specs if spec.default is None]
        order = self._header
        if order is None:
            order = needed if needed and len(self.rows[0]) == len(needed) else names
        for name in order:
            if name not in names:
                raise InvalidInput(f"column {shown(name)} is no input", help=nearest(name, names))
        there = set(order)
        if (
            len(order) != len(self.rows[0])
            or len(there) != len(order)
            or not there.issuperset(needed)
        ):
            raise InvalidInput(
                f"the table has {len(self.rows[0])} columns for {len(names)} inputs",
                help="columns: " + ",".join(names),
            )
        at = {name: place for place, name in enumerate(order)}
        return {
            spec.name: self._array([row[at[spec.name]] for row in self.rows], spec).reshape(
                (len(self.rows),) + (1,) * (len(spec.shape) - 1)
            )
            for spec in specs
            if spec.name in at
        }

    def _take_header(self, specs: Sequence[TensorSpec]) -> None:
        names = {spec.name for spec in specs}
        needed = {spec.name for spec in specs if spec.default is None} or names
        all_texts = all(spec.dtype is BYTES for spec in specs)
        first = [cell.strip() for cell in self.rows[0]]
        named = needed <= set(first) <= names
        cells = [cell for cell in first if cell]
        if named or (cells and not all_texts and not any(map(_is_number, cells))):
            self._header = first
            self.rows, self._lines = self.rows[1:], self._lines[1:]
            if not self.rows:
                raise InvalidInput("the table has a header and no rows")

    def _array(self, cells: list[str], spec: TensorSpec) -> np.ndarray:
        read = _READ.get(spec.dtype.numpy.kind, _integer)
        values: list[Any] = []
        for index, cell in enumerate(cells):
            try:
                values.append(read(cell))
            except ValueError:
                line = self._lines[index * len(self.rows) // len(cells)]
                raise InvalidInput(
                    f"line {line} of the table: {cell[:40]!r} is no {spec.dtype.name}"
                ) from None
        return from_flat(values, spec.dtype, (len(values),), spec.name)


def _read(body: bytes) -> tuple[Rows, list[int]]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the table is not UTF-8: bad byte at offset {error.start}") from None
    reader = _stdlib.reader(io.StringIO(text, newline=""), strict=True)
    rows: Rows = []
    lines: list[int] = []
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(reader.line_num)
    except _stdlib.Error as error:
        raise InvalidInput(f"line {reader.line_num} of the table: {error}") from None
    if not rows:
        raise InvalidInput("the table has no rows")
    width = len(rows[0])
    for row, line in zip(rows, lines, strict=True):
        if len(row) != width:
            raise InvalidInput(
                f"line {line} of the table has {len(row)} cells where line {lines[0]} has {width}"
            )
    return rows, lines


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return cell.lower() in ("true", "false")
    return True


def _number(cell: str) -> float | None:
    if not cell or cell.isspace():
        return None
    if "_" in cell:  # Python reads 1_000; no table means it
        raise ValueError(cell)
    return float(cell)


def _integer(cell: str) -> int:
    if "_" in cell:
        raise ValueError(cell)
    return int(cell)


def _boolean(cell: str) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    value = known.get(cell.strip().lower())
    if value is None:
        raise ValueError(cell)
    return value


_READ: dict[str, Any] = {
    "f": _number, "i": _integer, "u": _integer, "b": _boolean, "O": str,
}  # fmt: skip
