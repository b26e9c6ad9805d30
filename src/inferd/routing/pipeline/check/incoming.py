"""What a request must bring: types that the file says, else those of the steps that take the inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from inferd.core.errors import ConfigError
from inferd.routing.pipeline.check import edges
from inferd.routing.pipeline.plan import Callee
from inferd.routing.pipeline.spec import Feed, InputSpec, PipelineSpec, Ref, Value


def request_types(spec: PipelineSpec, callees: Mapping[str, Callee]) -> dict[str, Value]:
    """Return the type of each input of the pipeline.

    Raises ``ConfigError`` where nothing says it, or the steps that take an input do not agree.
    """
    return {one.name: _type(one, list(_takers(spec, callees, one.name))) for one in spec.inputs}


def _type(spec: InputSpec, takers: list[tuple[str, Value]]) -> Value:
    where = f"{spec.where}: inputs.{spec.name}"
    if spec.dtype is not None and spec.shape is not None:
        content = spec.content or next((v.content for _, v in takers if v.content), None)
        return Value(spec.dtype, spec.shape, content=content)
    if not takers:
        missing = "datatype and shape" if spec.dtype is None and spec.shape is None else (
            "datatype" if spec.dtype is None else "shape"
        )  # fmt: skip
        raise ConfigError(
            f"{where}: nothing says its {missing}, as no model and no function takes it",
            help=f"write {spec.name}: {{dtype: float32, shape: [4]}}",
        )
    first, found = takers[0]
    for other, value in takers[1:]:
        if edges.mismatch(value, found) is not None:
            raise ConfigError(
                f"{where}: {first} takes it as {edges.shown(found)}, and {other} as {edges.shown(value)}",
                help=f"feed one of the two by a step that converts it, and write {spec.name}: "
                "{dtype: ..., shape: [...]}",
            )
        found = edges.narrowed(found, value)
    return Value(
        spec.dtype or found.dtype,
        found.shape if spec.shape is None else spec.shape,
        content=spec.content or found.content,
    )


def _takers(
    spec: PipelineSpec, callees: Mapping[str, Callee], name: str
) -> Iterator[tuple[str, Value]]:
    """Yield ``step.input`` and type of all that take an input, in the order of the file."""
    for step in spec.steps:
        callee = callees.get(step.name)
        if callee is None:
            continue
        for mapped, feeds in ((False, step.inputs), (True, step.mapped)):
            for taken, feed in feeds.items():
                found = callee.signature.input(taken)
                if found is not None and _takes(feed, name):
                    value = edges.of_spec(found, batched=callee.signature.batched)
                    value = edges.listed(value) if mapped else value
                    yield f"{step.name}.{taken}", replace(value, uneven=False)


def _takes(feed: Feed, name: str) -> bool:
    return any(isinstance(s, Ref) and s.step is None and s.name == name for s in feed)
