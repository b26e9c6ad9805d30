"""Operations: compiled steps, and the two adapters for steps that change one tensor at a time.

A step before the model answers ``source`` (what must come in so that this goes out) and both kinds
answer ``bind`` (what comes out of this, and the function that does it). The function changes a dict
of arrays in place: of one example without batch axis for scope ``item``, of a whole batch for scope
``batch``. ``bind`` returns no function where there is nothing to do, so identity costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from inferd.core.errors import nearest
from inferd.core.tensor import Tensors
from inferd.transforms.draft import Draft, Flow, swap
from inferd.transforms.parameter import Args, Parameter, StepError

ITEM = "item"
BATCH = "batch"
PREPROCESS = "preprocess"
POSTPROCESS = "postprocess"
_LONGEST = 40

Apply = Callable[[Tensors], None]
Kernel = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Context:
    """What building a step may ask for.

    ``directory``: where files are looked up. ``offset``: what to add to an axis of ``model.yaml``
    (0 where the signature is batched, 1 where the batch axis is the chain's own). ``dry``: only types
    are asked for; no library is imported and nothing large is read.
    """

    directory: Path
    offset: int = 0
    dry: bool = False

    def axis(self, axis: int, *, key: str = "axis") -> int:
        """Return the draft axis of a declared one; refuses the batch."""
        inner = axis + self.offset if axis >= 0 else axis
        if inner == 0:
            raise StepError(f"{key}: axis 0 is the batch", help="the first axis of an example is 1")
        return inner


@dataclass(frozen=True, slots=True)
class Bound:
    """A step in its place: the flow after it, and the function (``None``: nothing to do).

    ``touches``: (tensor, axis) along which elements of one example meet, which padding must not
    reach. ``ragged``: rows come out in unequal shapes, so the function is given one row at a time.
    """

    flow: Flow
    apply: Apply | None = None
    touches: tuple[tuple[str, int], ...] = ()
    ragged: bool = False


class Operation(Protocol):
    """One step, built from its parameters."""

    def source(self, wanted: Flow) -> Flow:
        """Return what must come in so that ``wanted`` goes out (steps before the model only)."""
        ...

    def bind(self, given: Flow) -> Bound:
        """Return what comes out of ``given`` and how. Raises ``StepError`` if it cannot."""
        ...


Build = Callable[[Args, Context], Operation]


@dataclass(frozen=True, slots=True)
class Transform:
    """One row of the registry. ``short``: the parameters a plain value stands for, tried in order.

    ``spec`` says for the reference how the external signature changes. ``heavy``: it needs a library, which
    the front does not import.
    """

    name: str
    phase: str
    scope: str
    summary: str
    build: Build
    example: str
    spec: str
    parameters: tuple[Parameter, ...] = ()
    short: tuple[str, ...] = ()
    heavy: bool = False


class InputMap(Protocol):
    """A step before the model that changes one tensor at a time."""

    def fits(self, wanted: Draft, /) -> bool:
        """Say whether the step may give ``wanted`` where several tensors are there and none is named."""
        ...

    def backward(self, wanted: Draft, /) -> Draft:
        """Return what must come in so that ``wanted`` goes out."""
        ...

    def forward(self, given: Draft, /) -> Draft:
        """Return what comes out of ``given``."""
        ...

    def kernel(self, given: Draft, result: Draft, /) -> Kernel | None:
        """Return the function, with its constants made; ``None`` if it would change nothing."""
        ...


@dataclass(slots=True)
class EachInput:
    """The operation of an ``InputMap`` on every tensor it is meant for."""

    map: InputMap
    args: Args
    _pairs: list[tuple[str, str]] = field(default_factory=list)

    def source(self, wanted: Flow) -> Flow:
        """Walk backwards over the tensors meant; remembers them for ``bind``."""
        given, result = self.args["input"], self.args["output"]
        self._pairs = [
            (given or name, name) for name in pick(wanted, result or given, self.map.fits)
        ]
        for src, dst in self._pairs:
            if src != dst and src in wanted:
                raise StepError(f"input: {src!r} is there already, under its own name")
            before = replace(self.map.backward(wanted[dst]), name=src)
            wanted = swap(wanted, dst, {src: before})
        return wanted

    def bind(self, given: Flow) -> Bound:
        """Walk forwards; several tensors become one function."""
        work: list[tuple[str, str, Kernel | None]] = []
        for src, dst in self._pairs:
            before = given[src]
            after = replace(self.map.forward(before), name=dst)
            kernel = self.map.kernel(before, after)
            if kernel is not None or src != dst:
                work.append((src, dst, kernel))
            given = swap(given, src, {dst: after})
        return Bound(given, _each(work))


class OutputMap(Protocol):
    """A step after the model that changes one tensor at a time; ``names`` renames it or is empty."""

    names: str

    def fits(self, given: Draft, /) -> bool:
        """Say whether the step is meant for ``given`` where none is named."""
        ...

    def forward(self, given: Draft, /) -> Draft:
        """Return what comes out of ``given``."""
        ...

    def kernel(self, given: Draft, result: Draft, /) -> Kernel | None:
        """Return the function; ``None`` if it would change nothing."""
        ...

    def touches(self, given: Draft, /) -> int | None:
        """Return the axis along which elements meet, if any."""
        ...


@dataclass(slots=True)
class EachOutput:
    """The operation of an ``OutputMap`` on every tensor it is meant for."""

    map: OutputMap
    args: Args

    def source(self, wanted: Flow) -> Flow:
        """Steps after the model change nothing before it."""
        return wanted

    def bind(self, given: Flow) -> Bound:
        """Walk forwards; several tensors become one function."""
        work: list[tuple[str, str, Kernel | None]] = []
        touches: list[tuple[str, int]] = []
        names = pick(given, self.args["input"], self.map.fits)
        for src in names:
            before = given[src]
            axis = self.map.touches(before)
            if axis is not None:
                touches.append((src, axis))
            dst = self.args["output"] or self._name(given, src, alone=len(names) == 1)
            if dst != src and dst in given:
                raise StepError(f"output: the name {dst!r} is taken")
            after = replace(self.map.forward(before), name=dst)
            kernel = self.map.kernel(before, after)
            if kernel is not None or src != dst:
                work.append((src, dst, kernel))
            given = swap(given, src, {dst: after})
        return Bound(given, _each(work), tuple(touches))

    def _name(self, flow: Flow, src: str, *, alone: bool) -> str:
        if not self.map.names:
            return src
        return derived(flow, src, (self.map.names,), alone=alone)[0]


def derived(flow: Flow, src: str, names: tuple[str, ...], *, alone: bool = True) -> list[str]:
    """Return names for what a step makes of ``src``: plain, or with ``src_`` before if taken.

    ``label``, ``index`` and ``score`` go together: if one is taken, all get the prefix.
    """
    family = {"label", "index", "score"}
    watched = family.union(names) if family & set(names) else set(names)
    plain = alone and not (watched & flow.keys() - {src})
    return list(names) if plain else [f"{src}_{name}" for name in names]


def pick(flow: Flow, named: str | None, fits: Callable[[Draft], bool]) -> list[str]:
    """Return the tensors a step is meant for: the named one, the only one, or all that fit."""
    if named is not None:
        if named not in flow:
            raise StepError(f"there is no tensor {named!r} here", help=nearest(named, flow))
        return [named]
    flow = {name: draft for name, draft in flow.items() if draft.of is None}
    if len(flow) == 1:
        return list(flow)
    found = [name for name, draft in flow.items() if fits(draft)]
    if not found:
        there = ", ".join(f"{n} ({d.text()})" for n, d in flow.items()) or "none"
        raise StepError("no tensor here fits", help=f"name one with input:; there are: {there}")
    return found


def spoken(value: Any) -> str:
    """Return an element as messages show it: texts quoted and not at any length, numbers bare."""
    if isinstance(value, (bytes, str)):
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        return repr(str(text) if len(text) <= _LONGEST else text[:_LONGEST] + "...")
    return str(value)


def _each(work: list[tuple[str, str, Kernel | None]]) -> Apply | None:
    if not work:
        return None

    def apply(tensors: Tensors) -> None:
        for src, dst, kernel in work:
            array = tensors.pop(src) if src != dst else tensors[src]
            tensors[dst] = kernel(array) if kernel is not None else array

    return apply
