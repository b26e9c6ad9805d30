"""Which part of a pipeline becomes a service of its own: from specs and names to a plan.

Pure. A service is named after a step or a model (``detect``), or names several (``text=detect+recognise``).
What it serves is models; the pipeline stays whole and is told by a deployment file whom to ask. Steps
that are Python functions or transforms belong to the pipeline's own worker and stay with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from inferd.core.errors import ConfigError, nearest
from inferd.deploy.quoting import slug
from inferd.repository.spec import ModelSpec
from inferd.routing.pipeline.spec import ModelCall, PipelineSpec, PythonCall


@dataclass(frozen=True, slots=True)
class Division:
    """One service: its name, the models it is asked for, and all that it serves."""

    name: str
    asked: tuple[str, ...]
    specs: tuple[ModelSpec, ...]


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """A pipeline in parts: ``front`` serves the pipeline itself and what is nobody else's."""

    pipeline: str
    services: tuple[Division, ...]
    front: Division

    @property
    def divisions(self) -> tuple[Division, ...]:
        """All services, the front last."""
        return (*self.services, self.front)


def parse_services(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return ``name`` and ``name=step+step`` texts as a mapping of service to steps or models.

    Raises ``ConfigError`` for what is no such thing, and for a name given twice.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in (word.strip() for given in texts for word in given.split(",")):
        name, equals, steps = text.partition("=")
        members = tuple(s.strip() for s in steps.split("+")) if equals else (name,)
        if not name or not all(members):
            raise ConfigError(
                f"--services {text!r}: must be names of steps or models",
                help="for example --services asr,nlu or --services speech=vad+asr",
            )
        made = slug(name)
        if made in found:
            raise ConfigError(f"--services: {made} is given twice")
        found[made] = members
    return found


def top_pipeline(pipelines: Mapping[str, PipelineSpec]) -> str:
    """Return the pipeline that is part of no other. Raises ``ConfigError`` where it is not one."""
    parts = {call.model for pipeline in pipelines.values() for call in pipeline.models}
    tops = sorted(name for name in pipelines if name not in parts)
    if len(tops) == 1:
        return tops[0]
    if not tops:
        raise ConfigError(
            "there is no pipeline to split", help="name a directory with a pipeline.yaml"
        )
    raise ConfigError(
        f"several pipelines are served: {', '.join(tops)}", help="name the directory of one of them"
    )


def split(
    specs: Sequence[ModelSpec],
    pipelines: Mapping[str, PipelineSpec],
    services: Mapping[str, Sequence[str]],
) -> SplitPlan:
    """Return who serves what. ``services``: steps or models by name of a service.

    Raises ``ConfigError`` for a name that is neither, a step that stays, and a model in two services.
    """
    top = top_pipeline(pipelines)
    by_name = {name: tuple(s for s in specs if s.name == name) for name in {s.name for s in specs}}
    given: dict[str, str] = {}
    asked: dict[str, tuple[str, ...]] = {}
    for service, members in services.items():
        models = sorted({_model(top, pipelines[top], by_name, member) for member in members})
        for model in models:
            if model in given:
                raise ConfigError(
                    f"--services: model {model!r} would be in {given[model]} and in {service}",
                    help=f"name them together: {service}=STEP+STEP",
                )
            given[model] = service
        asked[service] = tuple(models)
    divisions = [
        Division(name, models, _closure(models, by_name, pipelines, apart=()))
        for name, models in asked.items()
    ]
    taken = {spec.name for division in divisions for spec in division.specs}
    kept = _closure((top,), by_name, pipelines, apart=given)
    loose = tuple(s for s in specs if s.name not in taken and s not in kept)
    front = slug(top)
    if front in asked:
        raise ConfigError(f"--services: {front} is the name of the pipeline itself")
    front_specs = tuple(sorted((*kept, *loose), key=lambda s: (s.name, s.version)))
    return SplitPlan(top, tuple(divisions), Division(front, (top,), front_specs))


def _model(
    name: str, pipeline: PipelineSpec, by_name: Mapping[str, tuple[ModelSpec, ...]], member: str
) -> str:
    """Return the model that a step asks, or the model of that name."""
    steps = {step.name: step for step in pipeline.steps}
    step = steps.get(member)
    if step is not None and isinstance(step.call, ModelCall):
        member = step.call.model
    elif step is not None and member not in by_name:
        what = "a Python function" if isinstance(step.call, PythonCall) else "transforms"
        raise ConfigError(
            f"--services: step {member!r} is {what}, and runs in the worker of the pipeline itself",
            help=f"leave it out; it stays with {name}",
        )
    if member == name:
        raise ConfigError(f"--services: {name} is the pipeline itself")
    if member not in by_name:
        known = [*steps, *by_name]
        raise ConfigError(
            f"--services: {member!r} is no step of {name} and no model", help=nearest(member, known)
        )
    if len(by_name[member]) > 1:
        versions = " and ".join(spec.version for spec in by_name[member])
        raise ConfigError(
            f"--services: {member} is asked for in the versions {versions}, and a service serves the latest",
            help=f"leave it out; it stays with {name}",
        )
    return member


def _closure(
    names: Iterable[str], by_name: Mapping[str, tuple[ModelSpec, ...]], pipelines: Mapping[str, PipelineSpec],
    apart: Iterable[str],
) -> tuple[ModelSpec, ...]:  # fmt: skip
    """Return models and, where they are pipelines, what these ask in turn; not those ``apart``."""
    apart = frozenset(apart)
    found: dict[str, tuple[ModelSpec, ...]] = {}
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in found or name in apart or name not in by_name:
            continue
        found[name] = by_name[name]
        if name in pipelines:
            pending += [call.model for call in pipelines[name].models]
    return tuple(spec for name in sorted(found) for spec in found[name])
