"""What a pipeline has for nothing: inputs that no step takes, steps that no output follows from."""

from __future__ import annotations

from collections.abc import Iterator

from inferd.routing.pipeline.check import graph
from inferd.routing.pipeline.spec import PipelineSpec, Ref

Remark = tuple[str, str]


def unused(spec: PipelineSpec) -> Iterator[Remark]:
    """Yield what is wrong with no request and yet likely a mistake: a message, and what to do."""
    outputs = [ref for output in spec.outputs for ref in graph.of_feed(output.feed)]
    taken = {
        r for r in (*outputs, *(ref for s in spec.steps for ref in graph.refs(s))) if r.step is None
    }
    names = {ref.name for ref in taken}
    for one in spec.inputs:
        if one.name not in names:
            yield (
                f"{one.where}: inputs.{one.name}: no step takes it, and every request must bring it",
                "take it out, or feed a step with it",
            )
    used = _used(spec, outputs)
    for step in spec.steps:
        if step.name not in used:
            yield (
                f"{step.where}: steps.{step.name}: no output follows from it, and every request waits for it",
                "take it out, or name what it gives under outputs:",
            )


def _used(spec: PipelineSpec, outputs: list[Ref]) -> set[str]:
    """Return the steps from which an output follows, by a condition too."""
    needs = {step.name: graph.needs(step) for step in spec.steps}
    line = [ref.step for ref in outputs if ref.step is not None]
    found: set[str] = set()
    while line:
        name = line.pop()
        if name not in found:
            found.add(name)
            line.extend(needs[name])
    return found
