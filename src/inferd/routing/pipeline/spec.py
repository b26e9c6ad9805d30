"""A pipeline as written, as data: what ``pipeline.yaml`` says and where it says it.

Values in a pipeline are those of *one example*: they have no batch axis. A step that is a batched model
is given a batch of one, or, where it is mapped, of as many as the list is long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from inferd.core.step import Step
from inferd.core.tensor import DType


@dataclass(frozen=True, slots=True)
class Ref:
    """A value of the request: an input (``step`` is ``None``), or an output of a step.

    Two references to one value are equal wherever they stand.
    """

    step: str | None
    name: str
    where: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.step}.{self.name}" if self.step else self.name


@dataclass(frozen=True, slots=True)
class Constant:
    """A value written in the file: a number, text, truth value, or a list of these."""

    value: Any
    where: str = ""


Feed = tuple[Ref | Constant, ...]
"""What feeds an input: the first of these that is there. Only steps that were skipped leave gaps."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of the pipeline. ``None``: as the step that takes it says. ``shape``: of one example.

    ``default``: what it is where a request leaves it out; ``None``: a request must bring it.
    """

    name: str
    dtype: DType | None = None
    shape: tuple[int, ...] | None = None
    content: str | None = None
    where: str = ""
    default: Constant | None = None


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A step that asks a model, or another pipeline, by the name under which it is served."""

    model: str
    version: str | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class PythonCall:
    """A step that is a Python function, ``module:function``; it runs in the pipeline's own worker."""

    reference: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class TransformCall:
    """A step that applies transforms of the registry, as ``postprocess`` of a ``model.yaml`` would."""

    steps: tuple[Step, ...]
    where: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """``when:`` of a step: its text, the values it looks at, and the test on them.

    ``test`` is given a value for each of ``refs`` (numpy scalar, array or ``bytes``). ``single``: those
    that are compared or taken for true or false, so they must hold one element; ``lists``: those
    whose length is asked for, or in which something is looked for. ``misfit`` is given sample values, and
    says why values of their types cannot be tested, whichever way the test goes.
    """

    text: str
    refs: tuple[Ref, ...]
    test: Callable[[Mapping[Ref, Any]], bool]
    where: str = ""
    single: frozenset[Ref] = frozenset()
    lists: frozenset[Ref] = frozenset()
    misfit: Callable[[Mapping[Ref, Any]], str | None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Fallback:
    """What answers where a step fails: another model with the same inputs, or values as written."""

    call: ModelCall | None = None
    values: Mapping[str, Constant] = field(default_factory=dict)
    where: str = ""


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One named step. ``mapped``: inputs fed element by element, all lists of one length.

    ``parameters``: what its model is asked with, whatever the request says.
    """

    name: str
    call: ModelCall | PythonCall | TransformCall
    inputs: Mapping[str, Feed] = field(default_factory=dict)
    mapped: Mapping[str, Feed] = field(default_factory=dict)
    when: Condition | None = None
    fallback: Fallback | None = None
    timeout: float | None = None
    where: str = ""
    parameters: Mapping[str, Constant] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output of the pipeline; ``default`` where nothing that feeds it is there."""

    name: str
    feed: Feed
    default: Constant | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """A whole pipeline; ``steps`` as written, in the order of the file."""

    file: Path
    inputs: tuple[InputSpec, ...]
    steps: tuple[StepSpec, ...]
    outputs: tuple[OutputSpec, ...]
    task: str | None = None
    description: str = ""

    def step(self, name: str) -> StepSpec:
        """Return the step of that name; raises ``KeyError``."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)

    @property
    def models(self) -> tuple[ModelCall, ...]:
        """Every model that is asked, fallbacks included, in order and without doubles."""
        calls = [s.call for s in self.steps if isinstance(s.call, ModelCall)]
        calls += [s.fallback.call for s in self.steps if s.fallback and s.fallback.call]
        return tuple({(c.model, c.version): c for c in calls}.values())


@dataclass(frozen=True, slots=True)
class Value:
    """The type of a value: datatype and shape of one example.

    ``uneven``: a list whose elements may differ in shape; ``shape`` then is that of the list, the
    elements' after its first axis. It travels as a column of ``core.tensor.uneven``.
    """

    dtype: DType
    shape: tuple[int, ...]
    uneven: bool = False
    content: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One step, ready to run. ``needs``: the steps that must have ended before it can begin.

    ``inputs``: the types that its callee takes for one example, of an element where the input is mapped.
    A value of one element feeds ``[]`` and ``[1]`` alike, and free axes agree with any size, so what comes
    may have to be reshaped, and its sizes are the callee's to check. ``outputs``: the types of what the
    step gives, of the whole lists where it is mapped.

    ``batched``: its callee takes a batch axis. ``constants``: constants of its inputs, as arrays of the
    right datatype and shape, without batch axis, by input. ``from_request``: fed by inputs of
    the request alone, so what it calls invalid is the client's fault. ``values``: of its fallback.
    """

    spec: StepSpec
    needs: frozenset[str]
    batched: bool
    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    from_request: bool = False
    optional: bool = False
    """Its outputs may be absent: it, or all that feeds one of its inputs, may be skipped."""
    alone: bool = False
    """It is mapped over a model that may answer rows in unequal shapes, or streams: one row a request."""
    fallback_batched: bool = True
    """The model of its fallback takes a batch axis."""
    knows: tuple[str, ...] | None = None
    """The parameters of a request that its callee takes, where it takes no others."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """One output, ready to be given; ``default`` as an array without batch axis."""

    spec: OutputSpec
    value: Value
    default: np.ndarray | None = None
