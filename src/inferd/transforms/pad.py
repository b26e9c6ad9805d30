"""``pad``: sequences of unequal length become one rectangular batch, and a mask of what is real.

The step is where rows meet: steps before it see one block of equal rows at a time, steps after it
the whole batch. One declaration becomes one or more *units*; a unit is a set of inputs of one
length per row, padded together along one axis. The mask (and lengths) the model takes are made
here and are not seen by clients.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from inferd.core.errors import InvalidInput, nearest
from inferd.core.tensor import BYTES, DType
from inferd.transforms.draft import Axis, Draft, Flow
from inferd.transforms.example import SEQUENCE
from inferd.transforms.numeric import narrow
from inferd.transforms.operation import BATCH, PREPROCESS, Bound, Context, Operation, Transform
from inferd.transforms.parameter import (
    FILL,
    FLAG,
    INTEGER,
    NAME_OR_FALSE,
    NAMES,
    POSITIVE,
    TEXT,
    Args,
    Parameter,
    StepError,
)


@dataclass(frozen=True, slots=True)
class PadUnit:
    """Inputs padded together along ``axis`` (counted with the batch).

    ``values``: what fills each input. ``symbol``: the artifact's name of the axis. ``mask`` and
    ``lengths``: (name, type) of inputs made here; the mask is 1 where real, inverted 0.
    ``unpad``: outputs cut besides those the symbol tells; ``False``: none at all.
    """

    axis: int
    to: int | None
    multiple_of: int
    values: dict[str, np.ndarray]
    symbol: str | None = None
    mask: tuple[str, DType] | None = None
    invert: bool = False
    lengths: tuple[str, DType] | None = None
    unpad: bool | tuple[str, ...] = ()

    def padded(self, longest: int) -> int:
        """Return the common length.

        Raises ``InvalidInput`` for rows longer than the model takes, and for empty ones that nothing
        fills: no model computes anything from a sequence of no elements.
        """
        if self.to is None and longest == 0:
            name = next(iter(self.values))
            raise InvalidInput(
                f"input {name!r} is empty along axis {self.axis}", help="send at least one element"
            )
        if self.to is not None:
            if longest > self.to:
                name = next(iter(self.values))
                raise InvalidInput(
                    f"input {name!r} is {longest} long; the model takes {self.to} at most"
                )
            return self.to
        return -(-longest // self.multiple_of) * self.multiple_of

    def made(self, lengths: np.ndarray, padded: int) -> dict[str, np.ndarray]:
        """Return the mask and lengths inputs for rows of ``lengths``."""
        out: dict[str, np.ndarray] = {}
        if self.mask is not None:
            name, dtype = self.mask
            real = np.arange(padded) < lengths[:, None]
            out[name] = (~real if self.invert else real).astype(dtype.numpy)
        if self.lengths is not None:
            name, dtype = self.lengths
            out[name] = lengths.astype(dtype.numpy)
        return out


@dataclass(slots=True)
class Pad:
    """The declared step; ``units`` exist once the wanted inputs are known."""

    args: Args
    axis: int
    units: list[PadUnit] = field(default_factory=list)
    _made: Flow = field(default_factory=dict)

    def source(self, wanted: Flow) -> Flow:
        """Free the padded axes and hide what is made here."""
        mask = self._mask(wanted)
        lengths = self._lengths(wanted)
        hidden = {n for n in (mask, lengths) if n}
        self._made = {n: wanted[n] for n in hidden}
        names = self._targets({n: d for n, d in wanted.items() if n not in hidden})
        self.units = self._grouped(wanted, names, mask, lengths)
        out = dict(wanted)
        for name in hidden:
            del out[name]
        for name in names:
            axes = list(wanted[name].known)
            axis = self._position(wanted[name])
            hint = min(self.args["to"] or SEQUENCE, SEQUENCE)
            axes[axis] = replace(axes[axis], size=-1, hint=hint)
            out[name] = replace(wanted[name], axes=tuple(axes))
        return out

    def bind(self, given: Flow) -> Bound:
        """Say what is filled; the filling itself is done where rows are collated."""
        flow = dict(given)
        for unit in self.units:
            for name in unit.values:
                axes = list(given[name].known)
                axes[unit.axis] = Axis(unit.to or -1, unit.symbol)
                flow[name] = replace(given[name], axes=tuple(axes))
        return Bound({**flow, **self._made})

    def _position(self, draft: Draft) -> int:
        rank = len(draft.known)
        axis = self.axis % rank if -rank <= self.axis < rank else 0
        if axis == 0:
            raise StepError(f"axis: {draft.name!r} has no axis {self.axis}, it is {draft.text()}")
        return axis

    def _may(self, draft: Draft) -> bool:
        if draft.axes is None or draft.dtype is BYTES:
            return False
        rank = len(draft.axes)
        if not (-rank <= self.axis < rank and self.axis % rank):
            return False
        return draft.axes[self.axis].size in (-1, self.args["to"])

    def _targets(self, flow: Flow) -> list[str]:
        named = self.args["input"]
        if self.args["output"] is not None:
            raise StepError("output: padding keeps the name")
        if named is not None and named not in flow:
            raise StepError(f"there is no input {named!r} to pad", help=nearest(named, flow))
        names = [named] if named else [n for n, d in flow.items() if self._may(d)]
        if names and self._may(flow[names[0]]):
            return names
        shapes = ", ".join(f"{n} is {d.text()}" for n, d in flow.items())
        raise StepError(
            f"there is no free axis {self.args['axis']} to pad: {shapes}",
            help="an axis of fixed size can only be padded with to: that size",
        )

    def _mask(self, flow: Flow) -> str | None:
        named = self.args["mask"]
        if named is False:
            return None
        if named is not None:
            if named not in flow:
                raise StepError(
                    f"mask: the model has no input {named!r}", help=nearest(named, flow)
                )
            if flow[named].dtype is BYTES or len(flow[named].known) != 2:
                raise StepError(
                    f"mask: {named!r} must be [batch, length], it is {flow[named].text()}"
                )
            return str(named)
        found = [n for n, d in flow.items() if is_mask(d) and n != self.args["input"]]
        return found[0] if len(found) == 1 and len(flow) > 1 else None

    def _lengths(self, flow: Flow) -> str | None:
        named = self.args["lengths"]
        if named is not None and (named not in flow or len(flow[named].known) != 1):
            raise StepError(
                f"lengths: the model has no input {named!r} of one number per row",
                help=nearest(named, flow),
            )
        return named if named is None else str(named)

    def _grouped(
        self, flow: Flow, names: list[str], mask: str | None, lengths: str | None
    ) -> list[PadUnit]:
        groups: dict[str | None, list[str]] = {}
        for name in names:
            axis = flow[name].known[self._position(flow[name])]
            groups.setdefault(axis.symbol, []).append(name)
        mask_symbol = flow[mask].known[1].symbol if mask else None
        main = mask_symbol if mask_symbol in groups else next(iter(groups))
        units = []
        for symbol, members in groups.items():
            first = symbol == main
            units.append(
                PadUnit(
                    self._position(flow[members[0]]),
                    self.args["to"],
                    self.args["multiple_of"] or 1,
                    {n: self._value(flow[n]) for n in members},
                    symbol,
                    (mask, flow[mask].dtype) if mask and first else None,
                    bool(self.args["invert"]),
                    (lengths, flow[lengths].dtype) if lengths and first else None,
                    self.args["unpad"],
                )
            )
        if len({u.axis for u in units}) != 1 or any(
            self._position(flow[n]) != u.axis for u in units for n in u.values
        ):
            raise StepError(
                "axis: a negative axis is a different one in each input; name the input"
            )
        return units

    def _value(self, draft: Draft) -> np.ndarray:
        value: Any = self.args["value"]
        if isinstance(value, dict):
            value = value.get(draft.name, 0)
        elif is_mask(draft):
            value = 0
        try:
            return narrow(np.asarray(value), draft.dtype)
        except InvalidInput as error:
            raise StepError(f"value: {error.message}") from None


def is_mask(draft: Draft) -> bool:
    """Return whether an input takes what marks the real elements of a row."""
    # "padding_mask" is left alone: by that name the one marks padding in one framework, what is
    # real in another
    name = draft.name.lower()
    return (
        name.endswith("mask")
        and not name.endswith("padding_mask")
        and draft.dtype is not BYTES
        and draft.axes is not None
        and len(draft.axes) == 2
    )


def _pad(args: Args, context: Context) -> Operation:
    to, multiple = args["to"], args["multiple_of"]
    if to is not None and multiple is not None and to % multiple:
        raise StepError(f"to: {to} is not a multiple of {multiple}")
    return Pad(args, context.axis(args["axis"]))


TRANSFORMS = (
    Transform(
        "pad", PREPROCESS, BATCH,
        "Fill sequences of unequal length to one, and make the mask the model takes. Outputs that "
        "follow the padded axis are cut back to each request's own length.",
        _pad,
        "pad: {axis: 1, multiple_of: 8}",
        "The axis is free, requests of any length share a batch, and the mask input is gone.",
        (
            Parameter("axis", INTEGER, "the axis to fill; axis 0 is the batch", 1),
            Parameter("to", POSITIVE, "always fill to this length; longer rows are refused"),
            Parameter("multiple_of", POSITIVE, "fill the longest row to a multiple of this"),
            Parameter("value", FILL, "what is filled in; masks are filled with 0", 0),
            Parameter(
                "mask", NAME_OR_FALSE,
                "the model's mask input; default: its only input named `...mask` (not "
                "`...padding_mask`), if any",
            ),
            Parameter("invert", FLAG, "the mask is 1 where padded instead of where real", False),
            Parameter("lengths", TEXT, "the model's input that takes each row's real length"),
            Parameter(
                "unpad", NAMES,
                "outputs to cut back besides those whose symbol tells; true: all that may be; "
                "false: none",
                (),
            ),
        ),
        ("axis",),
    ),
)  # fmt: skip
"""The rows of the registry kept in this file."""
