"""Every server that is measured, and how it is started, as one table.

A side is a command, an environment and the interpreter it needs. All peers are given the settings
that did best in trials on two cores; ``docs`` of the choice is in ``benchmarks/README.md``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import models
from benchmarks.peers import venvs
from benchmarks.process import Process, free_port

STATE = Path(tempfile.gettempdir()) / "inferd-bench-state"


@dataclass(frozen=True, slots=True)
class Side:
    """One measured server: ``start(model, port)`` makes its process (not yet started).

    ``peer`` names the virtual environment it needs. ``family`` groups the variants of one server:
    its best variant counts.
    """

    name: str
    start: Callable[[str, int], Process]
    peer: str | None = None
    family: str = ""


def inferd(model: str, port: int) -> Process:
    """Return ``inferd serve`` of a model letter, with every default."""
    path = models.ragged_repository() if model == "R" else models.path(model)
    return Process([
        sys.executable, "-m", "inferd", "serve", str(path), "--port", str(port),
        "--admin-port", str(free_port()), "--state-dir", str(STATE / model),
    ])  # fmt: skip


def ceiling(model: str, port: int) -> Process:
    """Return the raw ceiling."""
    return Process([sys.executable, "-m", "benchmarks.ceiling", model, str(port)])


def first_come(model: str, port: int) -> Process:
    """Return the first-come, pad-to-longest baseline (model R only)."""
    del model
    return Process([sys.executable, "-m", "benchmarks.firstcome", str(port)])


def _peer(
    name: str, *, workers: int, batch: int = 1, stock_json: bool = False
) -> Callable[[str, int], Process]:
    def start(model: str, port: int) -> Process:
        python = venvs.ROOT / name / "bin" / "python"
        # Two cores: one worker gets both for a model that can use them, two get one each.
        threads = 1 if workers > 1 or model == "T" else 2
        return Process(
            [str(python), "-m", f"benchmarks.peers.{name}_server"],
            {
                "BENCH_MODEL": str(models.path(model)), "BENCH_PORT": str(port),
                "BENCH_WORKERS": str(workers), "BENCH_THREADS": str(threads),
                "BENCH_BATCH": str(batch), "BENCH_STOCK_JSON": "1" if stock_json else "",
            },
        )  # fmt: skip

    return start


def _variant(peer: str, *, workers: int, batch: int = 1) -> Side:
    plural = "s" if workers > 1 else ""
    batching = f", batches of {batch}" if batch > 1 else ", no batching" if peer == "mosec" else ""
    name = f"{peer} ({workers} worker{plural}{batching})"
    return Side(name, _peer(peer, workers=workers, batch=batch), peer, peer)


MOSEC_AS_IT_COMES = Side(
    "mosec (1 worker, batches of 32, its own JSON)",
    _peer("mosec", workers=1, batch=32, stock_json=True), "mosec", "mosec as it comes",
)  # fmt: skip
"""Shown beside the others and counted for none: what its users get who do not bring orjson."""
INFERD = Side("inferd", inferd)
CEILING = Side("raw ceiling", ceiling)
FIRST_COME = Side("first-come, padded to longest", first_come)
PEERS: tuple[Side, ...] = (
    _variant("mosec", workers=1),
    _variant("mosec", workers=2),
    _variant("mosec", workers=1, batch=32),
    _variant("mosec", workers=2, batch=32),
    _variant("fastapi", workers=1),
    _variant("fastapi", workers=2),
    _variant("litserve", workers=1, batch=32),
    _variant("litserve", workers=2),
    _variant("flask", workers=2),
)
