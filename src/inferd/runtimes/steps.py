"""The Python steps of one pipeline, in one worker: functions of one example, told apart by names.

All steps of a pipeline are one model without a batch: its tensors are named ``step.input`` and
``step.output``, so the names in a job say which step is meant. A list of arrays that may differ in shape
is named ``step.input[]`` in the signature; what travels is its length under that name, and its elements
as ``step.input[0]`` and so on, each by itself, so that none is copied more than once.

Transforms that are too slow for the front, or need a library, are steps here too; who loads this runtime
adds them.
"""

from __future__ import annotations

import platform
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from inferd.core.errors import InferdError, ModelFailed, from_kind
from inferd.core.qualified import LISTED, packed, unpacked
from inferd.core.runtime import Options
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import Tensors
from inferd.runtimes.code import load_object
from inferd.runtimes.function import Function

STEPS = "steps"
"""Name of this runtime. No ``model.yaml`` asks for it."""

TRACE_EVERY = 1.0


class Step(Protocol):
    """One step: its tensors, and what makes its outputs of its inputs, both by their own names."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What it takes, of one example."""
        ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What it gives."""
        ...

    @property
    def uneven(self) -> frozenset[str]:
        """The inputs and outputs that are lists of arrays."""
        ...

    def __call__(self, tensors: Tensors, /) -> Tensors:
        """Answer one example."""
        ...


class StepsRuntime:
    """The steps of one pipeline.

    ``options``: ``functions``, a ``module:function`` by step; ``given``, the inputs that each is given;
    ``at``, ``file:line`` of each in ``pipeline.yaml``. ``proves``: no made-up request proves all of it.
    """

    name = STEPS
    releases_gil = False
    keeps_inputs = True
    streams = False
    proves = False

    def __init__(self) -> None:
        self.steps: dict[str, Step] = {}
        self._last_trace = 0.0

    def load(self, artifact: Path, options: Options) -> Signature:
        directory = Path(str(options.get("directory") or artifact.parent))
        given: Mapping[str, Any] = options.get("given") or {}
        places: Mapping[str, str] = options.get("at") or {}
        for step, reference in (options.get("functions") or {}).items():
            try:
                found = load_object(reference, directory)
                self.steps[step] = Function(found, reference, given.get(step, ()))
            except InferdError as error:
                told = f"{places.get(step) or artifact}: step {step!r}: {error.message}"
                raise from_kind(error.kind, told, error.help) from error.__cause__
        return self.signature()

    def signature(self) -> Signature:
        """Return the tensors of all steps under their qualified names."""
        inputs = tuple(
            qualified(s, t, one.uneven) for s, one in self.steps.items() for t in one.inputs
        )
        outputs = tuple(
            qualified(s, t, one.uneven) for s, one in self.steps.items() for t in one.outputs
        )
        return Signature(inputs, outputs, batched=False)

    def run(self, inputs: Tensors) -> Tensors:
        name, given = unpacked(inputs)
        step = self.steps[name]
        try:
            return packed(name, step(given), step.uneven)
        except InferdError:
            raise
        except Exception as error:  # foreign code
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> ModelFailed:
        now = time.monotonic()
        if now - self._last_trace > TRACE_EVERY:  # a step that always fails must not flood the log
            self._last_trace = now
            traceback.print_exception(error, file=sys.stderr)
        text = str(error).strip()
        return ModelFailed(f"{type(error).__name__}: {text}" if text else type(error).__name__)

    def close(self) -> None:
        self.steps.clear()

    def version(self) -> str:
        return f"python {platform.python_version()}"


def qualified(step: str, spec: TensorSpec, uneven: frozenset[str]) -> TensorSpec:
    """Return a tensor of a step under the name it has among those of all steps."""
    return replace(spec, name=f"{step}.{spec.name}{LISTED if spec.name in uneven else ''}")
