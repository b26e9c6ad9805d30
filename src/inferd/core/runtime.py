"""The framework seam: what an adapter of one framework offers. It lives in a worker.

A runtime knows numpy arrays; no requests, no async, no config files. ``Engine`` is its sibling for
generation, where requests join and leave between steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from inferd.core.message import Parameters
from inferd.core.signature import Signature
from inferd.core.tensor import Tensors

Options = Mapping[str, Any]


class Runtime(Protocol):
    """Loads one artifact and runs batches on it.

    ``releases_gil``: several ``run`` calls may go on at once from threads of one process.
    ``keeps_inputs``: the model is foreign Python code that might keep or change its inputs, so it
    is given private copies.
    """

    name: str
    releases_gil: bool
    keeps_inputs: bool

    def load(self, artifact: Path, options: Options) -> Signature:
        """Load the artifact and return its signature.

        ``options`` holds ``threads`` (intra-op threads, int) and what ``model.yaml`` declares for
        this runtime. Raises ``ModelFileError`` naming the file.
        """
        ...

    def run(self, inputs: Tensors) -> Tensors:
        """Run one batch: arrays with the batch on axis 0 (where batched), in signature order.

        Where the signature says ``ragged``, an output may be a column of ``core.tensor.uneven``.
        """
        ...

    def close(self) -> None:
        """Release what the framework holds. Idempotent."""
        ...

    def version(self) -> str:
        """Return framework name and version (``onnxruntime 1.31``); part of the cost curve's key."""
        ...


class Engine(Protocol):
    """Token-wise generation: requests join and leave a running batch between steps."""

    def add(self, key: int, inputs: Tensors, parameters: Parameters) -> None:
        """Admit a request under ``key``."""
        ...

    def step(self) -> list[tuple[int, Tensors, bool]]:
        """Advance once; return (request, chunk, last) for each that produced something."""
        ...

    def cancel(self, key: int) -> None:
        """Forget a request; unknown keys are ignored."""
        ...
