"""The order and number of axes before the model: ``reshape`` and ``layout``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from inferd.core.errors import InvalidInput
from inferd.transforms.draft import BATCH as BATCH_AXIS
from inferd.transforms.draft import Axis, Draft
from inferd.transforms.operation import (
    BATCH,
    PREPROCESS,
    Context,
    EachInput,
    Kernel,
    Operation,
    Transform,
)
from inferd.transforms.parameter import SHAPE, TEXT, Args, Parameter, StepError


@dataclass(slots=True)
class Reshape:
    """The same elements in another shape; ``to`` and ``source_shape`` are without the batch."""

    to: tuple[int, ...]
    source_shape: tuple[int, ...] | None

    def fits(self, wanted: Draft) -> bool:
        """Fits what is wanted in this shape."""
        if wanted.axes is None or len(wanted.axes) != len(self.to) + 1:
            return wanted.axes is None
        sizes = zip(wanted.shape[1:], self.to, strict=True)
        return all(a == b or -1 in (a, b) for a, b in sizes)

    def backward(self, wanted: Draft) -> Draft:
        """Only ``from`` can say what comes in; a step before may."""
        if self.source_shape is None:
            return replace(wanted, axes=None)
        return replace(wanted, axes=(BATCH_AXIS, *(Axis(n) for n in self.source_shape)))

    def forward(self, given: Draft) -> Draft:
        """The one size left open follows from the number of elements, where that is known."""
        sizes = given.shape[1:]
        to = list(self.to)
        if all(n >= 0 for n in sizes):
            count, fixed = math.prod(sizes), math.prod(n for n in to if n >= 0)
            if -1 in to and count % fixed == 0:
                to[to.index(-1)] = count // fixed
            elif -1 in to or count != fixed:
                raise StepError(
                    f"{count} elements per example ({given.text()}) cannot become {[-1, *self.to]}"
                )
        return replace(given, axes=(BATCH_AXIS, *self._sized(given, to)))

    @staticmethod
    def _sized(given: Draft, to: list[int]) -> list[Axis]:
        # one free size in and one out: the one follows the other
        free = [a.origin for a in given.known[1:] if a.size < 0]
        origin = free[0] if len(free) == 1 else None
        return [Axis(n, origin=origin if n < 0 else None) for n in to]

    def kernel(self, given: Draft, result: Draft) -> Kernel | None:
        """A view wherever numpy can make one."""
        if given.shape == result.shape and sum(n < 0 for n in result.shape) <= 1:
            return None
        to = result.shape[1:]
        fixed = math.prod(n for n in to if n >= 0)

        def apply(x: np.ndarray) -> np.ndarray:
            # -1 is worked out from the example, so that an empty batch has a shape as well
            count = math.prod(x.shape[1:])
            if count % fixed if -1 in to else count != fixed:
                raise InvalidInput(f"{count} elements per example cannot become {[-1, *to]}")
            return x.reshape(x.shape[0], *(n if n >= 0 else count // fixed for n in to))

        return apply


def _reshape(args: Args, context: Context) -> Operation:
    def inner(key: str) -> tuple[int, ...] | None:
        shape: tuple[int, ...] | None = args[key]
        if shape is None or context.offset:
            return shape
        if shape[0] != -1:
            raise StepError(f"{key}: {list(shape)} has no batch axis", help=f"write {[-1, *shape]}")
        return shape[1:]

    to, source = inner("shape"), inner("from")
    if to is None or sum(n == -1 for n in to) > 1:
        raise StepError("shape: only one size besides the batch may be -1")
    return EachInput(Reshape(to, source), args)


@dataclass(slots=True)
class Layout:
    """Axes put in another order; a channel axis of one may come or go."""

    source: str
    to: str

    def fits(self, wanted: Draft) -> bool:
        """Fits tensors with as many axes."""
        return wanted.axes is None or len(wanted.axes) == len(self.to) + 1

    def backward(self, wanted: Draft) -> Draft:
        """The axes in the order they come."""
        if wanted.axes is None:
            return wanted
        return replace(wanted, axes=self._moved(wanted, self.to, self.source))

    def forward(self, given: Draft) -> Draft:
        """The axes in the order they go."""
        return replace(given, axes=self._moved(given, self.source, self.to))

    def _moved(self, draft: Draft, source: str, to: str) -> tuple[Axis, ...]:
        axes = draft.known
        if len(axes) != len(source) + 1:
            raise StepError(
                f"{source} has {len(source)} axes, but {draft.name!r} is {draft.text()}"
            )
        named = dict(zip(source, axes[1:], strict=True))
        gone = set(source) - set(to)
        for letter in gone:
            if named[letter].size not in (1, -1):
                raise StepError(f"axis {letter} has {named[letter].size} elements and cannot go")
        return (axes[0], *(named.get(letter, Axis(1)) for letter in to))

    def kernel(self, _given: Draft, _result: Draft) -> Kernel | None:
        """A transposed view; the model's runtime or the next step makes it contiguous."""
        if self.source == self.to:
            return None
        kept = [c for c in self.source if c in self.to]
        gone = tuple(i + 1 for i, c in enumerate(self.source) if c not in self.to)
        new = tuple(i + 1 for i, c in enumerate(self.to) if c not in self.source)
        order = (0, *(kept.index(c) + 1 for c in self.to if c in kept))

        def apply(x: np.ndarray) -> np.ndarray:
            if any(x.shape[axis] != 1 for axis in gone):
                raise InvalidInput(f"the image has {x.shape[gone[0]]} channels where 1 is taken")
            return np.expand_dims(np.squeeze(x, gone).transpose(order), new)

        return apply


def _layout(args: Args, _context: Context) -> Operation:
    to = _letters("to", args["to"])
    given = args["from"]
    source = _letters("from", given) if given else {"HWC": "CHW", "HW": "HWC"}.get(to, "HWC")
    if (set(to) ^ set(source)) - {"C"}:
        raise StepError(f"{source} and {to} name different axes; only C may come or go")
    return EachInput(Layout(source, to), args)


def _letters(key: str, value: str) -> str:
    letters = value.upper().removeprefix("N")
    if not letters.isalpha() or len(set(letters)) != len(letters):
        raise StepError(f"{key}: must be letters such as HWC or CHW, not {value!r}")
    return letters


TRANSFORMS = (
    Transform(
        "reshape", PREPROCESS, BATCH,
        "Give the same elements another shape, batch first. One size more may be -1.",
        _reshape,
        "reshape: {shape: [-1, 64], from: [-1, 8, 8]}",
        "`from`, or whatever the step before gives.",
        (
            Parameter("shape", SHAPE, "the shape the model takes", required=True),
            Parameter("from", SHAPE, "the shape clients send; needed where no step before tells"),
        ),
        ("shape",),
    ),
    Transform(
        "layout", PREPROCESS, BATCH,
        "Put the axes of an image in another order. A channel axis of one element may come or go "
        "(`HW`).",
        _layout,
        "layout: CHW",
        "The axes in the order of `from`.",
        (
            Parameter("to", TEXT, "the order the model takes, without the batch", required=True),
            Parameter("from", TEXT, "the order that comes in; default HWC (CHW if `to` is HWC)"),
        ),
        ("to",),
    ),
)  # fmt: skip
"""The rows of the registry kept in this file."""
