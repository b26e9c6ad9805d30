"""Building the servable of one version: spec -> executors -> batcher -> golden request -> ready.

The first instance measures the cost curve (unless one is remembered); the curve decides slots,
batch limit and how many further instances are started. Nothing is ready before its golden request
went through queue, worker and model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from inferd.control.classes import class_labels
from inferd.control.curves import CurveStore
from inferd.control.lifecycle import health
from inferd.control.pages import page_of
from inferd.core.clock import Clock, monotonic
from inferd.core.errors import InferdError, ModelFileError, Unavailable
from inferd.core.message import Request
from inferd.core.servable import Servable
from inferd.execution.executor import Curve, Executor, Loaded, Name
from inferd.execution.memory import SLOTS_MAX
from inferd.execution.spawn import usable_cpus
from inferd.execution.supervisor import Launch, ProcessExecutor
from inferd.repository.spec import ModelSpec
from inferd.routing.table import FAILED, LOADING, READY, RouteTable, Version
from inferd.scheduling.admission import QueueLimits
from inferd.scheduling.batcher import Batcher
from inferd.scheduling.costs import Costs, Sizing, size
from inferd.scheduling.model import BatchedModel
from inferd.scheduling.settings import BatchSettings, Observer
from inferd.scheduling.streamed import SEQUENCES, StreamedModel, first_of
from inferd.telemetry.logs import Log

log = Log("control")

SAID = {LOADING: "model is loading", READY: "model is ready", FAILED: "model has failed"}
RUN_TIMEOUT_LEAST = 10.0
RUN_TIMEOUT_FACTOR = 20.0
INSTANCES_MAX = 256
GOLDEN = "golden"
"""Id of the requests that prove a version before it serves."""


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """Server-wide defaults; what ``model.yaml`` says wins over them. ``None``: the curve decides."""

    instances: int | None = None
    max_size: int | None = None
    max_delay: float = 0.0
    slots: int | None = None
    threads: int | None = None
    limits: QueueLimits = field(default_factory=QueueLimits)
    executor: str = "process"
    golden_timeout: float = 60.0


ObserverFor = Callable[[str, str], Observer]


class LoadedModel:
    """One loaded version: its row in the route table, batcher and instances."""

    def __init__(self, spec: ModelSpec, version: Version) -> None:
        self.spec = spec
        self.version = version
        self.batcher: Batcher | None = None
        self.loaded: Loaded | None = None
        self.golden = False
        self.sizing = Sizing(1, 0, 1, 1)
        self.changed: Callable[[], None] | None = None
        """Hears of its instances in place of the route table, where it is a part without a row."""

    @property
    def executors(self) -> list[Executor]:
        """The instances, ready or not."""
        return self.batcher.executors if self.batcher else []

    def describe(self) -> Mapping[str, Any]:
        """Return the live description of the control plane."""
        loaded, batcher = self.loaded, self.batcher
        if loaded is None or batcher is None:
            return {"instances": []}
        return {
            "runtime": {"name": loaded.runtime, "version": loaded.runtime_version},
            "signature": loaded.signature.to_json(),
            "model_signature": loaded.model_signature.to_json(),
            "cost_curve": {
                "points": [{"rows": n, "seconds": s} for n, s in batcher.costs.points()],
                "parallel_gain": loaded.curve.parallel,
                "cpu_share": loaded.curve.cpu,
            },
            "batching": {
                "limit": batcher.limit,
                "slots": self.sizing.slots,
                "prefetch": self.sizing.prefetch,
                "queue_entries": batcher.queue.entries,
                "queue_bytes": batcher.queue.nbytes,
            },
            "counters": {k: getattr(batcher.counters, k) for k in batcher.counters.__slots__},
            "quarantined": len(batcher.quarantine),
            "load_seconds": round(loaded.load_seconds, 4),
            "instances": [dict(e.describe()) for e in batcher.executors],
        }


class Loader:
    """Loads and unloads versions, and keeps their rows of the route table true."""

    def __init__(
        self,
        table: RouteTable,
        settings: LoadSettings,
        curves: CurveStore,
        *,
        clock: Clock = monotonic,
        observer: ObserverFor | None = None,
    ) -> None:
        self.table = table
        self.models: dict[tuple[str, str], LoadedModel] = {}
        self._settings = settings
        self._curves = curves
        self._clock = clock
        self._observer = observer
        self.in_use: Callable[[Servable], bool] = _unused
        """Whether a pipeline's request may still ask what is being taken away."""

    async def load(self, spec: ModelSpec) -> LoadedModel:
        """Load one version; raises ``InferdError`` and leaves a ``failed`` row saying why."""
        model = _new(spec)
        self.table.put(model.version)
        self.models[spec.name, spec.version] = model
        model.version.page = await page_of(spec)
        try:
            await self._ready(model)
        except InferdError as error:
            model.version.state, model.version.reason = FAILED, error.message
            self.table.changed(spec.name)
            raise
        self._refresh(model)
        return model

    async def replace(self, spec: ModelSpec, grace: float = 30.0) -> LoadedModel:
        """Load a version beside the one of the same number and let it take over once it is ready.

        Raises ``InferdError`` where it cannot be loaded; the old one serves on.
        """
        model = _new(spec)
        model.version.page = await page_of(spec)
        await self._ready(model)
        old = self.models.get((spec.name, spec.version))
        self.models[spec.name, spec.version] = model
        self._refresh(model)
        self.table.put(model.version)
        if old is not None:
            await self._stop(old, grace)
        return model

    async def start(self, spec: ModelSpec, changed: Callable[[], None]) -> LoadedModel:
        """Load what has no row of its own, as the worker of a pipeline's steps; raises ``InferdError``.

        ``changed`` hears whenever the state of its instances may have changed. End it with ``end``.
        """
        model = _new(spec)
        model.changed = changed
        await self._ready(model)
        return model

    async def end(self, model: LoadedModel, grace: float) -> None:
        """End what ``start`` began: what waits or runs has ``grace`` seconds."""
        model.changed = None
        await self._stop(model, grace)

    async def _ready(self, model: LoadedModel) -> None:
        try:
            model.version.classes = await asyncio.to_thread(class_labels, model.spec)
            await self._build(model)
            await self._prove(model)
        except BaseException:
            await self._stop(model, 0.0)
            raise

    async def _build(self, model: LoadedModel) -> None:
        spec = model.spec
        key = await asyncio.get_running_loop().run_in_executor(None, self._curves.key, spec)
        curve = self._curves.get(key)
        threads: int | None = spec.options.get("threads") or self._settings.threads
        relay = _Relay()
        first = self._executor(spec, 0, curve, threads or 1)
        loaded = await first.start(relay)
        if curve is None:
            self._curves.put(key, loaded.curve)
        model.loaded = loaded
        model.sizing = self._size(spec, loaded, self._settings.slots, threads)
        if model.sizing.threads != (threads or 1):  # known only now that the model was measured
            await first.stop(1.0)
            first = self._executor(spec, 0, loaded.curve, model.sizing.threads)
            await first.start(relay)
        batcher = Batcher(
            Name(spec.name, spec.version), loaded.plan, Costs(loaded.curve),
            self._batch_settings(spec, model.sizing.slots, streams=loaded.streams),
            clock=self._clock, on_change=lambda: self._refresh(model),
            observe=self._observed(model),
        )  # fmt: skip
        relay.owner = batcher
        model.batcher = batcher
        inline = self._kind(spec) == "inline"
        count = 1 if inline else model.sizing.instances
        others = [
            self._executor(spec, i, loaded.curve, model.sizing.threads) for i in range(1, count)
        ]
        batcher.executors = [first, *others]  # so that a failure below stops them all
        await asyncio.gather(*(e.start(batcher) for e in others))
        for executor in (first, *others):
            executor.configure(
                model.sizing.slots, model.sizing.prefetch, self._run_timeout(spec, loaded)
            )
        batcher.attach([first, *others])
        version = model.version
        version.signature, version.plan = loaded.signature, loaded.plan
        version.platform = loaded.runtime
        version.streams = loaded.streams
        kind = StreamedModel if loaded.streams else BatchedModel
        version.servable = kind(spec.name, spec.version, loaded.signature, loaded.plan, batcher)

    def _observed(self, model: LoadedModel) -> Observer | None:
        """Return who counts its batches; those of a part are none of whose name it bears."""
        if self._observer is None or model.changed is not None:
            return None
        return self._observer(model.spec.name, model.spec.version)

    def _size(
        self, spec: ModelSpec, loaded: Loaded, slots: int | None, threads: int | None
    ) -> Sizing:
        low, high = spec.instances.min or 1, spec.instances.max or INSTANCES_MAX
        if loaded.streams:  # every slot is a request that is being generated for
            wanted = spec.batching.max_size or loaded.sequences or SEQUENCES
            instances = min(max(self._settings.instances or 1, low), high)
            return Sizing(min(wanted, SLOTS_MAX), 0, instances, threads or 1)
        found = size(
            loaded.curve, releases_gil=loaded.releases_gil, cpus=usable_cpus(), slots=slots,
            instances=self._settings.instances, threads=threads,
        )  # fmt: skip
        found = replace(found, instances=min(max(found.instances, low), high))
        if (
            not loaded.curve.points and found.instances == 1
        ):  # steps are not measured, and mostly quick
            found = replace(found, prefetch=1)
        return found

    def _kind(self, spec: ModelSpec) -> str:
        return spec.executor or self._settings.executor

    def _executor(self, spec: ModelSpec, index: int, curve: Curve | None, threads: int) -> Executor:
        order = {"spec": spec.to_json(), "threads": threads, "cpus": usable_cpus()}
        name = Name(spec.name, spec.version)
        launch = Launch(name, order, threads, spec.load_timeout, spec.recycle_after)
        if self._kind(spec) == "inline":
            # Brings the transforms and all that runs a model, which the front otherwise never does.
            from inferd.execution.inline import InlineExecutor

            return InlineExecutor(launch, index, curve)
        return ProcessExecutor(launch, index, self._clock, curve)

    def _batch_settings(self, spec: ModelSpec, slots: int, *, streams: bool) -> BatchSettings:
        settings = self._settings
        size = spec.batching.max_size or settings.max_size
        delay = settings.max_delay if spec.batching.max_delay is None else spec.batching.max_delay
        if streams:  # an engine is given requests one by one, and shares its steps itself
            size, delay = 1, 0.0
        return BatchSettings(size, delay, slots, settings.limits, spec.replay, spec.run_timeout)

    def _run_timeout(self, spec: ModelSpec, loaded: Loaded) -> float:
        if spec.run_timeout is not None:
            return spec.run_timeout
        slowest = max((s for _, s in loaded.curve.points), default=0.0)
        return max(RUN_TIMEOUT_LEAST, RUN_TIMEOUT_FACTOR * slowest)

    async def _prove(self, model: LoadedModel) -> None:
        """Send the golden requests through queue, worker and model."""
        spec, loaded, servable = model.spec, model.loaded, model.version.servable
        if loaded is None or servable is None:
            raise RuntimeError("prove before build. This is a bug.")
        deadline = self._clock() + self._settings.golden_timeout
        for inputs in loaded.golden:
            try:
                answer = await servable(Request(spec.name, inputs, deadline=deadline, id=GOLDEN))
                if answer.chunks is not None:
                    await first_of(answer.chunks)
            except InferdError as error:
                raise ModelFileError(
                    f"model {spec.name} v{spec.version}: its golden request failed: {error.message}",
                    help=error.help
                    or "give samples the model accepts: warmup: samples.json in model.yaml",
                ) from error
        model.golden = True

    def _refresh(self, model: LoadedModel) -> None:
        """Bring the row of the route table up to date with the instances."""
        if model.changed is not None:
            model.changed()
            return
        found = health(model.executors, golden=model.golden)
        version = model.version
        if (version.state, version.reason) != (found.state, found.reason):
            version.state, version.reason = found.state, found.reason
            log.info(
                SAID[found.state], model=version.model, version=version.version,
                **({"reason": found.reason} if found.reason else {}),
            )  # fmt: skip
            self.table.changed(version.model)

    async def unload(self, name: str, version: str, grace: float) -> None:
        """Take a version out of the table, let it finish within ``grace`` seconds, end it."""
        model = self.models.pop((name, version), None)
        if model is not None:
            self.table.remove(name, version)
            await self._stop(model, grace)

    async def stop(self, grace: float) -> None:
        """Unload everything."""
        await asyncio.gather(*(self._stop(m, grace) for m in self.models.values()))

    async def _stop(self, model: LoadedModel, grace: float) -> None:
        batcher = model.batcher
        if batcher is None:
            return
        end = self._clock() + grace
        servable = model.version.servable
        while self._clock() < end and (
            batcher.busy or (servable is not None and self.in_use(servable))
        ):
            await asyncio.sleep(0.005)
        batcher.close(Unavailable("the server is stopping", retry_after=1.0))
        await asyncio.gather(*(e.stop(max(0.0, end - self._clock())) for e in batcher.executors))


def _unused(servable: Servable) -> bool:
    return False


def _new(spec: ModelSpec) -> LoadedModel:
    version = Version(
        spec.name, spec.version, task=spec.task, runtime=spec.runtime, labels=spec.version_labels,
        explainer=spec.explainer,
    )  # fmt: skip
    model = LoadedModel(spec, version)
    version.describe = model.describe
    return model


class _Relay:
    """Stands in as owner until the batcher exists: the first instance is needed to build it."""

    def __init__(self) -> None:
        self.owner: Batcher | None = None

    def __getattr__(self, name: str) -> Any:
        if self.owner is None:
            return _ignore
        return getattr(self.owner, name)


def _ignore(*_: object) -> None:
    return None
