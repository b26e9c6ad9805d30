"""``text/csv``: rows are examples, columns are numbers, and the answer is always a batch.

A model of one vector input takes its vector as the columns; a model of several inputs of one value
each takes one column for each, in the signature's order or, with a header, in any order. A first
row without any number is a header; where the model's inputs are the columns its names must match,
elsewhere it is skipped. An empty cell is NaN in a float column.

Source: RFC 4180 (commas, double quotes, CRLF or LF; a byte order mark is dropped).
"""

from __future__ import annotations

import csv as _stdlib
import io
from typing import Any

import numpy as np

from inferd.codecs.base import Decoded, split_rows
from inferd.codecs.values import from_flat, show_shape, shown
from inferd.core.errors import InvalidInput, UnsupportedMedia, nearest
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, Tensors

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
        inputs = table.vector(specs[0]) if len(specs) == 1 else table.columns(specs)
        size = len(table.rows)
        if self._split and size > 1:
            return Decoded(None, split_rows(inputs, size))
        return Decoded(inputs)


def takes_csv(signature: Signature) -> bool:
    """Return whether a row of values is an example of this signature."""
    if not signature.batched or any(s.content == "image" for s in signature.inputs):
        return False
    if len(signature.inputs) == 1:
        return len(signature.inputs[0].shape) <= 2
    return all(all(n == 1 for n in s.shape[1:]) for s in signature.inputs)


class Table:
    """A parsed table: its header, if it has one, and rows of equally many cells."""

    def __init__(self, body: bytes) -> None:
        self.rows, self._lines = _read(body)
        self._header: list[str] | None = None

    def vector(self, spec: TensorSpec) -> Tensors:
        """Return the columns as the one input."""
        width = 1 if len(spec.shape) == 1 else spec.shape[1]
        self._take_header(all_texts=spec.dtype is BYTES, names=[spec.name])
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
        self._take_header(all_texts=all(s.dtype is BYTES for s in specs), names=names)
        order = self._header if self._header is not None else names
        for name in order:
            if name not in names:
                raise InvalidInput(f"column {shown(name)} is no input", help=nearest(name, names))
        if len(self.rows[0]) != len(names) or len(set(order)) != len(names):
            raise InvalidInput(
                f"the table has {len(self.rows[0])} columns for {len(names)} inputs",
                help="columns: " + ",".join(names),
            )
        at = {name: order.index(name) for name in names}
        return {
            spec.name: self._array([row[at[spec.name]] for row in self.rows], spec).reshape(
                (len(self.rows),) + (1,) * (len(spec.shape) - 1)
            )
            for spec in specs
        }

    def _take_header(self, *, all_texts: bool, names: list[str]) -> None:
        first = [cell.strip() for cell in self.rows[0]]
        named = set(first) == set(names)
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
