"""Numbers before the model: ``cast``, ``normalize`` and ``impute``.

All three are vectorised over the batch, with constants made in the right dtype when the chain is
bound. A client's number that the wanted type cannot hold is refused, never wrapped or clipped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from inferd.core.errors import InvalidInput
from inferd.core.tensor import BOOL, BYTES, FP32, FP64, DType, as_bytes
from inferd.transforms.constants import constants, settled, sizes_check, values_axis
from inferd.transforms.draft import Draft
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
from inferd.transforms.parameter import DTYPE, INTEGER, NUMBER, NUMBERS, Args, Parameter, StepError


@dataclass(slots=True)
class Cast:
    """Change the element type; ``source_type`` is what clients send, if it is not the same."""

    to: DType
    source_type: DType | None

    def fits(self, wanted: Draft) -> bool:
        """Fits what is wanted in this type."""
        return wanted.dtype is self.to

    def backward(self, wanted: Draft) -> Draft:
        """Any number will do."""
        dtype = self.source_type or self.to
        sample = wanted.sample
        if dtype is BYTES and not isinstance(sample, bytes):
            sample = str(1 if sample is None else sample).encode()
        return replace(wanted, dtype=dtype, loose=self.source_type is None, sample=sample)

    def forward(self, given: Draft) -> Draft:
        """The type is changed."""
        if self.to is BYTES and given.dtype is not BYTES:
            raise StepError(f"cannot make BYTES of {given.dtype.name}")
        return replace(given, dtype=self.to)

    def kernel(self, given: Draft, _result: Draft) -> Kernel | None:
        """Nothing if the type is right already."""
        if given.dtype is self.to:
            return None
        if given.dtype is BYTES:
            return lambda x: narrow(_parsed(x), self.to)
        return lambda x: narrow(x, self.to)


def narrow(x: np.ndarray, to: DType) -> np.ndarray:
    """Return ``x`` as ``to``. Raises ``InvalidInput`` where a finite value does not fit."""
    target = to.numpy
    if x.dtype == target:
        return x
    if to is BOOL or np.can_cast(x.dtype, target, "safe") or not x.size:
        return x.astype(target)
    if target.kind == "f":
        with np.errstate(over="ignore"):
            out = x.astype(target)
        if not np.array_equal(np.isfinite(out), np.isfinite(x)):
            raise InvalidInput(f"a value does not fit {to.name}: the largest is {_extreme(x)}")
        return out
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise InvalidInput(f"NaN or infinity cannot be cast to {to.name}")
    limits = np.iinfo(target)
    low, high = x.min(), x.max()
    # Python integers compare exactly where float64 and int64 would round
    if int(low) < limits.min or int(high) > limits.max:
        raise InvalidInput(
            f"values from {low} to {high} do not fit {to.name} ({limits.min} to {limits.max})"
        )
    return x.astype(target)


def _extreme(x: np.ndarray) -> Any:
    finite = x[np.isfinite(x)]
    return finite[np.abs(finite).argmax()]


def _parsed(x: np.ndarray) -> np.ndarray:
    out = np.empty(x.shape, np.float64)
    for index, element in np.ndenumerate(x):
        text = as_bytes(element)
        try:
            out[index] = float(text)
        except ValueError:
            raise InvalidInput(f"cast: {spoken(text)} is not a number") from None
    return out


@dataclass(slots=True)
class Normalize:
    """(x - shift) / scale, elementwise."""

    shift: Any
    scale: Any
    axis: int | None

    def fits(self, wanted: Draft) -> bool:
        """Fits floating-point tensors."""
        return wanted.floating

    def backward(self, wanted: Draft) -> Draft:
        """Any number will do."""
        return replace(settled(wanted, (self.shift, self.scale), self.axis), loose=True)

    def forward(self, given: Draft) -> Draft:
        """Whole numbers become FP32."""
        if given.dtype is BYTES:
            raise StepError("texts cannot be normalized")
        given = settled(given, (self.shift, self.scale), self.axis)
        return given if given.floating else replace(given, dtype=FP32)

    def kernel(self, given: Draft, result: Draft) -> Kernel:
        """Subtract and divide as the formula says, so that results equal the training code's."""
        final = result.dtype.numpy
        # half precision would lose the constants' digits
        work = np.dtype(np.float32) if final.itemsize < 4 else final
        rank = len(given.known)
        shift, scale = (
            constants(v, values_axis(v, given, self.axis), rank, work)
            for v in (self.shift, self.scale)
        )
        if not (np.isfinite(shift).all() and np.isfinite(scale).all() and scale.all()):
            raise StepError(f"the constants are not finite and different from 0 as {work}")

        check = sizes_check(given, result)

        def apply(x: np.ndarray) -> np.ndarray:
            check(x)
            with np.errstate(over="ignore", invalid="ignore"):
                out: np.ndarray = np.subtract(x, shift, dtype=work, casting="unsafe")
                # a new array in any case, but of no dimension numpy returns a scalar
                out = np.asarray(np.divide(out, scale))
                return out if out.dtype == final else out.astype(final)

        return apply


def _normalize(args: Args, context: Context) -> Operation:
    axis = None if args["axis"] is None else context.axis(args["axis"])
    mean, std, low, high = (args[k] for k in ("mean", "std", "min", "max"))
    if (low is None) != (high is None):
        raise StepError("min and max go together")
    if low is not None:
        if mean is not None or std is not None:
            raise StepError("give mean and std, or min and max, not both")
        shift, scale = low, _minus(high, low)
    elif mean is None and std is None:
        raise StepError("needs mean and std, or min and max")
    else:
        shift, scale = 0 if mean is None else mean, 1 if std is None else std
    if any(v == 0 for v in (scale if isinstance(scale, list) else [scale])):
        raise StepError("std must not be 0" if low is None else "max must differ from min")
    return EachInput(Normalize(shift, scale, axis), args)


def _minus(high: Any, low: Any) -> Any:
    if not isinstance(high, list) and not isinstance(low, list):
        return high - low
    count = len(high) if isinstance(high, list) else len(low)
    highs = high if isinstance(high, list) else [high] * count
    lows = low if isinstance(low, list) else [low] * count
    if len(highs) != len(lows):
        raise StepError(f"min has {len(lows)} values and max {len(highs)}")
    return [h - lo for h, lo in zip(highs, lows, strict=True)]


@dataclass(slots=True)
class Impute:
    """Replace what is missing: NaN, and ``missing`` where a number stands for it."""

    value: Any
    missing: float | None
    axis: int | None

    def fits(self, wanted: Draft) -> bool:
        """Fits numbers; whole ones only where a number stands for a missing one."""
        return wanted.floating or (wanted.number and (wanted.loose or self.missing is not None))

    def backward(self, wanted: Draft) -> Draft:
        """What can be missing must be able to say so: whole numbers come in as FP64."""
        wanted = settled(wanted, (self.value,), self.axis)
        if wanted.integer and wanted.loose and self.missing is None:
            return replace(wanted, dtype=FP64)
        return wanted

    def forward(self, given: Draft) -> Draft:
        """Nothing changes but values."""
        if not given.number or (given.integer and self.missing is None):
            raise StepError(
                f"{given.dtype.name} cannot hold a missing value",
                help="give missing: the number that stands for it, or cast after this step",
            )
        return settled(given, (self.value,), self.axis)

    def kernel(self, given: Draft, result: Draft) -> Kernel:
        """One comparison and one selection."""
        dtype = given.dtype.numpy
        axis = values_axis(self.value, given, self.axis)
        value = constants(self.value, axis, len(given.known), np.dtype(np.float64))
        try:
            fill = narrow(value, given.dtype)
        except InvalidInput as error:
            raise StepError(f"value: {error.message}") from None
        missing = self.missing
        nan = dtype.kind == "f"

        check = sizes_check(given, result)

        def apply(x: np.ndarray) -> np.ndarray:
            check(x)
            gone = np.isnan(x) if nan else np.zeros(x.shape, bool)
            if missing is not None:
                gone |= x == missing
            return np.where(gone, fill, x) if gone.any() else x

        return apply


def _impute(args: Args, context: Context) -> Operation:
    axis = None if args["axis"] is None else context.axis(args["axis"])
    return EachInput(Impute(args["value"], args["missing"], axis), args)


def _cast(args: Args, _context: Context) -> Operation:
    return EachInput(Cast(args["to"], args["from"]), args)


_AXIS = Parameter("axis", INTEGER, "the axis the lists run along; default: the last of that size")

TRANSFORMS = (
    Transform(
        "cast", PREPROCESS, BATCH,
        "Change the element type. A value that does not fit is refused.",
        _cast,
        "cast: float32",
        "The client sends the type cast to, or `from` where given.",
        (
            Parameter("to", DTYPE, "the type the model takes", required=True),
            Parameter("from", DTYPE, "the type clients send; default: the same"),
        ),
        ("to",),
    ),
    Transform(
        "normalize", PREPROCESS, BATCH,
        "Compute `(x - mean) / std`, or `(x - min) / (max - min)`. Whole numbers become FP32.",
        _normalize,
        "normalize: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}",
        "Unchanged.",
        (
            Parameter("mean", NUMBERS, "subtracted; default 0"),
            Parameter("std", NUMBERS, "divided by; default 1"),
            Parameter("min", NUMBERS, "becomes 0"),
            Parameter("max", NUMBERS, "becomes 1"),
            _AXIS,
        ),
    ),
    Transform(
        "impute", PREPROCESS, BATCH,
        "Replace missing values: NaN (`null` in JSON), and `missing` where a number stands for it.",
        _impute,
        "impute: {value: [5.8, 3.0, 3.8, 1.2]}",
        "Unchanged, but FP64 where whole numbers are cast afterwards.",
        (
            Parameter("value", NUMBERS, "what is put there", required=True),
            Parameter("missing", NUMBER, "a number that stands for a missing value"),
            _AXIS,
        ),
        ("value",),
    ),
)  # fmt: skip
"""The rows of the registry kept in this file."""
