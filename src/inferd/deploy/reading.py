"""Reading what a PATH serves, for an image of it: specs, and the steps of pipelines."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from inferd.control import sources
from inferd.repository.spec import PIPELINE, ModelSpec
from inferd.routing.pipeline.definition.file import read_pipeline
from inferd.routing.pipeline.spec import PipelineSpec, TransformCall


def read_specs(path: str, trusted: Collection[str] = ()) -> list[ModelSpec]:
    """Return the models that ``inferd serve`` would serve; raises as it would."""
    return sources.read_specs([path], trust_pickle=trusted)


def pipelines(specs: Iterable[ModelSpec]) -> dict[str, PipelineSpec]:
    """Return the pipelines among specs, by name."""
    return {
        spec.name: read_pipeline(spec.artifact, spec.name)
        for spec in specs
        if spec.runtime == PIPELINE and spec.artifact is not None
    }


def transforms_of(specs: Iterable[ModelSpec]) -> Iterator[str]:
    """Yield the names of the transforms that pipelines apply as steps."""
    for pipeline in pipelines(specs).values():
        for step in pipeline.steps:
            if isinstance(step.call, TransformCall):
                yield from (transform.name for transform in step.call.steps)
