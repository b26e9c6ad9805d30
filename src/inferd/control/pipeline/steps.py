"""The steps that are a pipeline's own: which run in its worker, and which in the front.

Python functions run in the worker. A transform runs in the front where it takes under a millisecond on a
made-up example and needs no library; else it is one more step of the worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from inferd.core.qualified import LISTED
from inferd.core.servable import Servable
from inferd.core.signature import Signature, TensorSpec
from inferd.execution.forward import Forward, needs_library
from inferd.repository.spec import Instances, ModelSpec
from inferd.routing.pipeline.plan import Callee, PipelinePlan
from inferd.routing.pipeline.spec import Node, PipelineSpec, PythonCall, TransformCall, Value
from inferd.scheduling.batcher import Batcher
from inferd.scheduling.steps import InlineStep, WorkerStep

INLINE_SECONDS = 0.001
RUN_TIMEOUT = 60.0
"""Seconds for one call of a function, where ``model.yaml`` does not say: no curve tells its costs."""

RUNTIME = "steps"


@dataclass(frozen=True, slots=True)
class Placed:
    """The transforms of a pipeline: ``inline`` by step, and what the worker is told of the others."""

    inline: Mapping[str, Forward] = field(default_factory=dict)
    worker: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def functions_of(spec: PipelineSpec) -> dict[str, PythonCall]:
    """Return the Python functions of a pipeline, by step."""
    return {s.name: s.call for s in spec.steps if isinstance(s.call, PythonCall)}


def worker_spec(
    spec: ModelSpec, pipeline: PipelineSpec, transforms: Mapping[str, Mapping[str, Any]]
) -> ModelSpec:
    """Return the spec of the worker that runs a pipeline's own steps."""
    calls = functions_of(pipeline)
    given = {s.name: [*s.inputs, *s.mapped] for s in pipeline.steps if s.name in calls}
    options = {
        "directory": str(spec.directory),
        "functions": {name: call.reference for name, call in calls.items()},
        "given": given,
        "transforms": transforms,
        "at": {name: call.where for name, call in calls.items()},
    }
    count = spec.instances.min or 1
    return replace(
        spec,
        runtime=RUNTIME,
        options=options,
        warmup=None,
        instances=Instances(count, spec.instances.max or count),
        run_timeout=spec.run_timeout or RUN_TIMEOUT,
    )


def function_callees(signature: Signature) -> dict[str, Callee]:
    """Return the types of each step of a worker, out of the names of all."""
    sides: dict[str, tuple[list[TensorSpec], list[TensorSpec]]] = {}
    uneven: dict[str, set[str]] = {}
    for side, specs in enumerate((signature.inputs, signature.outputs)):
        for spec in specs:
            step, _, name = spec.name.partition(".")
            if name.endswith(LISTED):
                name = name.removesuffix(LISTED)
                uneven.setdefault(step, set()).add(name)
            sides.setdefault(step, ([], []))[side].append(replace(spec, name=name))
    return {
        step: Callee(
            Signature(tuple(inputs), tuple(outputs), batched=False),
            uneven=frozenset(uneven.get(step, ())),
        )
        for step, (inputs, outputs) in sides.items()
    }


def place_transforms(plan: PipelinePlan) -> Placed:
    """Compile the transforms, measure them, and decide where each runs; reads files.

    Raises ``ConfigError`` naming file and line.
    """
    inline: dict[str, Forward] = {}
    worker: dict[str, Mapping[str, Any]] = {}
    directory = plan.spec.file.parent
    for node in plan.nodes:
        call = node.spec.call
        if not isinstance(call, TransformCall):
            continue
        inputs = input_specs(node)
        if not needs_library(call.steps):
            forward = Forward(inputs, call.steps, directory)
            if forward.seconds() < INLINE_SECONDS:
                inline[node.spec.name] = forward
                continue
        worker[node.spec.name] = {
            "inputs": [spec.to_json() for spec in inputs],
            "steps": [step.to_json() for step in call.steps],
        }
    return Placed(inline, worker)


def input_specs(node: Node) -> list[TensorSpec]:
    """Return what a step of its own takes for one example, as tensors."""
    return _specs(node.inputs)


def _specs(values: Mapping[str, Value]) -> list[TensorSpec]:
    return [TensorSpec(n, v.dtype, v.shape, (), v.content) for n, v in values.items()]


def servables(
    spec: ModelSpec, plan: PipelinePlan, placed: Placed, batcher: Batcher | None
) -> dict[str, Servable]:
    """Return who answers each step that is the pipeline's own."""
    out: dict[str, Servable] = {}
    for node in plan.nodes:
        name = node.spec.name
        inputs = input_specs(node)
        if name in placed.inline:
            out[name] = InlineStep(spec.name, spec.version, inputs, placed.inline[name])
        elif isinstance(node.spec.call, (PythonCall, TransformCall)):
            if batcher is None:
                raise RuntimeError("a step of its own without a worker. This is a bug.")
            uneven = {
                n for side in (node.inputs, node.outputs) for n, v in side.items() if v.uneven
            }
            outputs = _specs(node.outputs)
            out[name] = WorkerStep(spec.name, spec.version, name, inputs, outputs, uneven, batcher)
    return out
