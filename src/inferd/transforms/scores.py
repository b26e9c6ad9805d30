"""Scores after the model: ``softmax``, ``sigmoid``, ``argmax`` and ``round``.

What a model gives may be NaN or infinite; these steps pass that on without a warning, for it is the
model's answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from inferd.core.tensor import FP32, INT64
from inferd.transforms.draft import Draft
from inferd.transforms.operation import (
    BATCH,
    POSTPROCESS,
    Context,
    EachOutput,
    Kernel,
    Operation,
    Transform,
)
from inferd.transforms.parameter import INTEGER, Args, Parameter, StepError


def class_axis(given: Draft, axis: int) -> int:
    """Return ``axis`` counted from the front. Raises ``StepError`` if it is none of an example's."""
    rank = len(given.known)
    if not -rank <= axis < rank or axis % rank == 0:
        raise StepError(
            f"needs classes along axis {axis}, but {given.name!r} is {given.text()}",
            help="name the output that holds one score per class with input:",
        )
    return axis % rank


def may_be_scores(given: Draft, axis: int) -> bool:
    """Return whether a tensor may hold one score per class along ``axis``."""
    rank = len(given.known)
    return given.floating and -rank <= axis < rank and axis % rank != 0


def check_scores(given: Draft) -> None:
    """Raise ``StepError`` for what cannot be scores."""
    if given.classes is not None:
        raise StepError(f"{given.name!r} holds class numbers, not scores")
    if not given.number:
        raise StepError(f"{given.name!r} holds {given.dtype.name}, not scores")


@dataclass(slots=True)
class Softmax:
    """Scores become probabilities that sum to 1 along an axis."""

    axis: int
    names: str = ""

    def fits(self, given: Draft) -> bool:
        """Fits floating-point tensors with a class axis."""
        return may_be_scores(given, self.axis)

    def forward(self, given: Draft) -> Draft:
        """Whole numbers become FP32."""
        class_axis(given, self.axis)
        check_scores(given)
        return given if given.floating else replace(given, dtype=FP32)

    def kernel(self, given: Draft, result: Draft) -> Kernel:
        """Shifted by the largest score, so that nothing overflows."""
        axis = class_axis(given, self.axis)
        final = result.dtype.numpy
        work = np.float64 if final == np.float64 else np.float32

        def apply(x: np.ndarray) -> np.ndarray:
            with np.errstate(invalid="ignore", over="ignore", under="ignore"):
                out: np.ndarray = np.asarray(x, work)
                if not out.shape[axis]:
                    return out.astype(final)
                out = np.exp(out - out.max(axis=axis, keepdims=True))
                out /= out.sum(axis=axis, keepdims=True)
                return out.astype(final, copy=False)

        return apply

    def touches(self, given: Draft) -> int | None:
        """Probabilities depend on all the scores."""
        return class_axis(given, self.axis)


@dataclass(slots=True)
class Sigmoid:
    """Every score becomes a probability of its own."""

    names: str = ""

    def fits(self, given: Draft) -> bool:
        """Fits floating-point tensors."""
        return given.floating

    def forward(self, given: Draft) -> Draft:
        """Whole numbers become FP32."""
        check_scores(given)
        return given if given.floating else replace(given, dtype=FP32)

    def kernel(self, _given: Draft, result: Draft) -> Kernel:
        """Of the absolute value, so that nothing overflows."""
        final = result.dtype.numpy
        work = np.float64 if final == np.float64 else np.float32

        def apply(x: np.ndarray) -> np.ndarray:
            with np.errstate(invalid="ignore", under="ignore"):
                x = np.asarray(x, work)
                small = np.exp(-np.abs(x))
                out = np.where(x >= 0, 1, small) / (1 + small)
                return np.asarray(out.astype(final, copy=False))

        return apply

    def touches(self, _given: Draft) -> int | None:
        """Elements do not meet."""
        return None


@dataclass(slots=True)
class Argmax:
    """The number of the class with the largest score."""

    axis: int
    names: str = "index"

    def fits(self, given: Draft) -> bool:
        """Fits floating-point tensors with a class axis."""
        return may_be_scores(given, self.axis)

    def forward(self, given: Draft) -> Draft:
        """The class axis goes."""
        axis = class_axis(given, self.axis)
        check_scores(given)
        axes = given.known
        return replace(
            given, dtype=INT64, axes=axes[:axis] + axes[axis + 1 :], classes=axes[axis].size,
            scores=None, along=None,
        )  # fmt: skip

    def kernel(self, given: Draft, _result: Draft) -> Kernel:
        """The first of equal scores."""
        axis = class_axis(given, self.axis)
        return lambda x: np.asarray(x.argmax(axis=axis), np.int64)

    def touches(self, given: Draft) -> int | None:
        """The largest is one of all."""
        return class_axis(given, self.axis)


@dataclass(slots=True)
class Round:
    """Fewer decimals."""

    decimals: int
    names: str = ""

    def fits(self, given: Draft) -> bool:
        """Fits floating-point tensors."""
        return given.floating

    def forward(self, given: Draft) -> Draft:
        """Only values change."""
        if not given.number:
            raise StepError(f"{given.name!r} holds {given.dtype.name}, not numbers")
        return given

    def kernel(self, given: Draft, _result: Draft) -> Kernel | None:
        """Half to even; in double precision, so that the nearest float of the decimal comes out."""
        if not given.floating and self.decimals >= 0:
            return None
        final = given.dtype.numpy

        def apply(x: np.ndarray) -> np.ndarray:
            with np.errstate(invalid="ignore", over="ignore"):
                exact = x.astype(np.float64, copy=False) if given.floating else x
                return np.asarray(np.round(exact, self.decimals).astype(final, copy=False))

        return apply

    def touches(self, _given: Draft) -> int | None:
        """Elements do not meet."""
        return None


def _softmax(args: Args, context: Context) -> Operation:
    return EachOutput(Softmax(context.axis(args["axis"])), args)


def _sigmoid(args: Args, _context: Context) -> Operation:
    return EachOutput(Sigmoid(), args)


def _argmax(args: Args, context: Context) -> Operation:
    return EachOutput(Argmax(context.axis(args["axis"])), args)


def _round(args: Args, _context: Context) -> Operation:
    if abs(args["decimals"]) > 300:
        raise StepError(f"decimals: {args['decimals']} is more than any number has")
    return EachOutput(Round(args["decimals"]), args)


AXIS = Parameter("axis", INTEGER, "the axis of the classes; axis 0 is the batch", -1)

TRANSFORMS = (
    Transform(
        "softmax", POSTPROCESS, BATCH,
        "Turn scores into probabilities that sum to 1.",
        _softmax, "softmax", "Unchanged; whole numbers become FP32.", (AXIS,), ("axis",),
    ),
    Transform(
        "sigmoid", POSTPROCESS, BATCH,
        "Turn each score into a probability of its own.",
        _sigmoid, "sigmoid", "Unchanged; whole numbers become FP32.",
    ),
    Transform(
        "argmax", POSTPROCESS, BATCH,
        "Give the number of the class with the largest score.",
        _argmax, "argmax", "INT64 without the class axis, named `index`.", (AXIS,), ("axis",),
    ),
    Transform(
        "round", POSTPROCESS, BATCH,
        "Round to so many decimals, half to even.",
        _round, "round: 3", "Unchanged.",
        (Parameter("decimals", INTEGER, "decimals kept; negative rounds to tens", 0),),
        ("decimals",),
    ),
)  # fmt: skip
"""The rows of the registry kept in this file."""
