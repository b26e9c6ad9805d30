"""The composition root: builds every part from the settings and wires them. No logic here."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from inferd import __version__
from inferd.api.control import Place, control_plane, metrics_plane
from inferd.api.data import data_plane
from inferd.api.health import Readiness
from inferd.api.settings import ApiSettings
from inferd.config.load import state_directory
from inferd.config.settings import Settings
from inferd.control.curves import CurveStore
from inferd.control.loader import Loader, LoadSettings
from inferd.control.models import Models
from inferd.control.pipeline.loader import Pipelines
from inferd.control.services import Services, local
from inferd.control.sources import read_specs
from inferd.core.tensor import Tensors
from inferd.execution.offload import CodecPool
from inferd.repository.spec import ModelSpec
from inferd.routing.remote.spec import read_deployment
from inferd.routing.table import RouteTable
from inferd.scheduling.admission import QueueLimits
from inferd.server.grpclistener import GRPCListener
from inferd.server.instruments import Instruments
from inferd.server.listeners import Listeners
from inferd.server.loading import ModelLoading
from inferd.server.sagemaker import Container
from inferd.server.state import StateDirectory
from inferd.server.tracing import Tracing
from inferd.telemetry import table
from inferd.telemetry.access import AccessLog
from inferd.telemetry.exposition import render
from inferd.telemetry.logs import LogHandle
from inferd.telemetry.metrics import Metrics, Reading
from inferd.transport.limits import Limits, limits_from

if TYPE_CHECKING:
    from inferd.api.grpc.application import GRPCApplication


class Assembled:
    """All parts of one server, built and wired; ``lifespan`` starts and stops them."""

    def __init__(
        self, settings: Settings, paths: Sequence[str], logs: LogHandle,
        container: Container | None = None,
    ) -> None:  # fmt: skip
        self.settings = settings
        self.container = container or Container()
        self.paths = list(paths)
        self.specs: list[ModelSpec] = []
        self.state = StateDirectory(
            state_directory(settings), chosen=settings.server.state_dir is not None
        )
        self.table = RouteTable()
        deployment = settings.server.deployment
        self.services = Services(self.table, read_deployment(deployment) if deployment else {})
        self.metrics = Metrics()
        self.instruments = Instruments(self.metrics)
        self.tracing = Tracing(settings.tracing, os.environ, self.metrics)
        self.limits = limits_from(settings.limits)
        self.codecs = CodecPool(max_depth=self.limits.json_depth)
        several = self.container.several
        self.readiness = Readiness(self.table, may_be_empty=several)
        self.loader = Loader(
            self.table, load_settings(settings), CurveStore(self.state.path / "costs"),
            observer=self.instruments.batches,
        )  # fmt: skip
        self.models = Models(self.loader, Pipelines(
            self.loader, QueueLimits(settings.queue.items, settings.queue.bytes),
            observer=self.instruments.steps, answers=self.instruments.answers,
        ))  # fmt: skip
        doors = api_settings(settings, self.limits, self.container)
        loading = ModelLoading(self.models, self.container.models, lambda path: self.read([path]))
        self.data = data_plane(
            self.table, doors, readiness=self.readiness, offload=self.codecs,
            observer=self.instruments.finished, ids=secrets.token_hex(4),
            product=("inferd", __version__), account=self.instruments.account,
            loading=loading if several else None, traces=self.tracing.traces,
        )  # fmt: skip
        self.control = control_plane(
            self.table, doors, readiness=self.readiness, scrape=self.scrape, place=self.place
        )
        self.metrics_only = metrics_plane(doors, self.scrape)
        self.instruments.attach(self.models, self.data, self.services)
        self.metrics.provide(lambda: [Reading(table.LOG_DROPPED, (), float(logs.writer.dropped))])
        if settings.log.access:
            self.instruments.access = AccessLog(
                logs.writer, asyncio.get_running_loop(), json=logs.json
            )
        self.listeners = Listeners(settings, self.limits, self.instruments)
        self.grpc = GRPCListener(settings, self.limits, self.grpc_doors)

    def grpc_doors(self, application: type[GRPCApplication]) -> GRPCApplication:
        """Return the data plane over gRPC; made when its listener starts, which imports the class."""
        made = application(
            self.table, api_settings(self.settings, self.limits), readiness=self.readiness,
            offload=self.codecs, observer=self.instruments.finished, ids=secrets.token_hex(4),
            product=("inferd", __version__), account=self.instruments.account,
            traces=self.tracing.traces,
        )  # fmt: skip
        self.instruments.count(made)
        return made

    def scan(self) -> list[ModelSpec]:
        """Read from disk what there is to serve; raises ``InferdError`` naming the file."""
        trusted = self.settings.workers.trust_pickle
        if not self.paths and (self.container.several or self.services.names):
            return []
        return local(self.read(self.paths, trusted), self.services.names)

    def read(self, paths: Sequence[str], trusted: Sequence[str] = ()) -> list[ModelSpec]:
        """Return the models at ``paths``, as this server is to run them."""
        container, settings = self.container, self.settings
        if not settings.server.sagemaker:
            specs = read_specs(paths, trust_pickle=trusted)
        else:
            specs = read_specs(paths, trust_pickle=trusted, program=container.program)
            specs = [container.adapted(spec, settings.requests.timeout) for spec in specs]
        return specs if settings.server.pages else [replace(spec, page=None) for spec in specs]

    async def scrape(self, accept: str) -> tuple[str, bytes]:
        """Return content type and body of the metrics."""
        snapshot = self.metrics.snapshot()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, render, snapshot, accept)

    def place(self) -> Place:
        """Return where the planes are, for links and examples."""
        return Place(self.listeners.data_url, self.listeners.admin_url or "", __version__)

    def samples(self) -> dict[str, Tensors]:
        """Return an example that each loaded model answers."""
        loaded = {m.spec.name: m.loaded for m in self.loader.models.values()}
        samples = {name: one.golden[0] for name, one in loaded.items() if one and one.golden}
        return {**samples, **self.models.pipelines.samples()}


def load_settings(settings: Settings) -> LoadSettings:
    """Return what the loader needs of the settings."""
    workers, batching = settings.workers, settings.batching
    return LoadSettings(
        instances=workers.instances,
        max_size=batching.max_size,
        max_delay=batching.max_delay,
        slots=workers.slots,
        threads=workers.threads,
        limits=QueueLimits(settings.queue.items, settings.queue.bytes),
        executor=workers.executor,
    )


def api_settings(
    settings: Settings, limits: Limits, container: Container | None = None
) -> ApiSettings:
    """Return what the doors need of the settings, and of a container's environment."""
    container = container or Container()
    hosts = {settings.server.admin_host, settings.server.host, os.uname().nodename}
    return ApiSettings(
        json_body_bytes=limits.json_body_bytes,
        binary_body_bytes=limits.binary_body_bytes,
        json_depth=limits.json_depth,
        timeout=settings.requests.timeout,
        cors_origins=settings.server.cors_origins,
        hosts=tuple(sorted(hosts)),
        default_accept=container.accept,
        default_model=container.model,
    )
