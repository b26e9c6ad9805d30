"""``inferd.asgi``: the data plane as an ASGI application, for mounting into FastAPI or Starlette.

The host owns sockets, heads and timeouts; models, batching, workers and every dialect are those of
the server. Models are loaded with the host's lifespan where it tells of one (an application that is
served by itself), else with the first request (mounted ones are told nothing); then ``aclose`` ends
the workers.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

from inferd import __version__
from inferd.api.data import data_plane
from inferd.api.health import Readiness
from inferd.config.settings import Settings
from inferd.control.curves import CurveStore
from inferd.control.loader import Loader
from inferd.control.models import Models
from inferd.control.pipeline.loader import Pipelines
from inferd.control.sources import read_specs
from inferd.core.errors import InvalidInput
from inferd.execution.offload import CodecPool
from inferd.routing.table import RouteTable
from inferd.server.assemble import api_settings, load_settings
from inferd.transport.asgi import ASGIAdapter, Receive, Scope, Send
from inferd.transport.limits import limits_from


def asgi(*paths: str | Path, settings: Settings | None = None) -> ASGIApplication:
    """Return an ASGI 3 application that serves models.

    Args:
        paths: what ``inferd serve`` takes: model files, repositories, ``module:Class``.
        settings: as for the server (``inferd.config.load.load_settings``); the defaults otherwise.
            What concerns sockets, logs and the state directory is the host's business.

    Raises:
        InvalidInput: no path is given. Files are read when the application starts.
    """
    if not paths:
        raise InvalidInput("nothing to serve", help='give a path: inferd.asgi("models/")')
    return ASGIApplication([str(path) for path in paths], settings or Settings())


class ASGIApplication:
    """Models behind ASGI. Starts once, on the loop that first asks it."""

    def __init__(self, paths: list[str], settings: Settings) -> None:
        limits = limits_from(settings.limits)
        table = RouteTable()
        self._paths = paths
        self._settings = settings
        self._ready = False
        self._starting = asyncio.Lock()
        loading = load_settings(settings)
        self._loader = Loader(table, loading, CurveStore(None))
        self._models = Models(self._loader, Pipelines(self._loader, loading.limits))
        self._codecs = CodecPool(max_depth=limits.json_depth)
        plane = data_plane(
            table, api_settings(settings, limits), readiness=Readiness(table),
            offload=self._codecs, ids=secrets.token_hex(4), product=("inferd", __version__),
        )  # fmt: skip
        self._adapter = ASGIAdapter(plane, limits=limits, startup=self.start, shutdown=self.aclose)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope."""
        if not self._ready and scope["type"] == "http":
            await self.start()
        await self._adapter(scope, receive, send)

    async def start(self) -> None:
        """Load every model. Idempotent; raises the ``InferdError`` of the first that fails."""
        async with self._starting:
            if not self._ready:
                await self._load()
                self._ready = True

    async def _load(self) -> None:
        trusted = self._settings.workers.trust_pickle
        loop = asyncio.get_running_loop()
        specs = await loop.run_in_executor(
            None, lambda: read_specs(self._paths, trust_pickle=trusted)
        )
        try:
            for failure in await self._models.load_all(specs):
                raise failure
        except BaseException:
            await self._models.stop(0.0)
            raise

    async def aclose(self) -> None:
        """Let what runs finish within a second and end the workers. Idempotent."""
        self._ready = False
        await self._models.stop(1.0)
        await self._codecs.stop()
