"""Transforms as a step of a pipeline: those that stand after a model, on one example.

What comes in is known and what goes out follows, so the steps are compiled as ``postprocess`` of a model
that changes nothing. Steps that stand before a model work out what must come in from what the model takes;
there is no model here, so they are refused.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inferd.core.errors import ConfigError
from inferd.core.runtime import Runtime
from inferd.core.signature import Signature, TensorSpec
from inferd.core.step import Step
from inferd.core.tensor import BOOL, BYTES, Tensors
from inferd.transforms.compile import compile_chain
from inferd.transforms.operation import POSTPROCESS
from inferd.transforms.registry import TRANSFORMS

SAMPLE = 64
"""Size of a free axis where the time of a transform is measured."""

RUNS = 5


class Forward:
    """A chain of transforms as a step: its tensors of one example, and the function."""

    def __init__(
        self, inputs: Sequence[TensorSpec], steps: Sequence[Step], directory: Path, *, dry: bool = False
    ) -> None:  # fmt: skip
        """Compile the steps; ``dry``: only ``outputs`` is of use. Raises ``ConfigError``."""
        for step in steps:
            row = TRANSFORMS.get(step.name)
            if row is not None and row.phase != POSTPROCESS:
                raise ConfigError(
                    f"{step.where}: {step.name}: stands before a model, whose inputs say what it has to make",
                    help="put it into `preprocess:` of that model's model.yaml, or write a Python step",
                )
        self.inputs = tuple(inputs)
        signature = Signature(self.inputs, self.inputs, batched=False)
        self._chain = compile_chain(signature, (), steps, directory, dry=dry)
        self.outputs = self._chain.external.outputs
        self.uneven: frozenset[str] = frozenset()

    def __call__(self, tensors: Tensors) -> Tensors:
        """Transform one example; raises ``ModelFailed`` naming the transform."""
        chain = self._chain
        after = chain.after(tensors, chain.concatenate([tensors]))
        return after[0] if isinstance(after, list) else after

    def seconds(self) -> float:
        """Return what one example takes, on a made-up one."""
        sample = {spec.name: _sample(spec) for spec in self.inputs}
        self(sample)
        best = float("inf")
        for _ in range(RUNS):
            start = time.perf_counter()
            self(sample)
            best = min(best, time.perf_counter() - start)
        return best


def needs_library(steps: Sequence[Step]) -> bool:
    """Whether any of the transforms needs a library, which the front does not import."""
    return any(s.name in TRANSFORMS and TRANSFORMS[s.name].heavy for s in steps)


def add_transforms(runtime: Runtime, spec: Mapping[str, Any]) -> Signature:
    """Give a runtime of steps the transforms that it runs, too; returns its signature with them."""
    steps: Any = runtime
    for name, row in spec["options"]["transforms"].items():
        inputs = [TensorSpec.from_json(one) for one in row["inputs"]]
        chain = [Step.from_json(one) for one in row["steps"]]
        steps.steps[name] = Forward(inputs, chain, Path(spec["directory"]))
    found: Signature = steps.signature()
    return found


def _sample(spec: TensorSpec) -> np.ndarray:
    out = np.empty([SAMPLE if n < 0 else n for n in spec.shape], spec.dtype.numpy)
    out[...] = b"hello world" if spec.dtype is BYTES else spec.dtype is BOOL or 0.5
    return out
