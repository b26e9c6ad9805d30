"""From a spec to a plan: every name, datatype and shape of every edge is checked, once, at load.

Steps are walked in the order in which they can run, so the type of all that feeds a step is known when it is
reached. Inputs of the pipeline whose type the file does not say take that of the steps they feed.
What is wrong is a ``ConfigError`` that names file, line and key, and both types.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inferd.core.errors import ConfigError, nearest
from inferd.core.signature import Signature
from inferd.execution.forward import Forward
from inferd.routing.pipeline.check import edges, graph
from inferd.routing.pipeline.check.external import (
    batch_plan,
    goes_straight,
    parameters,
    signature,
    streaming,
)
from inferd.routing.pipeline.check.incoming import check_parameters, place, request_types, unknown
from inferd.routing.pipeline.check.literals import constant_array
from inferd.routing.pipeline.plan import Callee, PipelinePlan
from inferd.routing.pipeline.spec import (
    Constant,
    Fallback,
    Feed,
    Node,
    Outlet,
    OutputSpec,
    PipelineSpec,
    Ref,
    StepSpec,
    TransformCall,
    Value,
)


def plan(spec: PipelineSpec, callees: Mapping[str, Callee]) -> PipelinePlan:
    """Return the plan of a pipeline.

    ``callees``: what each step calls, by the step's name; steps of transforms need none. Raises
    ``ConfigError`` naming file, line and key for all that does not fit.
    """
    graph.check(spec)
    types = _Types(spec, callees, request_types(spec, callees), graph.optional(spec))
    nodes = tuple(types.node(step) for step in graph.order(spec))
    outlets = tuple(types.outlet(output) for output in spec.outputs)
    streams = streaming(spec, nodes, callees)
    straight = goes_straight(nodes, callees, streams)
    outside = signature(
        types.request, outlets, straight=straight, defaults=_defaults(spec, types.request),
        parameters=parameters(callees.values()),
    )  # fmt: skip
    return PipelinePlan(spec, nodes, outlets, outside, batch_plan(outside), streams, straight)


def _defaults(spec: PipelineSpec, request: Mapping[str, Value]) -> dict[str, Any]:
    """Return the defaults of inputs, checked."""
    found = {one.name: one.default for one in spec.inputs if one.default is not None}
    for name, constant in found.items():
        constant_array(constant, request[name], f"the input {name!r}")
    return {name: constant.value for name, constant in found.items()}


@dataclass(slots=True)
class _Types:
    """What is known of each value while the steps are walked."""

    spec: PipelineSpec
    callees: Mapping[str, Callee]
    request: Mapping[str, Value]
    optional: frozenset[str]
    known: dict[str, Mapping[str, Value]] = field(default_factory=dict)

    def of(self, ref: Ref) -> Value:
        """Return the type of a value; raises ``ConfigError`` for an output that its step has not."""
        if ref.step is None:
            return self.request[ref.name]
        outputs = self.known[ref.step]
        if ref.name not in outputs:
            hint = nearest(ref.name, outputs)
            there = ", ".join(outputs)
            raise ConfigError(
                f"{ref.where}: the step {ref.step!r} has no output {ref.name!r}",
                help=f"{hint} It gives: {there}" if hint.endswith("?") else f"it gives: {there}",
            )
        return outputs[ref.name]

    def node(self, step: StepSpec) -> Node:
        """Return one step, checked."""
        self._check_condition(step)
        callee = self._callee(step)
        check_parameters(step, callee.signature)
        batched = callee.signature.batched
        inputs = {
            s.name: edges.of_spec(s, batched=batched, uneven=s.name in callee.uneven)
            for s in callee.signature.inputs
        }
        spared = {s.name for s in callee.signature.inputs if s.default is not None}
        constants = self._check_inputs(step, inputs, spared)
        each = {
            s.name: edges.of_spec(s, batched=batched, uneven=s.name in callee.uneven)
            for s in callee.signature.outputs
        }
        outputs = _lists(step, each) if step.mapped else each
        self.known[step.name] = outputs
        return Node(
            step,
            graph.needs(step),
            batched,
            inputs,
            outputs,
            constants,
            self._fallback(step, inputs, each, outputs),
            from_request=all(r.step is None for r in _fed(step)),
            optional=step.name in self.optional,
            alone=bool(step.mapped) and (callee.splits or callee.streams),
            fallback_batched=callee.fallback is None or callee.fallback.batched,
            knows=callee.signature.parameters,
        )

    def outlet(self, output: OutputSpec) -> Outlet:
        """Return one output, checked."""
        where = f"{output.where}: outputs.{output.name}"
        found = [(ref, self.of(ref)) for ref in graph.of_feed(output.feed)]
        first = found[0][1]
        for ref, value in found[1:]:
            if not edges.alike(first, value):
                raise ConfigError(
                    f"{where}: {found[0][0]} is {edges.shown(first)}, and {ref} is {edges.shown(value)}",
                    help="all sources of an output must be of one type",
                )
        value = edges.either(v for _, v in found)
        if value.uneven:
            raise ConfigError(
                f"{where}: {found[0][0]} is {edges.shown(value)}, whose shapes may differ: no protocol has "
                "a tensor for it",
                help="join them in a Python step, or answer what follows from each",
            )
        default = output.default
        array = None if default is None else constant_array(default, value, f"{found[0][0]}")
        return Outlet(output, value, array)

    # -- what feeds a step -------------------------------------------------------------------------------

    def _check_inputs(
        self, step: StepSpec, inputs: Mapping[str, Value], spared: Container[str]
    ) -> dict[str, np.ndarray]:
        """Check all that feeds a step, and return its constants. ``spared``: what need not be fed."""
        constants: dict[str, np.ndarray] = {}
        for name, feed, mapped in _feeds(step):
            if name not in inputs:
                raise unknown(step, name, mapped, inputs)
            for source in feed:
                if isinstance(source, Constant):
                    wanted = edges.listed(inputs[name]) if mapped else inputs[name]
                    what = f"the input {name!r} of {_calls(step)}"
                    constants[name] = constant_array(source, wanted, what)
                else:
                    self._check_edge(step, name, source, inputs[name], mapped=mapped)
        for name, wanted in inputs.items():
            if name not in step.inputs and name not in step.mapped and name not in spared:
                raise ConfigError(
                    f"{step.where}: steps.{step.name}: nothing feeds the input {name!r} of {_calls(step)}, "
                    f"{edges.shown(wanted)}",
                    help=f"write inputs: {{{name}: step.output}}",
                )
        return constants

    def _check_edge(
        self, step: StepSpec, name: str, ref: Ref, wanted: Value, *, mapped: bool
    ) -> None:
        given = self.of(ref)
        each = edges.element(given) if mapped else given
        if each is None:
            raise ConfigError(
                f"{ref.where}: {ref} is {edges.shown(given)}, a single value that has no elements",
                help=f"feed {name!r} under inputs:",
            )
        fix = edges.mismatch(each, wanted)
        if fix is not None:
            part = "an element of " if mapped else ""
            raise ConfigError(
                f"{ref.where}: {_calls(step)} takes {name!r} as {edges.shown(wanted)}, and "
                f"{part}{ref} is {edges.shown(each)}",
                help=fix,
            )

    def _check_condition(self, step: StepSpec) -> None:
        when = step.when
        for ref in when.refs if when is not None else ():
            value = self.of(ref)
            if ref in when.single and (value.uneven or any(n not in (-1, 1) for n in value.shape)):  # type: ignore[union-attr]
                raise ConfigError(
                    f"{ref.where}: {ref} is {edges.shown(value)}, which is no single value",
                    help=f"ask for len({ref}), or for something in it",
                )
        if when is None:
            return
        reason = when.misfit({ref: edges.sample(self.of(ref)) for ref in when.refs})
        if reason is not None:
            raise ConfigError(
                f"{when.where}: the condition {when.text!r} cannot be tested: {reason}",
                help="texts are compared with texts, numbers with numbers",
            )

    def _callee(self, step: StepSpec) -> Callee:
        """Return what a step calls; transforms are compiled over what feeds them."""
        if step.name in self.callees or not isinstance(step.call, TransformCall):
            return self.callees[step.name]
        given: dict[str, Value] = {}
        for name, feed, mapped in _feeds(step):
            values = [self.of(source) for source in feed if isinstance(source, Ref)]
            if not values:
                raise ConfigError(
                    f"{place(step, name, mapped)}: a constant cannot be the only thing that feeds a transform"
                )
            value = edges.either(values)
            each = edges.element(value) if mapped else value
            given[name] = value if each is None else each
            if given[name].uneven:
                raise ConfigError(
                    f"{place(step, name, mapped)}: a transform cannot take {edges.shown(given[name])}",
                    help="feed it under map:, or use a Python step",
                )
        specs = tuple(edges.spec(name, value) for name, value in given.items())
        forward = Forward(specs, step.call.steps, self.spec.file.parent, dry=True)
        return Callee(Signature(specs, forward.outputs, batched=False))

    # -- what stands in ------------------------------------------------------------------------------------

    def _fallback(
        self,
        step: StepSpec,
        inputs: Mapping[str, Value],
        each: Mapping[str, Value],
        outputs: Mapping[str, Value],
    ) -> dict[str, np.ndarray]:
        """Check what answers where a step fails, and return its values."""
        if step.fallback is None:
            return {}
        fallback, used = step.fallback, _used(self.spec, step.name)
        given: set[str] = set(fallback.values)
        stands_in = self.callees[step.name].fallback if fallback.call is not None else None
        if stands_in is not None:
            given = {s.name for s in stands_in.outputs}
            fed = {n: v for n, v in inputs.items() if n in step.inputs or n in step.mapped}
            _check_stand_in(step, fallback, stands_in, fed, each)
        values = {}
        for name, constant in fallback.values.items():
            if name not in outputs:
                raise ConfigError(
                    f"{constant.where}: steps.{step.name}.fallback.values: the step has no output {name!r}",
                    help=nearest(name, outputs),
                )
            values[name] = constant_array(constant, outputs[name], f"{step.name}.{name}")
        for name in sorted(used - given):
            raise ConfigError(
                f"{fallback.where}: steps.{step.name}.fallback: lacks the output {name!r}, which is used"
            )
        return values


def _check_stand_in(
    step: StepSpec,
    fallback: Fallback,
    stands_in: Signature,
    inputs: Mapping[str, Value],
    outputs: Mapping[str, Value],
) -> None:
    """Refuse a model that cannot stand in: other inputs, or outputs of other types."""
    assert fallback.call is not None
    model = fallback.call.model
    place = f"{fallback.where}: steps.{step.name}.fallback: the model {model!r}"
    for kind, wanted, specs in (
        ("input", inputs, stands_in.inputs),
        ("output", outputs, stands_in.outputs),
    ):
        found = {s.name: edges.of_spec(s, batched=stands_in.batched) for s in specs}
        for name in wanted if kind == "input" else ():
            if name not in found:
                raise ConfigError(f"{place} does not take {name!r}", help=nearest(name, found))
        spared = {s.name for s in specs if s.default is not None}
        for name, value in found.items():
            if name not in wanted and kind == "input" and name not in spared:
                raise ConfigError(f"{place} takes {name!r} too, which nothing feeds")
            if name in wanted and edges.mismatch(value, wanted[name]) is not None:
                raise ConfigError(
                    f"{place} has the {kind} {name!r} as {edges.shown(value)}, and {_calls(step)} as "
                    f"{edges.shown(wanted[name])}"
                )


def _lists(step: StepSpec, outputs: Mapping[str, Value]) -> dict[str, Value]:
    """Return the types of what a mapped step gives: a list of each output."""
    for name, value in outputs.items():
        if value.uneven:
            raise ConfigError(
                f"{step.where}: steps.{step.name}: {name!r} is {edges.shown(value)}, and a mapped step would "
                "give lists of lists",
                help="map the parts one by one, or join them in the Python step",
            )
    return {name: edges.listed(value) for name, value in outputs.items()}


def _feeds(step: StepSpec) -> Iterator[tuple[str, Feed, bool]]:
    """Yield each input of a step, what feeds it, and whether element by element."""
    yield from ((name, feed, False) for name, feed in step.inputs.items())
    yield from ((name, feed, True) for name, feed in step.mapped.items())


def _fed(step: StepSpec) -> Iterator[Ref]:
    for _, feed, _ in _feeds(step):
        yield from graph.of_feed(feed)


def _used(spec: PipelineSpec, name: str) -> set[str]:
    """Return the outputs of a step that anything uses."""
    found = [ref for step in spec.steps for ref in graph.refs(step)]
    found += [ref for output in spec.outputs for ref in graph.of_feed(output.feed)]
    return {ref.name for ref in found if ref.step == name}


def _calls(step: StepSpec) -> str:
    """Return how messages call what a step calls."""
    return graph.called(step.call)
