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
Step = tuple[int, Tensors | BaseException, bool]
"""What one step gave a request: its key, a piece of the answer (or what ends it alone), and whether it
was the last. A piece holds what became known of the outputs, for one row: the batch axis is one long."""


class Runtime(Protocol):
    """Loads one artifact and runs batches on it.

    ``releases_gil``: several ``run`` calls may go on at once from threads of one process.
    ``keeps_inputs``: the model is foreign Python code that might keep or change its inputs, so it
    is given private copies. ``streams``: it has a method ``engine()`` that
    returns the ``Engine`` which answers requests; ``run`` then is that, awaited. ``sequences``, where
    it has that: how many requests the engine takes at once.
    """

    name: str
    releases_gil: bool
    keeps_inputs: bool
    streams: bool

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
    """Token-wise generation: requests join and leave a running batch between steps.

    All calls come from one thread. An engine may also offer ``hold(key, on=...)``: leave a request out
    of the steps for a while, since its client does not keep up; and ``niceness``: how far its thread
    stands back behind those of other models.
    """

    def add(self, key: int, inputs: Tensors, parameters: Parameters) -> None:
        """Admit a request of one row under ``key``; what it raises ends that request."""
        ...

    def step(self) -> list[Step]:
        """Advance once and return what came of it; what it raises ends every request."""
        ...

    def cancel(self, key: int) -> None:
        """Forget a request; unknown keys are ignored."""
        ...
