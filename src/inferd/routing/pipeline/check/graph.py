"""The graph of a pipeline: in which order steps run, what each waits for, which may be skipped."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator

from inferd.core.errors import ConfigError
from inferd.routing.pipeline.spec import (
    Feed,
    ModelCall,
    PipelineSpec,
    PythonCall,
    Ref,
    StepSpec,
    TransformCall,
)


def refs(step: StepSpec) -> Iterator[Ref]:
    """Yield every value that a step looks at: its inputs, and those of its condition."""
    for feed in (*step.inputs.values(), *step.mapped.values()):
        yield from of_feed(feed)
    if step.when is not None:
        yield from step.when.refs


def of_feed(feed: Feed) -> Iterator[Ref]:
    """Yield the references among the sources of an input."""
    return (source for source in feed if isinstance(source, Ref))


def needs(step: StepSpec) -> frozenset[str]:
    """Return the steps that must have ended before this one can begin."""
    return frozenset(ref.step for ref in refs(step) if ref.step is not None)


def called(call: ModelCall | PythonCall | TransformCall) -> str:
    """Return how messages call what a step calls."""
    match call:
        case ModelCall():
            return f"the model {model_name(call)!r}"
        case PythonCall():
            return f"the function {call.reference!r}"
        case TransformCall():
            return "the transform"


def model_name(call: ModelCall) -> str:
    """Return a model as it is written in the file: ``name``, ``name@version``."""
    return f"{call.model}@{call.version}" if call.version else call.model


def order(spec: PipelineSpec) -> tuple[StepSpec, ...]:
    """Return the steps so that each comes after those it needs, else as they stand in the file.

    Raises ``ConfigError`` for steps that wait for each other, naming them.
    """
    place = {step.name: i for i, step in enumerate(spec.steps)}
    waits = {step.name: set(needs(step)) for step in spec.steps}
    after: dict[str, list[str]] = {name: [] for name in place}
    for name, needed in waits.items():
        for one in needed:
            after[one].append(name)
    ready = [place[name] for name, needed in waits.items() if not needed]
    heapq.heapify(ready)
    found: list[StepSpec] = []
    while ready:
        step = spec.steps[heapq.heappop(ready)]
        found.append(step)
        for name in after[step.name]:
            waits[name].discard(step.name)
            if not waits[name]:
                heapq.heappush(ready, place[name])
    if len(found) < len(spec.steps):
        done = {step.name for step in found}
        raise _cycle(spec, {n: w for n, w in waits.items() if n not in done})
    return tuple(found)


def _cycle(spec: PipelineSpec, waits: dict[str, set[str]]) -> ConfigError:
    """Return the error that names the steps of one cycle. Each of ``waits`` waits for another of them."""
    name = next(iter(waits))
    path: dict[str, None] = {}
    while name not in path:
        path[name] = None
        name = min(waits[name])
    cycle = list(path)[list(path).index(name) :]
    first = min(cycle, key=[s.name for s in spec.steps].index)
    at = cycle.index(first)
    shown = " -> ".join([*cycle[at:], *cycle[:at], first])
    where = spec.step(first).where
    if len(cycle) == 1:
        return ConfigError(f"{where}: the step {first!r} needs its own output")
    return ConfigError(
        f"{where}: these steps wait for each other: {shown}",
        help="a step can only be fed by steps that do not need it",
    )


def levels(spec: PipelineSpec) -> dict[str, int]:
    """Return for each step the number of steps that must run one after the other before it.

    Steps of one level run at the same time, where nothing else is in the way.
    """
    found: dict[str, int] = {}
    for step in order(spec):
        found[step.name] = 1 + max((found[n] for n in needs(step)), default=-1)
    return found


def optional(spec: PipelineSpec) -> frozenset[str]:
    """Return the steps that may be skipped: by their condition, or since all that feeds them may be."""
    found: set[str] = set()
    for step in order(spec):
        feeds = (*step.inputs.values(), *step.mapped.values())
        if step.when is not None or any(may_lack(feed, found) for feed in feeds):
            found.add(step.name)
    return frozenset(found)


def may_lack(feed: Feed, skipped: Collection[str]) -> bool:
    """Return whether all sources of an input may be absent; ``skipped``: steps that may be."""
    return all(isinstance(s, Ref) and s.step is not None and s.step in skipped for s in feed)


def check(spec: PipelineSpec) -> None:
    """Refuse cycles, and outputs that may be absent. Raises ``ConfigError`` naming file and line."""
    skipped = optional(spec)
    for output in spec.outputs:
        if output.default is None and may_lack(output.feed, skipped):
            source = " and ".join(str(ref) for ref in of_feed(output.feed))
            raise ConfigError(
                f"{output.where}: outputs.{output.name}: may be absent, as what gives it ({source}) may be "
                "skipped",
                help=f"write {output.name}: {{from: ..., default: ...}}, or name another source after it",
            )
