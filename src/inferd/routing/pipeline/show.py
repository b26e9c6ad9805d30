"""A pipeline as a person reads it: text, Mermaid, or JSON. The same pipeline gives the same text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inferd.config.units import format_duration
from inferd.routing.pipeline.check import edges, graph
from inferd.routing.pipeline.definition.file import own_name
from inferd.routing.pipeline.plan import PipelinePlan
from inferd.routing.pipeline.spec import (
    Constant,
    Fallback,
    Feed,
    InputSpec,
    ModelCall,
    Node,
    PipelineSpec,
    PythonCall,
    Ref,
    StepSpec,
    TransformCall,
    Value,
)

_LONGEST = 40


def to_json(spec: PipelineSpec, plan: PipelinePlan | None = None) -> dict[str, Any]:
    """Return all of a pipeline as JSON values; types are there as far as they are known.

    Steps stand in the order in which they can run; those of one ``level`` run at the same time.
    """
    found = graph.levels(spec)
    nodes = {n.spec.name: n for n in plan.nodes} if plan is not None else {}
    outlets = {o.spec.name: o for o in plan.outlets} if plan is not None else {}
    return {
        "name": own_name(spec.file),
        "description": spec.description,
        "task": spec.task,
        "inputs": _request(spec, plan),
        "steps": [
            _step_json(step, found[step.name] + 1, nodes.get(step.name))
            for step in graph.order(spec)
        ],
        "outputs": {
            o.name: {
                "from": _sources(o.feed),
                **({"default": o.default.value} if o.default is not None else {}),
                "type": edges.shown(outlets[o.name].value) if o.name in outlets else None,
            }
            for o in spec.outputs
        },
        "streams": plan.streams if plan is not None else None,
    }


def _step_json(step: StepSpec, level: int, node: Node | None) -> dict[str, Any]:
    outputs = node.outputs if node is not None else {}
    return {
        "name": step.name,
        "level": level,
        **_call_json(step.call),
        "inputs": {n: _sources(f) for n, f in step.inputs.items()},
        "map": {n: _sources(f) for n, f in step.mapped.items()},
        "needs": sorted(graph.needs(step)),
        "parameters": {name: each.value for name, each in step.parameters.items()},
        "when": step.when.text if step.when is not None else None,
        "fallback": _fallback_json(step.fallback),
        "timeout": step.timeout,
        "outputs": {name: edges.shown(value) for name, value in outputs.items()},
    }


def text(described: Mapping[str, Any]) -> str:
    """Return what ``to_json`` gave as lines of text: inputs, steps by level, outputs."""
    about = f": {described['description']}" if described["description"] else ""
    task = f"  (task {described['task']})" if described["task"] else ""
    lines = [f"pipeline {described['name']}{about}{task}", "", "inputs"]
    width = max(map(len, described["inputs"]))
    lines += [f"  {name:<{width}}  {kind}" for name, kind in described["inputs"].items()]
    lines += ["", "steps  (those of one number run at the same time)"]
    for step in sorted(described["steps"], key=lambda s: s["level"]):
        lines += _step(step, streams=described["streams"] == step["name"])
    lines += ["", "outputs"]
    for name, row in described["outputs"].items():
        default = f", else {_constant(row['default'])}" if "default" in row else ""
        kind = f"  {row['type']}" if row["type"] else ""
        lines.append(f"  {name} <- {_feed(row['from'])}{default}{kind}")
    return "\n".join(lines) + "\n"


def _step(step: Mapping[str, Any], *, streams: bool) -> Iterator[str]:
    fallback = step["fallback"]
    notes = [f"timeout {format_duration(step['timeout'])}"] if step["timeout"] is not None else []
    notes += [f"fallback {_fallback(fallback)}"] if fallback is not None else []
    notes += ["answers in pieces"] if streams else []
    shown = f"  ({'; '.join(notes)})" if notes else ""
    yield f"  {step['level']:<3} {step['name']}: {_call(step)}{shown}"
    if step["when"] is not None:
        yield f"        when {step['when']}"
    for name, feed in step["inputs"].items():
        yield f"        {name} <- {_feed(feed)}"
    for name, feed in step["map"].items():
        yield f"        {name} <- each of {_feed(feed)}"
    for name, value in step["parameters"].items():
        yield f"        parameter {name} <- {_constant(value)}"
    for name, kind in step["outputs"].items():
        yield f"        -> {name}  {kind}"


def mermaid(spec: PipelineSpec) -> str:
    """Return a Mermaid flowchart. Mapped inputs are thick lines, conditions dotted ones."""
    nodes = {**{Ref(None, one.name): f"i{i}" for i, one in enumerate(spec.inputs)}}
    steps = {step.name: f"s{i}" for i, step in enumerate(spec.steps)}
    lines = ["flowchart LR"]
    lines += [f'  i{i}(["{_label(one.name)}"])' for i, one in enumerate(spec.inputs)]
    for step in spec.steps:
        label = [step.name, _call(_call_json(step.call))]
        label += [f"when {step.when.text}"] if step.when is not None else []
        fallback = _fallback_json(step.fallback)
        label += [f"fallback {_fallback(fallback)}"] if fallback is not None else []
        lines.append(f'  {steps[step.name]}["{"<br/>".join(map(_label, label))}"]')
    lines += [f'  o{i}(["{_label(output.name)}"])' for i, output in enumerate(spec.outputs)]

    def edge(ref: Ref, arrow: str, end: str, label: str) -> str:
        start = nodes[ref] if ref.step is None else steps[ref.step]
        return f'  {start} {arrow}|"{_label(label)}"| {end}'

    for step in spec.steps:
        end = steps[step.name]
        for arrow, feeds in (("-->", step.inputs), ("==>", step.mapped)):
            for name, feed in feeds.items():
                for ref in graph.of_feed(feed):
                    lines.append(edge(ref, arrow, end, _between(ref, name)))
        if step.when is not None:
            looked = {steps.get(ref.step or ""): ref for ref in step.when.refs if ref.step}
            looked |= {nodes[ref]: ref for ref in step.when.refs if not ref.step}
            lines += [edge(ref, "-.->", end, "when") for ref in looked.values()]
    for i, output in enumerate(spec.outputs):
        lines += [
            edge(ref, "-->", f"o{i}", _between(ref, output.name))
            for ref in graph.of_feed(output.feed)
        ]
    return "\n".join(lines) + "\n"


def _between(ref: Ref, name: str) -> str:
    return name if ref.name == name else f"{ref.name} as {name}"


def _label(text: str) -> str:
    """Return text as it may stand in quotes: everything but plain characters as a number."""
    shown = " ".join(text.split()) or " "
    return "".join(c if c.isalnum() or c in " .,:;_-@=!?/()" else f"#{ord(c)};" for c in shown)


def _request(spec: PipelineSpec, plan: PipelinePlan | None) -> dict[str, str]:
    """Return the types of the pipeline's inputs, as far as they are known."""
    if plan is not None:
        values = {s.name: edges.of_spec(s, batched=True) for s in plan.signature.inputs}
        return {name: edges.shown(value) for name, value in values.items()}
    return {one.name: _declared(one) for one in spec.inputs}


def _declared(one: InputSpec) -> str:
    if one.dtype is None:
        return "as the step says that takes it"
    if one.shape is None:
        return f"{one.dtype.numpy.name}[...]"
    return edges.shown(Value(one.dtype, one.shape, content=one.content))


def _call(step: Mapping[str, Any]) -> str:
    if "model" in step:
        return f"model {step['model']}"
    if "python" in step:
        return f"python {step['python']}"
    return f"transform {', '.join(step['transform'])}"


def _call_json(call: ModelCall | PythonCall | TransformCall) -> dict[str, Any]:
    match call:
        case ModelCall():
            return {"model": graph.model_name(call)}
        case PythonCall():
            return {"python": call.reference}
        case TransformCall():
            return {"transform": [step.name for step in call.steps]}


def _fallback(fallback: Mapping[str, Any]) -> str:
    if "model" in fallback:
        return f"model {fallback['model']}"
    return f"values {', '.join(fallback['values'])}"


def _fallback_json(fallback: Fallback | None) -> dict[str, Any] | None:
    if fallback is None:
        return None
    if fallback.call is not None:
        return {"model": graph.model_name(fallback.call)}
    return {"values": {name: constant.value for name, constant in fallback.values.items()}}


def _sources(feed: Feed) -> list[Any]:
    return [{"value": s.value} if isinstance(s, Constant) else str(s) for s in feed]


def _feed(sources: Sequence[Any]) -> str:
    return ", else ".join(s if isinstance(s, str) else _constant(s["value"]) for s in sources)


def _constant(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 3] + "..."
