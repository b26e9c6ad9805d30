"""What is known of one version of one model before it is loaded.

A spec is data: it crosses to the worker as JSON. Everything a framework is needed for (the
signature, the compiled chain, costs) is known only after loading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inferd.core.step import Step

PIPELINE = "pipeline"
"""The ``runtime`` of a pipeline: its artifact is a ``pipeline.yaml``, and what runs are its steps."""


@dataclass(frozen=True, slots=True)
class Batching:
    """``batching:`` of ``model.yaml``. ``None``: the server's setting, or the cost curve, decides."""

    max_size: int | None = None
    max_delay: float | None = None


@dataclass(frozen=True, slots=True)
class Instances:
    """``instances:`` of ``model.yaml``. ``None``: decided by the cost curve."""

    min: int | None = None
    max: int | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One version of one model.

    ``artifact``: the file or directory to load (``None`` for ``module:Class`` without one).
    ``directory``: where code, labels and samples are looked up first. ``runtime``: name in the
    runtimes registry. ``options``: the runtime's own keys (``class``, ``factory``, ``threads``,
    ``trust_pickle``, ``parameters`` ...), and always ``directory`` and the declared ``signature``,
    so that they are all a runtime is given; ``places`` is ``file:line`` of what ``model.yaml`` says,
    by key, for messages. ``signature``: as declared, raw. ``modelfile``: the
    ``model.yaml`` read, if any. ``executor``: ``None`` is the server's.
    ``version_labels``: names of versions of this model, whichever this one is. ``explainer``: the model
    that explains this one's answers. ``page``: the directory of its page. ``origin``: the PATH as the user gave
    it. Timeouts are seconds.
    """

    name: str
    version: str
    runtime: str
    directory: Path
    artifact: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    signature: Mapping[str, Any] | None = None
    preprocess: tuple[Step, ...] = ()
    postprocess: tuple[Step, ...] = ()
    batching: Batching = Batching()
    instances: Instances = Instances()
    task: str | None = None
    warmup: Path | None = None
    replay: bool = True
    run_timeout: float | None = None
    load_timeout: float = 120.0
    recycle_after: int | None = None
    executor: str | None = None
    version_labels: Mapping[str, str] = field(default_factory=dict)
    explainer: str | None = None
    modelfile: Path | None = None
    page: Path | None = None
    origin: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what the worker needs, as JSON."""
        return {
            "name": self.name,
            "version": self.version,
            "runtime": self.runtime,
            "directory": str(self.directory),
            "artifact": str(self.artifact) if self.artifact else None,
            "options": dict(self.options),
            "signature": dict(self.signature) if self.signature else None,
            "preprocess": [s.to_json() for s in self.preprocess],
            "postprocess": [s.to_json() for s in self.postprocess],
            "max_size": self.batching.max_size,
            "warmup": str(self.warmup) if self.warmup else None,
        }
