"""One step of ``pipeline.yaml``: what it calls, what feeds it, and what holds for it."""

from __future__ import annotations

from inferd.config.sources import Section
from inferd.repository import readers
from inferd.routing.pipeline.definition.conditions import parse_condition
from inferd.routing.pipeline.definition.feeds import Names, read_constant, read_feed
from inferd.routing.pipeline.definition.keys import STEP
from inferd.routing.pipeline.definition.reading import inner, read, shown
from inferd.routing.pipeline.spec import (
    Condition,
    Constant,
    Fallback,
    Feed,
    ModelCall,
    PythonCall,
    StepSpec,
    TransformCall,
)


def read_step(steps: Section, name: str, names: Names, own: str) -> StepSpec:
    """Read one step. ``own``: the pipeline's name, which it cannot ask. Raises ``ConfigError``."""
    row = inner(steps, name, "{model: NAME, inputs: {x: step.output}}")
    row.only(*(key.name for key in STEP))
    inputs, mapped = _feeds(row, "inputs", names), _feeds(row, "map", names)
    for both in inputs.keys() & mapped.keys():
        raise row["map"].error(
            both, "is fed by inputs: too", help="name an input under one of the two"
        )
    if "map" in row and not mapped:
        raise row.error("map", "names no input", help="write map: {x: step.list}")
    return StepSpec(
        name,
        _call(row, own),
        inputs,
        mapped,
        _condition(row, names),
        _fallback(row, own),
        read(readers.seconds, row, "timeout"),
        steps.where(name),
        _parameters(row),
    )


def _call(row: Section, own: str) -> ModelCall | PythonCall | TransformCall:
    kinds = [key for key in ("model", "python", "transform") if key in row]
    if len(kinds) != 1:
        said = " and ".join(kinds) if kinds else "none of them"
        raise row.error(
            None, f"must have one of model, python and transform; it has {said}",
            help="a step asks a model, calls a Python function, or applies transforms",
        )  # fmt: skip
    where = row.where(kinds[0])
    if kinds[0] == "model":
        return _model(row, own)
    if kinds[0] == "python":
        return PythonCall(read(readers.object_name, row, "python") or "", where)
    steps = read(readers.steps, row, "transform") or ()
    if not steps:
        raise row.error("transform", "lists no step", help="write transform: [softmax]")
    return TransformCall(steps, where)


def _model(row: Section, own: str) -> ModelCall:
    text = read(readers.text, row, "model") or ""
    model, at, version = text.partition("@")
    if not model or (at and not version) or any(c.isspace() for c in text):
        raise row.error(
            "model",
            f"{shown(text)} names no model",
            help="write NAME, or NAME@VERSION, or NAME@LABEL",
        )
    if model == own:
        raise row.error(
            "model", f"{model!r} is this pipeline itself, which cannot wait for its own answer",
            help="a pipeline has the name of its directory",
        )  # fmt: skip
    return ModelCall(model, version or None, row.where("model"))


def _feeds(row: Section, key: str, names: Names) -> dict[str, Feed]:
    if row.get(key) is None:
        return {}
    section = inner(row, key, "{x: step.output}")
    return {name: read_feed(section, name, names) for name in section}


def _parameters(row: Section) -> dict[str, Constant]:
    if row.get("parameters") is None:
        return {}
    section = inner(row, "parameters", "{max_tokens: 80}")
    if section and "model" not in row:
        raise row.error("parameters", "are for a model, and the step asks none")
    return {name: read_constant(section, name) for name in section}


def _condition(row: Section, names: Names) -> Condition | None:
    if "when" not in row:
        return None
    text = read(readers.text, row, "when") or ""
    return parse_condition(text, f"{row.where('when')}: {row.path}.when", names.find)


def _fallback(row: Section, own: str) -> Fallback | None:
    if "fallback" not in row:
        return None
    section = inner(row, "fallback", "{model: NAME} or {values: {output: 0}}").only(
        "model", "values"
    )
    if len(section) != 1:
        said = "both" if section else "neither"
        raise row.error("fallback", f"must have one of model and values; it has {said}")
    where = row.where("fallback")
    if "model" in section:
        return Fallback(_model(section, own), {}, where)
    values = inner(section, "values", "{output: 0}")
    if not values:
        raise section.error("values", "give no output", help="write values: {output: 0}")
    return Fallback(None, {name: read_constant(values, name) for name in values}, where)
