"""What a pipeline asks: its models in the route table, their types, and the state that follows. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from inferd.control.lifecycle import Health
from inferd.core.errors import ConfigError, NotFound, nearest
from inferd.core.signature import Signature
from inferd.routing.pipeline.plan import Callee
from inferd.routing.pipeline.spec import ModelCall, PipelineSpec, StepSpec, TransformCall
from inferd.routing.table import FAILED, LOADING, READY, RouteTable, Version

Callees = dict[str, Callee]


def found(table: RouteTable, call: ModelCall) -> Version | str:
    """Return the version that a step asks, or why there is none."""
    try:
        return table.find(call.model, call.version)
    except NotFound as error:
        return error.message


def health(table: RouteTable, spec: PipelineSpec, functions: Mapping[str, Callee]) -> Health:
    """Return the state of a pipeline as far as its models go.

    It waits for those that are loading and has failed with one that has, but not where the step has a
    fallback: then it is enough that the step's types are known.
    """
    waits: str | None = None
    for step in spec.steps:
        if not isinstance(step.call, ModelCall):
            continue
        version = found(table, step.call)
        if isinstance(version, Version) and version.ready:
            continue
        if step.fallback is not None and callee_of(table, step, functions) is not None:
            continue
        if isinstance(version, str):
            waits = waits or f"waits for model {step.call.model!r}: {version}"
        elif version.state == FAILED:
            return Health(FAILED, f"model {version.model!r} has failed: {version.reason}")
        else:
            waits = waits or f"waits for model {version.model!r}: {version.reason}"
    return Health(READY, "") if waits is None else Health(LOADING, waits)


def callees(
    table: RouteTable, spec: PipelineSpec, functions: Mapping[str, Callee]
) -> Callees | None:
    """Return what each step calls; ``None`` while a type is not known. Transforms are left out."""
    out: Callees = {}
    for step in spec.steps:
        found = callee_of(table, step, functions)
        if found is not None:
            out[step.name] = found
        elif not isinstance(step.call, TransformCall):
            return None
    return out


def callee_of(
    table: RouteTable, step: StepSpec, functions: Mapping[str, Callee]
) -> Callee | None:  # fmt: skip
    """Return what a step calls; the types of the model that stands in, where only they are known."""
    if not isinstance(step.call, ModelCall):
        return functions.get(step.name)
    version = found(table, step.call)
    stands_in = _signature(table, step.fallback.call) if step.fallback else None
    if isinstance(version, Version) and version.signature is not None:
        return Callee(
            version.signature, version.streams, fallback=stands_in, plan=version.plan
        )  # fmt: skip
    return Callee(stands_in, fallback=stands_in) if stands_in is not None else None


def _signature(table: RouteTable, call: ModelCall | None) -> Signature | None:
    version = found(table, call) if call is not None else None
    return version.signature if isinstance(version, Version) else None


def check_names(table: RouteTable, spec: PipelineSpec) -> None:
    """Refuse a model that is not served at all. Raises ``ConfigError`` naming file and line.

    Which version a service has is not known before it was asked.
    """
    names = table.names()
    for call in spec.models:
        version = found(table, call)
        if isinstance(version, str):
            rows = table.versions(call.model) if call.model in names else []
            if any(row.state == LOADING for row in rows):
                continue
            hint = nearest(call.model, names) if call.model not in names else None
            raise ConfigError(
                f"{call.where}: {version}", help=hint or "name a version that is there, or none"
            )


def check_cycle(name: str, spec: PipelineSpec, parts: Callable[[str], Iterable[str]]) -> None:
    """Refuse pipelines that ask each other. ``parts``: the models that a model asks.

    Raises ``ConfigError`` naming file and line, and the pipelines.
    """
    for call in spec.models:
        way = _way(call.model, name, parts)
        if way is not None:
            shown = " -> ".join([name, *way])
            raise ConfigError(
                f"{call.where}: these pipelines ask each other: {shown}",
                help="an answer would never come; take one of the steps out",
            )


def _way(start: str, end: str, parts: Callable[[str], Iterable[str]]) -> list[str] | None:
    """Return the models from ``start`` to ``end``, ``None`` where there is no way."""
    before: dict[str, str | None] = {start: None}
    line = [start]
    for model in line:
        if model == end:
            way: list[str] = []
            step: str | None = model
            while step is not None:
                way.append(step)
                step = before[step]
            return way[::-1]
        for part in parts(model):
            if part not in before:
                before[part] = model
                line.append(part)
    return None


def in_order(names: Sequence[str], parts: Mapping[str, Iterable[str]]) -> list[str]:
    """Return pipelines so that each comes after those it asks, else as given. They have no cycle."""
    out: dict[str, None] = {}

    def add(name: str) -> None:
        for part in parts[name]:
            if part in parts and part not in out:
                add(part)
        out[name] = None

    for name in names:
        add(name)
    return list(out)
