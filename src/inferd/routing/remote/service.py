"""One service while it runs: its replicas, who of them is asked, and what watches over them.

Two tasks belong to it: one looks names up, one probes replicas that are left out. Both end with ``stop``.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from inferd.core.clock import Clock, monotonic
from inferd.core.errors import MissingExtra
from inferd.routing.remote.balance import Draw, Load, choose
from inferd.routing.remote.breaker import Breaker
from inferd.routing.remote.budget import RetryBudget
from inferd.routing.remote.ejection import UP, Standing, candidates, may_leave_out
from inferd.routing.remote.failure import Failure
from inferd.routing.remote.openai import OpenAIWire
from inferd.routing.remote.resolve import Resolver, Site, change, fixed, look_up, named, resolve
from inferd.routing.remote.rest import RestWire
from inferd.routing.remote.spec import GRPC, OPENAI, Endpoint, ServiceSpec
from inferd.routing.remote.wire import Wire
from inferd.telemetry.logs import Log
from inferd.transport.outgoing import Address, Pool, PoolSettings
from inferd.transport.tls import client_context

log = Log("remote")

PROBE_EVERY = 0.5
PROBE_SECONDS = 1.0
LOOK_UP_SECONDS = 5.0
DRAIN_SECONDS = 30.0
WAITING = 1024
"""Requests that may wait for a connection to one replica."""

MakeWire = Callable[[Site], Wire]


class Replica:
    """One replica: how it is spoken to, its load and its standing."""

    def __init__(self, site: Site, wire: Wire) -> None:
        self.site = site
        self.wire = wire
        self.load = Load()
        self.standing = Standing()

    def describe(self, now: float) -> dict[str, Any]:
        """Return its row in the description of the control plane."""
        standing, latency = self.standing, self.load.latency(now)
        row: dict[str, Any] = {
            "address": str(self.site), "host": self.site.endpoint.host, "state": standing.state,
            "in_flight": self.load.in_flight,
            "latency_ms": None if latency is None else round(latency * 1e3, 3),
        }  # fmt: skip
        if standing.state != UP:
            row["reason"] = standing.reason
        return row


class Service:
    """The replicas of one service.

    ``outcomes`` counts requests: ``ok``, ``refused`` (by the breaker), ``cancelled``, or the kind of the error.
    ``retries``: questions that were sent again.
    """

    def __init__(
        self,
        spec: ServiceSpec,
        *,
        clock: Clock = monotonic,
        draw: Draw = random.randrange,
        resolver: Resolver = resolve,
        make_wire: MakeWire | None = None,
    ) -> None:
        self.spec = spec
        self.clock = clock
        self.replicas: list[Replica] = []
        self.budget = RetryBudget(clock)
        self.breaker = Breaker(spec.name, clock)
        self.problem = ""
        self.outcomes: Counter[str] = Counter()
        self.retries = 0
        self._draw = draw
        self._resolver = resolver
        self._make = make_wire or wires(spec)
        self._tasks: set[asyncio.Task[None]] = set()

    # -- choosing ----------------------------------------------------------------------------------

    def pick(self, tried: list[Replica]) -> Replica | None:
        """Return the replica to ask, ``None`` where there is none at all."""
        if not self.replicas:
            return None
        return choose(candidates(self.replicas, tried), self._draw, self.clock())

    def latency(self) -> float | None:
        """Return the latency of the quickest replica, as far as it is known."""
        now = self.clock()
        known = [replica.load.latency(now) for replica in self.replicas]
        return min((seconds for seconds in known if seconds is not None), default=None)

    @property
    def failing(self) -> bool:
        """Whether the last that was heard of every replica is a failure."""
        return all(r.standing.failures or r.standing.unreached for r in self.replicas)

    def answered(self, replica: Replica, seconds: float) -> None:
        """Hear of a good answer that took ``seconds``."""
        now = self.clock()
        replica.load.answered(seconds, now)
        replica.standing.answered(now)

    def failed(self, replica: Replica, failure: Failure, seconds: float) -> None:
        """Hear of a failure after ``seconds``."""
        now = self.clock()
        if failure.late:  # the answer would have taken even longer
            replica.load.answered(max(seconds, replica.load.latency(now) or 0.0), now)
        else:
            replica.load.failed(seconds, now)
        if not failure.blame:
            return
        standing = replica.standing
        if standing.failed(failure.error.message, now, reached=failure.reached) and may_leave_out(
            replica, self.replicas
        ):
            standing.out(now)
            log.warning(
                "a replica is left out", service=self.spec.name, replica=str(replica.site),
                state=standing.state, reason=standing.reason,
            )  # fmt: skip

    def describe(self) -> Mapping[str, Any]:
        """Return the live description of the control plane."""
        now = self.clock()
        found: dict[str, Any] = {
            "service": self.spec.name,
            "protocol": self.spec.protocol,
            "breaker": self.breaker.state,
            "retries_left": self.budget.left,
            "replicas": [replica.describe(now) for replica in self.replicas],
            "instances": [],
        }
        if self.problem:
            found["problem"] = self.problem
        return found

    # -- watching ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Find the replicas and begin to watch over them."""
        self.placed(fixed(self.spec))
        if named(self.spec):
            self._spawn(self._look_up())
        self._spawn(self._probe())

    async def stop(self) -> None:
        """End everything."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        replicas, self.replicas = self.replicas, []
        await asyncio.gather(*(replica.wire.aclose() for replica in replicas))

    def placed(self, sites: Iterable[Site]) -> None:
        """Take note of where the replicas are now."""
        found = change((replica.site for replica in self.replicas), sites)
        kept = [replica for replica in self.replicas if replica.site not in found.gone]
        gone = [replica for replica in self.replicas if replica.site in found.gone]
        self.replicas = kept + [Replica(site, self._make(site)) for site in found.new]
        for replica in gone:
            replica.wire.drain()
            self._spawn(_drained(replica))
        if found.gone:
            log.info(
                "replicas are gone", service=self.spec.name,
                replicas=", ".join(map(str, found.gone)),
            )  # fmt: skip

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_up(self) -> None:
        while True:
            sites, problems = await look_up(
                self.spec, [r.site for r in self.replicas], self._resolver, LOOK_UP_SECONDS
            )
            problem = "; ".join(problems)
            if problem and problem != self.problem:
                log.warning("a name is not resolved", service=self.spec.name, reason=problem)
            self.problem = problem
            self.placed(sites)
            await asyncio.sleep(self.spec.refresh if self.replicas else min(1.0, self.spec.refresh))

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(PROBE_EVERY)
            out = [r for r in self.replicas if r.standing.state != UP]
            if out:
                await asyncio.gather(*(self._probe_one(replica) for replica in out))

    async def _probe_one(self, replica: Replica) -> None:
        ready = False
        with contextlib.suppress(Failure):
            ready = await replica.wire.ready(PROBE_SECONDS)
        if replica.standing.probed(ready, self.clock()):
            log.info("a replica is back", service=self.spec.name, replica=str(replica.site))


async def _drained(replica: Replica) -> None:
    """Wait until nothing is under way at a replica that is gone, then end it."""
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while replica.load.in_flight:
                await asyncio.sleep(0.05)
    except TimeoutError:
        pass
    finally:
        await replica.wire.aclose()


def wires(spec: ServiceSpec) -> MakeWire:
    """Return what connects to replicas of a service; raises ``ConfigError``, ``MissingExtra``."""
    files = spec.tls
    if spec.protocol != GRPC:
        context = client_context(files.ca, files.cert, files.key) if _secure(spec) else None
        kind = OpenAIWire if spec.protocol == OPENAI else RestWire
        return lambda site: kind(spec, site.endpoint, _pool(spec, site, context))
    try:
        from inferd.routing.remote.grpc import GRPCWire, credentials
    except ImportError:
        what = f"{spec.where}: service {spec.name!r}" if spec.where else f"service {spec.name!r}"
        raise MissingExtra("grpcio", "grpc", what=what) from None

    secure = credentials(files) if _secure(spec) else None
    return lambda site: GRPCWire(
        spec, site.endpoint, site.host, secure if site.endpoint.secure else None
    )


def _secure(spec: ServiceSpec) -> bool:
    return any(endpoint.secure for endpoint in spec.endpoints)


def _pool(spec: ServiceSpec, site: Site, context: ssl.SSLContext | None) -> Pool:
    endpoint: Endpoint = site.endpoint
    tls = context if endpoint.secure else None
    settings = PoolSettings(connections=spec.connections, waiting=WAITING)
    return Pool(Address(site.host, endpoint.port, tls, endpoint.host if tls else ""), settings)
