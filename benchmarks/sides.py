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

from benchmarks import models, pipelines
from benchmarks.peers import venvs
from benchmarks.process import Process, free_port

STATE = Path(tempfile.gettempdir()) / "inferd-bench-state"


@dataclass(frozen=True, slots=True)
class Side:
    """One measured server: ``start(model, port)`` makes its process (not yet started).

    ``peer`` names the virtual environment it needs. ``family`` groups the variants of one server:
    its best variant counts. ``client``: the server is always the same, and this way of calling it
    is what is measured. ``missing`` says why it cannot be measured here; empty where it can.
    """

    name: str
    start: Callable[[str, int], Process]
    peer: str | None = None
    family: str = ""
    client: str = ""
    missing: Callable[[], str] = str


def inferd(model: str, port: int) -> Process:
    """Return ``inferd serve`` of a model letter, with every default; ``port`` is that of HTTP."""
    return _inferd(model, http=port, grpc=free_port())


def inferd_grpc(model: str, port: int) -> Process:
    """Return the same; ``port`` is that of gRPC."""
    return _inferd(model, http=free_port(), grpc=port)


def _inferd(model: str, *, http: int, grpc: int) -> Process:
    path = models.ragged_repository() if model == "R" else models.path(model)
    return Process(pipelines.serve(path, http, STATE / model, grpc=grpc))


def pipeline(path: Callable[[], Path]) -> Callable[[str, int], Process]:
    """Return what starts ``inferd serve`` of an application."""

    def start(model: str, port: int) -> Process:
        del model
        return Process(pipelines.serve(path(), port, STATE / path().name))

    return start


def services(model: str, port: int) -> Process:
    """Return the pipeline around M whose steps run in servers of their own."""
    del model
    return pipelines.services(port, STATE)


def slowest(model: str, port: int) -> Process:
    """Return the service of M alone, on one core."""
    del model
    return pipelines.slowest(port, STATE)


def behind_nginx(model: str, port: int) -> Process:
    """Return ``inferd serve`` of a model letter, with NGINX before it on ``port``."""
    inner = free_port()
    return pipelines.behind_nginx(port, inner, inferd(model, inner))


def ceiling(model: str, port: int) -> Process:
    """Return the raw ceiling."""
    return Process([sys.executable, "-m", "benchmarks.ceiling", model, str(port)])


def binary_ceiling(way: str) -> Callable[[str, int], Process]:
    """Return what starts the raw ceiling of the binary form (model B only)."""

    def start(model: str, port: int) -> Process:
        del model
        # Left alone, the C library gives a body's memory back to the system after every request,
        # and fetching it again costs more than anything else that is done here.
        kept = {"MALLOC_MMAP_THRESHOLD_": str(64 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}
        return Process([sys.executable, "-m", "benchmarks.binaryceiling", way, str(port)], kept)

    return start


def first_come(model: str, port: int) -> Process:
    """Return the first-come, pad-to-longest baseline (model R only)."""
    del model
    return Process([sys.executable, "-m", "benchmarks.firstcome", str(port)])


def _peer(
    name: str, *, workers: int, batch: int = 1, stock_json: bool = False, style: str = ""
) -> Callable[[str, int], Process]:
    def start(model: str, port: int) -> Process:
        python = venvs.ROOT / name / "bin" / "python"
        # Two cores: one worker gets both for a model that can use them, two get one each.
        threads = 1 if workers > 1 or model in "TB" else 2
        return Process(
            [str(python), "-m", f"benchmarks.peers.{name}_server"],
            {
                "BENCH_MODEL": str(models.path(model)), "BENCH_PORT": str(port),
                "BENCH_WORKERS": str(workers), "BENCH_THREADS": str(threads),
                "BENCH_BATCH": str(batch), "BENCH_STOCK_JSON": "1" if stock_json else "",
                "BENCH_STYLE": style,
            },
        )  # fmt: skip

    return start


def _variant(peer: str, *, workers: int, batch: int = 1) -> Side:
    plural = "s" if workers > 1 else ""
    batching = f", batches of {batch}" if batch > 1 else ", no batching" if peer == "mosec" else ""
    name = f"{peer} ({workers} worker{plural}{batching})"
    return Side(name, _peer(peer, workers=workers, batch=batch), peer, peer)


def _styled(peer: str, style: str, workers: int, family: str, batch: int = 1) -> Side:
    processes = "in its front" if not workers else f"{workers} worker{'s' if workers > 1 else ''}"
    batching = f", batches of {batch}" if batch > 1 else ""
    name = f"{peer} ({style}{', ' if style else ''}{processes}{batching})"
    start = _peer(peer, workers=workers, batch=batch, style=style)
    return Side(name, start, peer, family)


MOSEC_AS_IT_COMES = Side(
    "mosec (1 worker, batches of 32, its own JSON)",
    _peer("mosec", workers=1, batch=32, stock_json=True), "mosec", "mosec as it comes",
)  # fmt: skip
"""Shown beside the others and counted for none: what its users get who do not bring orjson."""
INFERD = Side("inferd", inferd)
CEILING = Side("raw ceiling", ceiling)
INFERD_GRPC = Side("inferd", inferd_grpc)
ONE_STEP = Side("pipeline of 1 step", pipeline(lambda: pipelines.steps(1)))
FIVE_STEPS = Side("pipeline of 5 steps", pipeline(lambda: pipelines.steps(5)))
SLOWEST = Side("slowest service alone", slowest)
THREE_SERVICES = Side("pipeline of 3 steps, three services", services)
NGINX = Side("inferd behind NGINX", behind_nginx, missing=pipelines.without_nginx)
BINARY_CEILINGS = (
    Side("raw ceiling", binary_ceiling("joined")),
    Side("raw ceiling, bodies read in place", binary_ceiling("filled")),
)
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
FASTAPI_JSON: tuple[Side, ...] = tuple(
    _styled("fastapi", style, workers, "fastapi with orjson" if style == "orjson" else "fastapi")
    for style in ("json", "pydantic", "orjson")
    for workers in (1, 2)
)
"""Ways to read JSON in FastAPI. Those with orjson are shown beside, as the reader is what differs."""
GRPC_PEERS: tuple[Side, ...] = (
    _styled("grpc", "aio", 1, "grpc"),
    _styled("grpc", "uvloop", 1, "grpc"),
    _styled("grpc", "threads", 1, "grpc"),
    _styled("mlserver", "", 0, "grpc"),
    _styled("mlserver", "", 1, "grpc"),
    _styled("grpc", "aio", 2, "grpc, two servers"),
    _styled("grpc", "threads", 2, "grpc, two servers"),
)
"""Servers of gRPC in Python. Two on one port are no longer one server, and shown beside."""
STREAM_PEERS = tuple(side for side in GRPC_PEERS if side.name != "mlserver (1 worker)")
"""The same but for MLServer's worker processes, which do not stream."""
CLIENTS: tuple[Side, ...] = tuple(
    Side(name, inferd, client=client)
    for name, client in (
        ("raw connection", "raw"), ("inferd.Client", "inferd"), ("tritonclient.http", "triton"),
    )
)  # fmt: skip
