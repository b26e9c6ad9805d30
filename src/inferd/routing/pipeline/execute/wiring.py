"""A plan worked out for running: values in numbered places, steps as lines that know what follows them.

A request keeps its values in a list with a place for each input of the pipeline and each output that is
used; ``None`` stands for what is not there. Made once for a plan. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from inferd.core.message import Parameters, carried
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import DType
from inferd.routing.pipeline.plan import PipelinePlan
from inferd.routing.pipeline.spec import Feed, ModelCall, Node, Outlet, Ref, Value

Places = Mapping[Ref, int]


@dataclass(slots=True, eq=False)
class Source:
    """What feeds an input: the first of ``places`` that is filled, else ``constant`` where there is one.

    ``rank``: axes of one example as the callee takes it, ``None`` where it is a list of unequal arrays.
    """

    name: str
    places: tuple[int, ...]
    constant: np.ndarray | None
    rank: int | None


@dataclass(slots=True, eq=False)
class Slot:
    """An output that is used, and the place it is kept in.

    ``shape``: of one example as the callee answers it, of an element where the step is mapped. ``seen``: shape and datatype of the last answer that was right, to be checked no further.
    """

    name: str
    place: int
    dtype: DType
    shape: tuple[int, ...]
    uneven: bool
    seen: tuple[object, object] | None = None


@dataclass(slots=True, eq=False)
class Line:
    """One step. ``then``: the lines that wait for it; ``waits``: for how many it waits itself.

    ``model`` and ``version``: what it asks; ``other``: its fallback. ``used``: the outputs to ask for,
    ``None`` (all) where none is used. ``parameters``: what it is asked with, whatever the request says.
    """

    index: int
    node: Node
    name: str
    inputs: tuple[Source, ...]
    mapped: tuple[Source, ...]
    outputs: tuple[Slot, ...]
    waits: int
    model: str
    version: str | None
    other: ModelCall | None
    used: tuple[str, ...] | None
    condition: tuple[tuple[Ref, int], ...] = ()
    then: list[int] = field(default_factory=list)
    parameters: Parameters = field(default_factory=dict)

    def answer(self) -> Signature:
        """Return what its callee answers, as far as it is used."""
        lead = (-1,) if self.node.batched else ()
        specs = [TensorSpec(slot.name, slot.dtype, (*lead, *slot.shape)) for slot in self.outputs]
        return Signature((), tuple(specs), batched=self.node.batched)

    def parameters_of(self, request: Parameters) -> Parameters:
        """Return what is passed on of a request's parameters: those that the callee takes, if it says so."""
        if not request:
            return self.parameters
        knows = self.node.knows
        taken = request if knows is None else {n: v for n, v in request.items() if n in knows}
        return {**taken, **self.parameters}


@dataclass(slots=True, eq=False)
class Exit:
    """One output of the pipeline.

    ``steps`` and ``outputs``: the line that fills each of ``places``, and with what; -1 is the request.
    """

    outlet: Outlet
    name: str
    places: tuple[int, ...]
    steps: tuple[int, ...]
    outputs: tuple[str, ...]
    rank: int


@dataclass(slots=True, eq=False)
class Wiring:
    """A plan worked out.

    ``inputs``: name and place of what a request brings. ``firsts``: the lines that wait for none.
    """

    inputs: tuple[tuple[str, int], ...]
    lines: tuple[Line, ...]
    firsts: tuple[Line, ...]
    exits: tuple[Exit, ...]
    size: int
    streams: Line | None


def wired(plan: PipelinePlan) -> Wiring:
    """Work a plan out."""
    places = _places(plan)
    index = {node.spec.name: i for i, node in enumerate(plan.nodes)}
    lines = tuple(_line(i, node, places) for i, node in enumerate(plan.nodes))
    for line in lines:
        for name in line.node.needs:
            lines[index[name]].then.append(line.index)
    exits = tuple(_exit(outlet, places, index) for outlet in plan.outlets)
    inputs = tuple((s.name, places[Ref(None, s.name)]) for s in plan.signature.inputs)
    firsts = tuple(line for line in lines if not line.waits)
    streams = lines[index[plan.streams]] if plan.streams is not None else None
    return Wiring(inputs, lines, firsts, exits, len(places), streams)


def _places(plan: PipelinePlan) -> dict[Ref, int]:
    """Return a place for every input, and for every output that something looks at."""
    used = {ref for ref in _refs(plan) if ref.step is not None}
    kept = [Ref(None, s.name) for s in plan.signature.inputs]
    kept += [
        ref
        for node in plan.nodes
        for ref in (Ref(node.spec.name, name) for name in node.outputs)
        if ref in used
    ]
    return {ref: place for place, ref in enumerate(kept)}


def _refs(plan: PipelinePlan) -> Iterator[Ref]:
    for node in plan.nodes:
        for feed in (*node.spec.inputs.values(), *node.spec.mapped.values()):
            yield from _referred(feed)
        if node.spec.when is not None:
            yield from node.spec.when.refs
    for outlet in plan.outlets:
        yield from _referred(outlet.spec.feed)


def _referred(feed: Feed) -> Iterator[Ref]:
    return (source for source in feed if isinstance(source, Ref))


def _line(index: int, node: Node, places: Places) -> Line:
    spec = node.spec
    call = spec.call if isinstance(spec.call, ModelCall) else None
    slots = tuple(
        _slot(name, places[Ref(spec.name, name)], value, mapped=bool(spec.mapped))
        for name, value in node.outputs.items()
        if Ref(spec.name, name) in places
    )
    return Line(
        index, node, spec.name,
        _sources(spec.inputs, node, places), _sources(spec.mapped, node, places), slots,
        len(node.needs), call.model if call else spec.name, call.version if call else None,
        spec.fallback.call if spec.fallback is not None else None,
        tuple([slot.name for slot in slots]) or None,
        tuple((ref, places[ref]) for ref in spec.when.refs) if spec.when is not None else (),
        parameters={name: carried(each.value) for name, each in spec.parameters.items()},
    )  # fmt: skip


def _sources(feeds: Mapping[str, Feed], node: Node, places: Places) -> tuple[Source, ...]:
    return tuple(
        Source(
            name, tuple(places[ref] for ref in _referred(feed)),
            _fixed(node.constants.get(name)), _rank(node.inputs.get(name)),
        )
        for name, feed in feeds.items()
    )  # fmt: skip


def _fixed(constant: np.ndarray | None) -> np.ndarray | None:
    """Return a constant that no careless model can change for all requests after its own."""
    if constant is not None:
        constant = constant.view()
        constant.flags.writeable = False
    return constant


def _rank(value: Value | None) -> int | None:
    return None if value is None or value.uneven else len(value.shape)


def _slot(name: str, place: int, value: Value, *, mapped: bool) -> Slot:
    shape = value.shape[1:] if mapped else value.shape
    return Slot(name, place, value.dtype, shape, value.uneven and not mapped)


def _exit(outlet: Outlet, places: Places, index: Mapping[str, int]) -> Exit:
    found = list(_referred(outlet.spec.feed))
    return Exit(
        outlet, outlet.spec.name, tuple(places[ref] for ref in found),
        tuple(index[ref.step] if ref.step is not None else -1 for ref in found),
        tuple(ref.name for ref in found), len(outlet.value.shape),
    )  # fmt: skip
