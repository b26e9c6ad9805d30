"""What a request must bring: types that the file says, else those of the steps that take the inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from inferd.core.errors import ConfigError, nearest
from inferd.core.signature import Signature
from inferd.routing.pipeline.check import edges, graph
from inferd.routing.pipeline.plan import Callee
from inferd.routing.pipeline.spec import Feed, InputSpec, PipelineSpec, Ref, StepSpec, Value


def request_types(spec: PipelineSpec, callees: Mapping[str, Callee]) -> dict[str, Value]:
    """Return the type of each input of the pipeline.

    Raises ``ConfigError`` where nothing says it, or the steps that take an input do not agree.
    """
    found = {}
    for one in spec.inputs:
        takers = list(_takers(spec, callees, one.name))
        if not takers:
            _check_names(spec, callees, one.name)
        found[one.name] = _type(one, takers)
    return found


def place(step: StepSpec, name: str, mapped: bool) -> str:
    """Return where an input of a step is fed."""
    feed = (step.mapped if mapped else step.inputs)[name]
    if isinstance(feed[0], Ref):
        return feed[0].where
    return f"{feed[0].where}: steps.{step.name}.{'map' if mapped else 'inputs'}.{name}"


def unknown(step: StepSpec, name: str, mapped: bool, inputs: Iterable[str]) -> ConfigError:
    """Return the error for an input that what the step calls has not; ``inputs``: those it has."""
    return ConfigError(
        f"{place(step, name, mapped)}: {graph.called(step.call)} has no input {name!r}",
        help=nearest(name, inputs),
    )


def check_parameters(step: StepSpec, signature: Signature) -> None:
    """Refuse a parameter of a step that its model, which says what it takes, does not know."""
    known = signature.parameters
    for name, constant in step.parameters.items():
        if known is not None and name not in known:
            raise ConfigError(
                f"{constant.where}: steps.{step.name}.parameters: {graph.called(step.call)} has no "
                f"parameter {name!r}",
                help=nearest(name, known),
            )


def _check_names(spec: PipelineSpec, callees: Mapping[str, Callee], name: str) -> None:
    """Refuse an input of a step that is none, where nothing else takes an input of the pipeline."""
    for step, mapped, taken in _fed(spec, name):
        callee = callees.get(step.name)
        if callee is not None and callee.signature.input(taken) is None:
            raise unknown(step, taken, mapped, [one.name for one in callee.signature.inputs])


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
    for step, mapped, taken in _fed(spec, name):
        callee = callees.get(step.name)
        found = callee.signature.input(taken) if callee is not None else None
        if callee is not None and found is not None:
            value = edges.of_spec(found, batched=callee.signature.batched)
            value = edges.listed(value) if mapped else value
            yield f"{step.name}.{taken}", replace(value, uneven=False)


def _fed(spec: PipelineSpec, name: str) -> Iterator[tuple[StepSpec, bool, str]]:
    """Yield each step that an input feeds, whether element by element, and the input of the step."""
    for step in spec.steps:
        for mapped, feeds in ((False, step.inputs), (True, step.mapped)):
            yield from (
                (step, mapped, taken) for taken, feed in feeds.items() if _takes(feed, name)
            )


def _takes(feed: Feed, name: str) -> bool:
    return any(isinstance(s, Ref) and s.step is None and s.name == name for s in feed)
