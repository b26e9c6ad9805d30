"""Loading pipelines, and keeping their rows of the route table true.

A pipeline is loaded after its models: it finds them in the table, starts the worker of its own steps, and is
ready once every part is, its types agree and its samples were answered. It follows the table from then on:
where a part is gone or loading it is loading, where one has failed (and the step has no fallback) it has
failed, and back. Where the types of a part have changed, the pipeline is built anew beside the old one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from inferd.control.lifecycle import Health
from inferd.control.lifecycle import health as health_of
from inferd.control.loader import GOLDEN, SAID, LoadedModel, Loader
from inferd.control.pages import page_of
from inferd.control.pipeline import parts
from inferd.control.pipeline.binding import Binding
from inferd.control.pipeline.loaded import LoadedPipeline
from inferd.control.pipeline.steps import (
    Placed,
    function_callees,
    functions_of,
    place_transforms,
    servables,
    worker_spec,
)
from inferd.core.clock import Clock, monotonic
from inferd.core.errors import InferdError, ModelFileError
from inferd.core.message import Request, collected
from inferd.core.servable import Servable
from inferd.core.tensor import Tensors
from inferd.execution.golden import golden_samples
from inferd.repository.spec import ModelSpec
from inferd.routing.pipeline.check.typing import plan as plan_of
from inferd.routing.pipeline.definition.file import read_pipeline
from inferd.routing.pipeline.plan import Callee
from inferd.routing.pipeline.run import AnswerObserver, Pipeline, StepObserver
from inferd.routing.table import FAILED, LOADING, READY, RouteTable
from inferd.scheduling.admission import QueueLimits
from inferd.telemetry.logs import Log

log = Log("control")

GOLDEN_TIMEOUT = 60.0
GRACE = 30.0
"""Seconds that a worker which was replaced has for the requests that began before."""

POLL = 0.005
StepObserverFor = Callable[[str, str], StepObserver]
AnswerObserverFor = Callable[[str, str], AnswerObserver]


class Pipelines:
    """Loads and unloads pipelines; ``loaded`` by name and version."""

    def __init__(
        self,
        loader: Loader,
        limits: QueueLimits,
        *,
        clock: Clock = monotonic,
        observer: StepObserverFor | None = None,
        answers: AnswerObserverFor | None = None,
    ) -> None:
        self.loaded: dict[tuple[str, str], LoadedPipeline] = {}
        self.table: RouteTable = loader.table
        self._loader = loader
        self._limits = limits
        self._clock = clock
        self._observer = observer
        self._answers = answers
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping: set[LoadedPipeline] = set()
        self._stopped = False
        self.table.watch(self._changed)
        loader.in_use = self._in_use

    # -- loading ----------------------------------------------------------------------------------

    async def announce(self, specs: Sequence[ModelSpec]) -> list[LoadedPipeline]:
        """Read pipelines and put their rows into the table, to be brought up once their models are.

        Raises the first ``ConfigError`` once all were read.
        """
        read = await asyncio.gather(*map(_read, specs), return_exceptions=True)
        _raise_first([one for one in read if isinstance(one, BaseException)])
        found = [one for one in read if isinstance(one, LoadedPipeline)]
        for pipeline in found:
            self.loaded[pipeline.spec.name, pipeline.spec.version] = pipeline
            self.table.put(pipeline.version)
        return found

    async def bring_up(self, announced: Sequence[LoadedPipeline]) -> None:
        """Load pipelines whose models are in the table; those that wait for a part stay ``loading``.

        Raises the first ``InferdError`` (names, functions, types, samples) once all were tried, and leaves
        a ``failed`` row saying why.
        """
        begun = await asyncio.gather(*map(self._begin, announced), return_exceptions=True)
        errors: list[BaseException] = [one for one in begun if one is not None]
        by_name: dict[str, list[LoadedPipeline]] = {}
        for pipeline in announced:
            if pipeline.begun:
                by_name.setdefault(pipeline.spec.name, []).append(pipeline)
        asked = {n: [p for one in many for p in one.version.parts] for n, many in by_name.items()}
        for name in parts.in_order(list(by_name), asked):
            for pipeline in by_name[name]:
                await self._update(pipeline)
                if pipeline.error is not None:
                    errors.append(pipeline.error)
        _raise_first(errors)

    async def replace(self, spec: ModelSpec, grace: float) -> LoadedPipeline:
        """Load a version beside the one of the same number and let it take over.

        Raises ``InferdError`` where it cannot be loaded; the old one serves on.
        """
        new = await _read(spec)
        old = self.loaded.get((spec.name, spec.version))
        try:
            await self._begin(new)
            await self._update(new)
            if new.error is not None:
                raise new.error
        except BaseException:
            await self._stop(new, 0.0)
            raise
        self.loaded[spec.name, spec.version] = new
        self.table.put(new.version)
        self._review(new)
        if old is not None:
            await self._stop(old, grace)
        return new

    def samples(self) -> dict[str, Tensors]:
        """Return a request that each pipeline answers, of those that give one."""
        return {p.spec.name: p.samples[0] for p in self.loaded.values() if p.samples}

    async def _begin(self, pipeline: LoadedPipeline) -> None:
        """Check names and start the worker; raises ``InferdError``, and says it in the row."""
        start = self._clock()
        if self._observer is not None:
            pipeline.tally.further = self._observer(pipeline.spec.name, pipeline.spec.version)
        if self._answers is not None:
            pipeline.further = self._answers(pipeline.spec.name, pipeline.spec.version)
        try:
            parts.check_cycle(pipeline.spec.name, pipeline.written, self._parts)
            parts.check_names(self.table, pipeline.written)
            if functions_of(pipeline.written):
                pipeline.worker = await self._worker(pipeline, Placed())
                pipeline.functions = function_callees(_signature(pipeline.worker))
            pipeline.begun = True
        except InferdError as error:
            pipeline.error = error
            self._say(pipeline)
            raise
        finally:
            pipeline.load_seconds += self._clock() - start

    async def _worker(self, pipeline: LoadedPipeline, placed: Placed) -> LoadedModel:
        spec = worker_spec(pipeline.spec, pipeline.written, placed.worker)
        return await self._loader.start(spec, lambda: self._review(pipeline))

    def _parts(self, model: str) -> Iterable[str]:
        if model not in self.table.names():
            return ()
        return [part for version in self.table.versions(model) for part in version.parts]

    # -- following the table ------------------------------------------------------------------------

    def _changed(self, model: str) -> None:
        """Something of a model changed: review the pipelines that ask it."""
        for pipeline in list(self.loaded.values()):
            if model in pipeline.version.parts:
                self._review(pipeline)

    def _review(self, pipeline: LoadedPipeline) -> None:
        """Bring the row up to date at once, and begin what takes longer."""
        # Who holds the lock says it in the end; what has not begun may be part of a circle.
        if not pipeline.begun or pipeline.closed or pipeline.lock.locked():
            return
        self._say(pipeline)
        if self._is_stale(pipeline):
            self._task(self._update(pipeline))

    def _task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _in_use(self, servable: Servable) -> bool:
        """Whether a request of any pipeline may still ask ``servable``."""
        return any(p.uses(servable) for p in (*self.loaded.values(), *self._stopping))

    def _is_stale(self, pipeline: LoadedPipeline) -> bool:
        """Whether it has to be built (anew) or is still to be proven, and can be."""
        callees = parts.callees(self.table, pipeline.written, pipeline.functions)
        if callees is None:
            return False
        return callees != pipeline.callees or (
            not pipeline.proven and pipeline.error is None and self._health(pipeline).state == READY
        )

    def _health(self, pipeline: LoadedPipeline) -> Health:
        """Return the state of its parts and of its worker."""
        worker = pipeline.worker
        if worker is not None:
            own = health_of(worker.executors, golden=True)
            if own.state != READY:
                return Health(own.state, f"its own steps: {own.reason}")
        return parts.health(self.table, pipeline.written, pipeline.functions)

    def _say(self, pipeline: LoadedPipeline) -> None:
        """Write the state into the row."""
        version = pipeline.version
        if pipeline.error is not None:
            found = Health(FAILED, pipeline.error.message)
        else:
            found = self._health(pipeline)
            if found.state == READY and pipeline.servable is None:
                found = Health(LOADING, "its steps are loading")
            elif found.state == READY and not pipeline.proven:
                found = Health(LOADING, "its golden request has not been answered yet")
        if (version.state, version.reason) == (found.state, found.reason):
            return
        version.state, version.reason = found.state, found.reason
        if self.loaded.get((version.model, version.version)) is not pipeline:
            return  # it does not serve yet
        log.info(
            SAID[found.state], model=version.model, version=version.version,
            **({"reason": found.reason} if found.reason else {}),
        )  # fmt: skip
        self.table.changed(version.model)

    async def _update(self, pipeline: LoadedPipeline) -> None:
        """Build and prove a pipeline as far as its parts allow; what is wrong is in its ``error``."""
        start = self._clock()
        async with pipeline.lock:
            try:
                while not pipeline.closed and self._is_stale(pipeline):
                    callees = parts.callees(self.table, pipeline.written, pipeline.functions)
                    if callees is not None and callees != pipeline.callees:
                        pipeline.callees, pipeline.error = callees, None
                        await self._build(pipeline, callees)
                    if self._health(pipeline).state == READY:
                        await self._prove(pipeline)
                        pipeline.proven = True
            except InferdError as error:
                pipeline.error = error
        pipeline.load_seconds += self._clock() - start
        if not pipeline.closed:
            self._say(pipeline)

    async def _build(self, pipeline: LoadedPipeline, callees: Mapping[str, Callee]) -> None:
        """Make the servable out of types; the old one answers until then."""
        spec, version = pipeline.spec, pipeline.version
        plan = await asyncio.to_thread(plan_of, pipeline.written, callees)
        placed = await asyncio.to_thread(place_transforms, plan)
        before, former = pipeline.worker, pipeline.servable
        if placed.worker != pipeline.placed.worker:
            pipeline.worker = await self._worker(pipeline, placed)
        batcher = pipeline.worker.batcher if pipeline.worker is not None else None
        own = servables(spec, plan, placed, batcher)
        pipeline.plan, pipeline.placed = plan, placed
        binding = Binding(self.table, pipeline.written, own)
        servable = Pipeline(
            spec.name, spec.version, plan, binding, limits=self._limits, clock=self._clock,
            observe=pipeline.tally, answered=pipeline.answered,
        )  # fmt: skip
        pipeline.take_over(servable, binding)
        version.signature, version.plan = plan.signature, plan.batch
        version.streams = plan.streams is not None
        version.servable = pipeline.servable
        if before is not None and before is not pipeline.worker:
            self._task(self._retire(before, former))

    async def _retire(self, worker: LoadedModel, former: Pipeline | None) -> None:
        """End a worker that was replaced once the requests that began before have ended."""
        end = self._clock() + GRACE
        while former is not None and former.busy and self._clock() < end and not self._stopped:
            await asyncio.sleep(POLL)
        await self._loader.end(worker, 0.0)

    async def _prove(self, pipeline: LoadedPipeline) -> None:
        """Have the samples of its ``model.yaml`` answered; without any, its parts have proven themselves."""
        spec, version, servable = pipeline.spec, pipeline.version, pipeline.servable
        if spec.warmup is None or servable is None or version.signature is None:
            return
        samples = await asyncio.to_thread(
            golden_samples, version.signature, version.plan, spec.warmup
        )  # fmt: skip
        deadline = self._clock() + GOLDEN_TIMEOUT
        pipeline.samples = samples
        for inputs in samples:
            try:
                request = Request(spec.name, inputs, deadline=deadline, id=GOLDEN)
                await collected(await servable(request))
            except InferdError as error:
                raise ModelFileError(
                    f"pipeline {pipeline.label}: its golden request failed: {error.message}",
                    help=error.help or f"give samples that it answers in {spec.warmup}",
                ) from error

    # -- the end ------------------------------------------------------------------------------------

    async def unload(self, name: str, version: str, grace: float) -> None:
        """Take a version out of the table, let it finish within ``grace`` seconds, end it."""
        pipeline = self.loaded.pop((name, version), None)
        if pipeline is not None:
            self.table.remove(name, version)
            await self._stop(pipeline, grace)

    async def stop(self, grace: float) -> None:
        """End every pipeline; their models are the loader's."""
        self._stopped = True
        await asyncio.gather(*(self._stop(p, grace) for p in self.loaded.values()))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _stop(self, pipeline: LoadedPipeline, grace: float) -> None:
        pipeline.closed = True
        self._stopping.add(pipeline)
        end = self._clock() + grace
        while self._clock() < end and (pipeline.busy or self._asked(pipeline)):
            await asyncio.sleep(POLL)
        async with pipeline.lock:  # what builds it ends before its worker does
            worker, pipeline.worker = pipeline.worker, None
        if worker is not None:
            await self._loader.end(worker, max(0.0, end - self._clock()))
        self._stopping.discard(pipeline)

    def _asked(self, pipeline: LoadedPipeline) -> bool:
        """Whether a request of another pipeline, which goes on, may still ask this one."""
        servable = pipeline.servable
        return servable is not None and not self._stopped and self._in_use(servable)


def _raise_first(errors: Sequence[BaseException]) -> None:
    for error in errors[1:]:
        log.error("a pipeline cannot be served", reason=str(error))
    if errors:
        raise errors[0]


async def _read(spec: ModelSpec) -> LoadedPipeline:
    assert spec.artifact is not None
    path: Path = spec.artifact
    pipeline = LoadedPipeline(spec, await asyncio.to_thread(read_pipeline, path, spec.name))
    pipeline.version.page = await page_of(spec)
    return pipeline


def _signature(worker: LoadedModel) -> Any:
    assert worker.loaded is not None
    return worker.loaded.signature
