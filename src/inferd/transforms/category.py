"""Categories before the model: ``one_hot``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from inferd.core.errors import InvalidInput
from inferd.core.tensor import BYTES, FP32, INT64, DType, as_bytes
from inferd.transforms.draft import Axis, Draft
from inferd.transforms.operation import (
    BATCH,
    PREPROCESS,
    Context,
    EachInput,
    Kernel,
    Operation,
    Transform,
    spoken,
)
from inferd.transforms.parameter import INTEGER, LIST, POSITIVE, Args, Parameter, StepError, choice

MAX_DEPTH = 1 << 20
_SHOWN = 5


@dataclass(slots=True)
class OneHot:
    """A class number (or category) becomes a row of zeros with a single one.

    ``column``: the column of a table that is replaced; ``None``: every element of the tensor.
    """

    depth: int
    categories: dict[Any, int] | None
    texts: bool
    ignore: bool
    column: int | None
    dtype: DType = FP32

    def fits(self, wanted: Draft) -> bool:
        """Fits numbers whose last axis has room for the categories."""
        if not wanted.number or wanted.axes is None:
            return wanted.number
        last = wanted.known[-1].size
        return last in (self.depth, -1) if self.column is None else last >= self.depth

    def backward(self, wanted: Draft) -> Draft:
        """One axis less, or a narrower table; the wanted type is kept for the result."""
        self.dtype = wanted.dtype
        if wanted.axes is None:
            raise StepError("must not be followed by a step that hides its shape (reshape)")
        last = wanted.known[-1].size
        if self.column is not None:
            width = last - self.depth + 1 if last >= 0 else -1
            if len(wanted.known) != 2 or (last >= 0 and not 0 <= self.column < width):
                raise StepError(
                    f"column {self.column} and {self.depth} categories do not fit a table of {wanted.text()}"
                )
            if self.texts:
                raise StepError("column: needs numbers as categories, a table has one type")
            axes = (*wanted.known[:-1], Axis(width))
            return replace(wanted, axes=axes, loose=True, sample=self._sample())
        if len(wanted.known) < 2 or last not in (self.depth, -1):
            raise StepError(f"{self.depth} categories do not fit {wanted.text()}")
        dtype = BYTES if self.texts else INT64
        return replace(
            wanted, dtype=dtype, axes=wanted.known[:-1], loose=not self.texts,
            sample=self._sample(), content="text" if self.texts else None,
        )  # fmt: skip

    def _sample(self) -> Any:
        return next(iter(self.categories)) if self.categories else 0

    def forward(self, given: Draft) -> Draft:
        """One axis more, or a wider table."""
        if self.texts != (given.dtype is BYTES):
            raise StepError(f"the categories are of another type than {given.dtype.name}")
        if self.column is None:
            axes = (*given.known, Axis(self.depth))
            return replace(given, dtype=self.dtype, axes=axes, content=None)
        width = given.known[-1].size
        if not 0 <= self.column < (width if width >= 0 else self.column + 1):
            raise StepError(f"column: there is no column {self.column} in {given.text()}")
        wide = width + self.depth - 1 if width >= 0 else -1
        return replace(given, dtype=self.dtype, axes=(*given.known[:-1], Axis(wide)))

    def kernel(self, _given: Draft, result: Draft) -> Kernel:
        """Find the class numbers, then set the ones."""
        dtype = result.dtype.numpy
        column = self.column
        if column is None:
            return lambda x: self._spread(self._codes(x), dtype)

        def table(x: np.ndarray) -> np.ndarray:
            ones = self._spread(self._codes(x[:, column]), dtype)
            rest = x.astype(dtype, copy=False)
            return np.concatenate([rest[:, :column], ones, rest[:, column + 1 :]], axis=1)

        return table

    def _spread(self, codes: np.ndarray, dtype: np.dtype) -> np.ndarray:
        flat = codes.reshape(-1)
        out = np.zeros((flat.size, self.depth), dtype)
        rows = np.flatnonzero(flat >= 0)
        out[rows, flat[rows]] = 1
        return out.reshape(*codes.shape, self.depth)

    def _codes(self, x: np.ndarray) -> np.ndarray:
        """Return class numbers, -1 for what is unknown. Raises ``InvalidInput``."""
        if self.categories is not None:
            codes = self._looked_up(x, self.categories)
            known = codes >= 0
        else:
            known = (x >= 0) & (x < self.depth)
            if x.dtype.kind == "f":
                known &= np.floor(x) == x
            codes = np.where(known, x, -1).astype(np.int64)
        if not self.ignore and not known.all():
            raise self._unknown(x.reshape(-1)[np.flatnonzero(~known.reshape(-1))[0]])
        return codes

    def _unknown(self, bad: Any) -> InvalidInput:
        if self.categories is None:
            return InvalidInput(f"one_hot: {spoken(bad)} is not a class from 0 to {self.depth - 1}")
        some = [spoken(c) for c in list(self.categories)[:_SHOWN]]
        more = len(self.categories) - len(some)
        return InvalidInput(
            f"one_hot: {spoken(bad)} is not one of the {len(self.categories)} categories",
            help=f"they are {', '.join(some)}{f' and {more} more' if more else ''}",
        )

    def _looked_up(self, x: np.ndarray, table: dict[Any, int]) -> np.ndarray:
        codes = np.empty(x.shape, np.int64)
        for index, value in np.ndenumerate(x):
            codes[index] = table.get(as_bytes(value) if self.texts else value, -1)
        return codes


def _one_hot(args: Args, _context: Context) -> Operation:
    depth, categories, column = args["depth"], args["categories"], args["column"]
    if (depth is None) == (categories is None):
        raise StepError("give depth (how many classes) or categories (the list), one of them")
    table: dict[Any, int] | None = None
    texts = False
    if categories is not None:
        texts = all(isinstance(c, str) for c in categories)
        if not texts and any(isinstance(c, str) for c in categories):
            raise StepError("categories: must be all texts or all numbers")
        keys = [c.encode() for c in categories] if texts else categories
        table = {key: i for i, key in enumerate(keys)}
        if len(table) != len(categories):
            raise StepError("categories: a category is given twice")
        depth = len(categories)
    if depth > MAX_DEPTH:
        raise StepError(f"depth: {depth} is over the most, {MAX_DEPTH}")
    if column is not None and column < 0:
        raise StepError("column: counts from 0")
    return EachInput(OneHot(depth, table, texts, args["unknown"] == "zeros", column), args)


TRANSFORMS = (
    Transform(
        "one_hot", PREPROCESS, BATCH,
        "Turn a class number or category into zeros with a single one; in a table, one column.",
        _one_hot,
        "one_hot: {categories: [red, green, blue], unknown: zeros}",
        "The last axis goes: class numbers are INT64, categories that are texts BYTES. With "
        "`column` the table is narrower.",
        (
            Parameter("depth", POSITIVE, "how many classes, numbered from 0"),
            Parameter("categories", LIST, "the categories in the order of the model's columns"),
            Parameter("column", INTEGER, "the column of a table to replace, from 0; default: all"),
            Parameter(
                "unknown", choice("error", "zeros"), "what an unknown category becomes", "error"
            ),
        ),
        ("depth", "categories"),
    ),
)  # fmt: skip
"""The rows of the registry kept in this file."""
