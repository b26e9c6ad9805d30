"""The executor seam: one instance of one model version, wherever it runs.

The scheduler gives an executor *jobs* (lists of entries, one per request) whenever it has room;
the executor reports to its *owner* how each job went. Two implementations: ``process`` (a
supervised worker process) and ``inline`` (this process).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from inferd.core.errors import InvalidInput
from inferd.core.plan import BatchPlan
from inferd.core.servable import Promise
from inferd.core.signature import Signature
from inferd.core.tensor import Tensors
from inferd.execution.frames import Outcome
from inferd.execution.layout import Layout
from inferd.execution.streams import Stream

STARTING = "starting"
READY = "ready"
RESTARTING = "restarting"
FAILED = "failed"
STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Name:
    """The version of a model that an instance or a batcher works for, as messages and logs say it."""

    model: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.model} v{self.version}" if self.version else self.model

    @property
    def fields(self) -> dict[str, str]:
        """The fields of a log line."""
        found = {"model": self.model}
        if self.version:
            found["version"] = self.version
        return found


class Entry:
    """One request waiting for, or having, its turn.

    ``future`` gets the outputs (``Tensors``) or an ``InferdError``. Times are monotonic seconds.
    ``queued``: it waits in the queue. ``attempts`` counts how often a worker was lost under it; ``suspect``: run it alone. ``stream``: its answer comes in pieces; it is
    the future then.
    """

    __slots__ = (
        "attempts", "deadline", "dispatched", "enqueued", "future", "id", "inputs", "job",
        "layout", "length", "nbytes", "priority", "queued", "rows", "seq", "stream", "suspect",
    )  # fmt: skip

    def __init__(
        self,
        inputs: Tensors,
        layout: Layout,
        future: Promise,
        *,
        deadline: float,
        enqueued: float,
        priority: int = 0,
        nbytes: int = 0,
        length: int = 1,
        id: str = "",
        stream: Stream | None = None,
    ) -> None:
        self.stream = stream
        self.inputs = inputs
        self.layout = layout
        self.future = future
        self.deadline = deadline
        self.enqueued = enqueued
        self.priority = priority
        self.nbytes = nbytes
        self.length = length
        self.rows = layout.rows
        self.id = id
        self.seq = 0
        self.queued = False
        self.attempts = 0
        self.suspect = False
        self.dispatched = 0.0
        self.job: Job | None = None


class Job:
    """Entries that run together; ``exclusive``: nothing else may run in the worker meanwhile."""

    __slots__ = ("budget", "entries", "exclusive", "id", "outcome", "rows", "submitted")

    def __init__(
        self, id: int, entries: list[Entry], rows: int, *, exclusive: bool = False
    ) -> None:
        self.id = id
        self.entries = entries
        self.rows = rows
        self.exclusive = exclusive
        self.budget = 0
        self.submitted = 0.0
        self.outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """What a model costs: ``points`` are (rows, seconds) of the runtime alone, ascending.

    ``parallel``: throughput of several threads over one, measured at ``parallel_rows`` with
    ``threads`` threads (1.0: not measured or no gain). ``cpu``: CPU seconds per wall second.
    ``largest``: rows that ran where twice as many failed (``None``: all that was tried ran).
    """

    points: tuple[tuple[int, float], ...] = ()
    parallel: float = 1.0
    threads: int = 1
    parallel_rows: int = 1
    cpu: float = 1.0
    largest: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "points": [list(p) for p in self.points],
            "parallel": self.parallel,
            "threads": self.threads,
            "parallel_rows": self.parallel_rows,
            "cpu": self.cpu,
            "largest": self.largest,
        }

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> Curve:
        """Build a curve from its JSON form; raises ``InvalidInput`` on nonsense."""
        try:
            points = tuple((int(n), float(s)) for n, s in row["points"])
            return Curve(
                points, float(row["parallel"]), int(row["threads"]),
                int(row["parallel_rows"]), float(row["cpu"]),
                int(row["largest"]) if row.get("largest") else None,
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"not a cost curve: {error}") from None


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a model said of itself once loaded.

    ``signature`` is the external one; ``golden``: the requests it must answer to be ready.
    ``streams``: it answers in pieces, ``sequences`` requests at once (``None``: it does not say).
    """

    signature: Signature
    plan: BatchPlan
    runtime: str
    runtime_version: str
    releases_gil: bool
    curve: Curve
    load_seconds: float = 0.0
    golden: tuple[Tensors, ...] = ()
    streams: bool = False
    sequences: int | None = None
    model_signature: Signature = field(default_factory=lambda: Signature((), ()))


@dataclass(frozen=True, slots=True)
class Loss:
    """A worker is gone. ``reason``: dead, stuck, broken, killed ...; ``external``: by SIGKILL."""

    reason: str
    message: str
    external: bool = False


class Owner(Protocol):
    """Who gave the jobs."""

    def finished(self, executor: Executor, job: Job, outcome: Outcome) -> None:
        """``job`` was answered; a slot is free."""
        ...

    def lost(self, executor: Executor, started: list[Job], waiting: list[Job], loss: Loss) -> None:
        """The worker is gone; ``started`` jobs were (or may have been) running, others not."""
        ...

    def changed(self, executor: Executor) -> None:
        """State or room changed."""
        ...


class Executor(Protocol):
    """One instance of one model version."""

    index: int
    state: str
    reason: str

    async def start(self, owner: Owner) -> Loaded:
        """Load the model and return what it says of itself; raises ``InferdError``."""
        ...

    def configure(self, slots: int, prefetch: int, run_timeout: float) -> None:
        """Set how many jobs run at once and wait in the worker, and the age of a stuck one."""
        ...

    @property
    def running(self) -> int:
        """Jobs given and not answered."""
        ...

    @property
    def room(self) -> int:
        """Jobs it would take now; 0 while not ready."""
        ...

    def submit(self, job: Job) -> None:
        """Take a job; requires ``room``."""
        ...

    def spin(self, seconds: float) -> bool:
        """Wait for an answer for ``seconds`` at most without leaving; whether one came."""
        ...

    def cancel(self, job: Job) -> None:
        """Nobody waits for ``job`` any more: drop it if it has not started."""
        ...

    def taken(self, job: Job, count: int) -> None:
        """A client has taken ``count`` pieces of the answer to ``job``: as many more may come."""
        ...

    def abandon(self, job: Job, message: str) -> None:
        """A job nobody waits for runs on: end its worker if it has it."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Return state, reason, restarts, process id, memory ... for people."""
        ...

    async def stop(self, grace: float) -> None:
        """Finish what runs within ``grace`` seconds, then end."""
        ...
