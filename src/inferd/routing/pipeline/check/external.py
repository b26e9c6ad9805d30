"""What a pipeline is from outside: signature, batch plan, and the step whose answer goes out in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature
from inferd.routing.pipeline.check import edges, graph
from inferd.routing.pipeline.plan import Callee
from inferd.routing.pipeline.spec import Node, Outlet, PipelineSpec, StepSpec, Value


def signature(
    inputs: Mapping[str, Value], outlets: Sequence[Outlet], *, straight: bool,
    defaults: Mapping[str, Any], parameters: tuple[str, ...] | None = None,
) -> Signature:  # fmt: skip
    """Return the external signature: each type with a batch axis before it.

    Rows of one request run through the graph one by one, so an output with a free axis may be of another
    shape in each: the signature is ragged, but where all rows go ``straight`` through models that
    answer a batch in one shape. ``defaults``: of inputs that a request may leave out.
    """
    ragged = not straight and any(-1 in outlet.value.shape for outlet in outlets)
    return Signature(
        tuple(
            replace(edges.spec(name, value, batched=True), default=defaults.get(name))
            for name, value in inputs.items()
        ),
        tuple(edges.spec(o.spec.name, o.value, batched=True) for o in outlets),
        ragged=ragged,
        parameters=parameters,
    )


def parameters(callees: Iterable[Callee]) -> tuple[str, ...] | None:
    """Return the parameters of a request that any step takes, ``None`` where one does not say.

    They are for steps whose answers come in pieces; of the others only a pipeline, which says so, has use for any.
    """
    said = [(callee.signature.parameters, callee.streams) for callee in callees]
    found = [names for names, streams in said if streams or names is not None]
    if not found or any(names is None for names in found):
        return None
    return tuple(sorted({name for names in found for name in names or ()}))


def batch_plan(signature: Signature) -> BatchPlan:
    """Return how rows may come together: those of one request must agree in their free axes."""
    axes = (
        (spec.name, axis)
        for spec in signature.inputs
        for axis, size in enumerate(spec.shape)
        if axis and size < 0
    )
    return BatchPlan(key_axes=tuple(axes), split=signature.ragged)


def streaming(
    spec: PipelineSpec, nodes: Sequence[Node], callees: Mapping[str, Callee]
) -> str | None:
    """Return the step whose answer goes out in pieces: it streams, and an output comes from it.

    The last one where there are several: the answers of others are collected, as are those of mapped
    steps and of steps with a fallback, which could not stand in for an answer that has begun. Steps that
    need it too are given the whole, once it has ended.
    """
    given = {ref.step for output in spec.outputs for ref in graph.of_feed(output.feed)}
    found = [
        node.spec.name
        for node in nodes
        if node.spec.name in given
        and _in_pieces(node.spec, callees)
        and not _improved(node.spec.name, spec, nodes)
    ]
    return found[-1] if found else None


def _in_pieces(step: StepSpec, callees: Mapping[str, Callee]) -> bool:
    callee = callees.get(step.name)
    return callee is not None and callee.streams and not step.mapped and step.fallback is None


def _improved(name: str, spec: PipelineSpec, nodes: Sequence[Node]) -> bool:
    """Return whether an output would rather come from a step that needs the whole of this one's answer."""
    after = {name}
    for node in nodes:
        if after & node.needs:
            after.add(node.spec.name)
    for output in spec.outputs:
        sources = [ref.step for ref in graph.of_feed(output.feed)]
        if name in sources and after.intersection(sources[: sources.index(name)]):
            return True
    return False


def goes_straight(
    nodes: Sequence[Node], callees: Mapping[str, Callee], streams: str | None
) -> bool:
    """Return whether requests of several rows go through as they are, batch by batch.

    So it is where all steps are batched models that answer a batch in one shape, none is mapped, has a
    condition or streams.
    """
    if streams is not None:
        return False
    for node in nodes:
        callee = callees.get(node.spec.name)
        if callee is None or not node.batched or node.spec.mapped or node.spec.when is not None:
            return False
        if callee.streams or callee.splits or node.optional:
            return False
        stands_in = callee.fallback
        if stands_in is not None and (not stands_in.batched or Callee(stands_in).splits):
            return False
    return True
