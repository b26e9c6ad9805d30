"""Models that other servers serve, in the route table: loading until one replica has said what it is.

Each service has one task: it asks for the model's metadata until it has them, then asks again now and
then, after the service was down, and when an answer did not fit. Once ready, a service stays ready; while
it is down its requests are answered so, at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from typing import Any

from inferd.codecs.oip_described import Described
from inferd.core.clock import Clock, monotonic
from inferd.core.errors import InferdError
from inferd.repository.spec import ModelSpec
from inferd.routing.remote.ejection import UP
from inferd.routing.remote.failure import Failure
from inferd.routing.remote.resolve import Resolver, resolve
from inferd.routing.remote.servable import RemoteModel
from inferd.routing.remote.service import Replica, Service
from inferd.routing.remote.spec import OPENAI, ServiceSpec
from inferd.routing.table import LOADING, READY, RouteTable, Version
from inferd.telemetry.logs import Log

log = Log("control")

PLATFORM = "remote"
UNPLACED = "its addresses are not known yet"
ASK_SECONDS = 5.0
ENGINE_SECONDS = 60.0
"""The same of an engine that is asked for a vector, for which it may load its model first."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
READ_AGAIN = 30.0
"""Seconds after which metadata are read again unasked."""

LEAST = 1.0
"""Seconds between two readings, however often answers do not fit."""


def local(specs: list[ModelSpec], services: Collection[str]) -> list[ModelSpec]:
    """Return the models that are loaded here: those that no service serves."""
    return [spec for spec in specs if spec.name not in services]


class RemoteService:
    """One service and its row of the route table."""

    def __init__(self, table: RouteTable, service: Service) -> None:
        self._table = table
        self.service = service
        self.spec = service.spec
        self._model: Described | None = None
        self._doubt = asyncio.Event()
        self._servable: RemoteModel | None = None
        self.known = asyncio.Event()
        self.version = self._row(self.spec.version or "1")
        self.version.reason = "no replica has been asked yet"
        table.put(self.version)

    def _row(self, version: str) -> Version:
        return Version(
            self.spec.name, version, runtime=PLATFORM, platform=PLATFORM,
            describe=self.service.describe,
        )  # fmt: skip

    async def keep(self) -> None:
        """Keep the row true until cancelled."""
        pause = FIRST_PAUSE
        while not await self._read():
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 1.5)
        while True:
            down = await self._waited()
            await asyncio.sleep(LEAST)
            self._doubt.clear()
            while not await self._read() and down:
                await asyncio.sleep(LONGEST_PAUSE)

    async def _waited(self) -> bool:
        """Wait until it is time to read again; return whether the service was down."""
        down = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READ_AGAIN):
                while not self._doubt.is_set():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LEAST):
                            await self._doubt.wait()
                    # The last replica is never left out, so it may be up and not be reached.
                    gone = all(
                        r.standing.state != UP or r.standing.unreached
                        for r in self.service.replicas
                    )
                    if down and not gone:
                        return True
                    down = down or gone
        return down

    async def _read(self) -> bool:
        """Ask replicas what the model is until one says so; whether one did."""
        reason = self.service.problem or UNPLACED
        tried: list[Replica] = []
        for _ in range(min(3, len(self.service.replicas))):
            replica = self.service.pick(tried)
            if replica is None:
                break
            tried.append(replica)
            begin = self.service.clock()
            try:
                model = await self._describe(replica)
            except Failure as failure:
                self.service.failed(replica, failure, self.service.clock() - begin)
                reason = failure.error.message
            except InferdError as error:
                reason = error.message
            else:
                self._serve(model)
                return True
        self._say(reason)
        return False

    async def _describe(self, replica: Replica) -> Described:
        """Return what a replica says of the model; raises where it is not ready."""
        wire = replica.wire
        if not await wire.model_ready(ASK_SECONDS):
            raise InferdError(f"{replica.site}: the model {self.spec.model!r} is not ready there")
        return await wire.describe(ENGINE_SECONDS if self.spec.protocol == OPENAI else ASK_SECONDS)

    def _say(self, reason: str) -> None:
        version = self.version
        if version.state == LOADING and version.reason != reason:
            version.reason = reason
            if reason != UNPLACED:
                log.info("a service is not ready", model=self.spec.name, reason=reason)
            self._table.changed(self.spec.name)

    def _serve(self, model: Described) -> None:
        """Let the service answer for the model as described."""
        number = self.spec.version or (model.versions[-1] if model.versions else "1")
        old = self.version
        if model == self._model and number == old.version:
            return
        again, self._model = self._model is not None, model
        new = self._row(number)
        servable = RemoteModel(self.service, model, number, doubted=self._doubt.set)
        new.signature, new.plan, new.servable = model.signature, model.plan, servable
        new.task, new.classes, new.streams = model.task, model.classes, model.streams
        new.state, new.reason, new.created = READY, "", old.created
        self.version, self._servable = new, servable
        self._table.put(new)
        if new.version != old.version:
            self._table.remove(old.model, old.version)
        log.info(
            "a service says something else" if again else "a service is ready",
            model=self.spec.name, version=number,
        )  # fmt: skip
        self.known.set()


class Services:
    """All services of a server: started and stopped with it. ``names``: the models they serve."""

    def __init__(
        self,
        table: RouteTable,
        specs: Mapping[str, ServiceSpec],
        *,
        clock: Clock = monotonic,
        resolver: Resolver = resolve,
    ) -> None:
        self._table = table
        self._specs = specs
        self._clock = clock
        self._resolver = resolver
        self._rows: list[RemoteService] = []
        self._tasks: list[asyncio.Task[Any]] = []

    @property
    def names(self) -> frozenset[str]:
        """The models that services serve."""
        return frozenset(self._specs)

    @property
    def running(self) -> list[Service]:
        """The services, once they were started."""
        return [row.service for row in self._rows]

    async def start(self, wait: float = 1.0) -> None:
        """Begin to ask all services; give them ``wait`` seconds to say what they are.

        Raises ``ConfigError`` or ``MissingExtra`` where a service cannot be asked at all.
        """
        made = [
            Service(spec, clock=self._clock, resolver=self._resolver)
            for spec in self._specs.values()
        ]
        for service in made:
            await service.start()
            row = RemoteService(self._table, service)
            self._rows.append(row)
            task = asyncio.create_task(row.keep())
            task.add_done_callback(_watched)
            self._tasks.append(task)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                for row in self._rows:
                    await row.known.wait()

    async def stop(self) -> None:
        """End everything. Idempotent."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        rows, self._rows = self._rows, []
        await asyncio.gather(*(row.service.stop() for row in rows))


def _watched(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("watching a service failed; this is a bug", exc=task.exception())
