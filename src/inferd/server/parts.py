"""What pipelines measured of the models they ask, under the names of those models."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from inferd.core.errors import NotFound
from inferd.core.message import Timings
from inferd.routing.pipeline.execute.step import FALLBACK
from inferd.routing.pipeline.spec import ModelCall, PipelineSpec
from inferd.routing.table import Version

Find = Callable[[str, str | None], Version]
Asked = dict[tuple[str, str], list[Timings]]


def calls_of(spec: PipelineSpec) -> dict[str, ModelCall]:
    """Return the model that each step asks, by the name under which the step is told."""
    found: dict[str, ModelCall] = {}
    for step in spec.steps:
        if isinstance(step.call, ModelCall):
            found[step.name] = step.call
        if step.fallback is not None and step.fallback.call is not None:
            found[step.name + FALLBACK] = step.fallback.call
    return found


def by_model(spec: PipelineSpec, finished: Iterable[Timings], find: Find) -> Asked:
    """Return the timings of the answers that steps got, by model and version.

    ``finished``: timings of requests to the pipeline. A model that is gone meanwhile is left out.
    """
    by_step: dict[str, list[Timings]] = {}
    for timings in finished:
        for step in timings.steps:
            if step.timings is not None:
                by_step.setdefault(step.name, []).append(step.timings)
    found: Asked = {}
    for name, call in calls_of(spec).items():
        if name not in by_step:
            continue
        try:
            version = find(call.model, call.version)
        except NotFound:
            continue
        found.setdefault((version.model, version.version), []).extend(by_step[name])
    return found
