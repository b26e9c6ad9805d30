"""The life of a server process: start, serve, drain, stop.

SIGTERM: readiness turns false, serving goes on for the drain delay, everything in flight is
answered, exit 0. Ctrl-C does the same without the delay. A second signal, or the stop timeout,
ends it with 503 for what is overdue.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from inferd.config.settings import Settings
from inferd.core.errors import InferdError
from inferd.server.assemble import Assembled
from inferd.server.reload import watch
from inferd.server.sagemaker import Container
from inferd.server.tracing import FLUSH
from inferd.telemetry.logs import Log, LogHandle, configure

log = Log("server")

COLLECT_AFTER = 20_000

Banner = Callable[[Assembled], None]


def serve(
    settings: Settings, paths: list[str], *, banner: Banner, container: Container | None = None
) -> int:
    """Serve ``paths`` until a signal says stop; returns the exit status.

    ``container``: what the environment of a SageMaker container says, in one.
    Raises ``InferdError`` where it cannot start: a setting, a port, a model file.
    """
    import uvloop

    logs = configure(level=settings.log.level, format=settings.log.format)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(settings, paths, banner, logs, container))
    finally:
        logs.close()


async def _serve(
    settings: Settings, paths: list[str], banner: Banner, logs: LogHandle,
    container: Container | None,
) -> int:  # fmt: skip
    stop = Stop()
    stop.install()
    allow_descriptors()
    server = Assembled(settings, paths, logs, container)
    try:
        if not await _unless(stop.asked, start(server)):
            return 0
        calm_collector()
        banner(server)
        watcher = None
        if settings.server.reload:
            watcher = asyncio.create_task(watch(server.specs, server.scan, server.models))
        await stop.asked.wait()
        if watcher is not None:
            watcher.cancel()
        await _finish(server, stop)
        return 0
    finally:
        await close(server)


def allow_descriptors() -> None:
    """Raise the soft limit of open files as far as the system lets us: a connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def calm_collector() -> None:
    """Tune the cycle collector for serving.

    What is loaded now stays, so later collections need not walk it. Requests make hardly any
    cycles, but hold so many objects at once that the default threshold has the collector run, in
    vain, for a twelfth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)


async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do ``work`` unless ``event`` comes first; returns whether it was done. Errors pass."""
    task = asyncio.ensure_future(work)
    waiter = asyncio.ensure_future(event.wait())
    await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    if task.done():
        task.result()
        return True
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, InferdError):
        await task
    return False


async def start(server: Assembled) -> None:
    """Read, listen, load; raises the first failure once everything else has been tried."""
    server.state.lock()
    server.readiness.starting = True
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, server.tracing.start)
    server.specs = await loop.run_in_executor(None, server.scan)
    # An own socket is open from the start, so that health can be asked for while models load. Behind
    # an inherited one another server may still be answering: only who can answer takes from it.
    inherited = server.settings.server.listen_fd is not None
    if not inherited:
        await server.listeners.start_data(server.data)
    await server.listeners.start_control(server.control, server.metrics_only)
    server.grpc.claim()
    await server.services.start()
    results = await asyncio.gather(
        server.grpc.start(), server.models.load_all(server.specs), return_exceptions=True
    )  # fmt: skip
    failures = [r for r in results if isinstance(r, BaseException)]
    failures += [r for found in results if isinstance(found, list) for r in found]
    for failure in failures[1:]:
        log.error("a model cannot be served", reason=str(failure))
    if failures:
        raise failures[0]
    server.readiness.starting = False
    if inherited:
        await server.listeners.start_data(server.data)


async def _finish(server: Assembled, stop: Stop) -> None:
    """Drain and stop; a second signal cuts it short."""
    settings = server.settings.server
    delay = settings.drain_delay if stop.drains else 0.0
    log.info("stopping", drain_seconds=delay)
    server.readiness.draining = True
    stopping = asyncio.ensure_future(_drain(server, delay, settings.stop_timeout))
    insisted = asyncio.ensure_future(stop.insisted.wait())
    await asyncio.wait({stopping, insisted}, return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        log.warning("stopping at once")
        server.listeners.abort()
        server.grpc.abort()
    insisted.cancel()
    await stopping


async def _drain(server: Assembled, delay: float, timeout: float) -> None:
    await asyncio.gather(
        server.listeners.stop(delay, timeout), server.grpc.stop(delay, timeout)
    )  # fmt: skip


async def close(server: Assembled) -> None:
    """End what is left: workers, codecs, logs, the lock. Safe after a failed start."""
    await server.listeners.stop(0.0, 0.0)
    await server.grpc.stop(0.0, 0.0)
    await server.models.stop(1.0)
    await server.services.stop()
    await server.codecs.stop()
    flush = min(FLUSH, server.settings.server.stop_timeout)
    await asyncio.get_running_loop().run_in_executor(None, server.tracing.stop, flush)
    if server.instruments.access is not None:
        server.instruments.access.flush()
    server.state.release()


class Stop:
    """The signals that end a server: ``asked`` by the first, ``insisted`` by the second."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.insisted = asyncio.Event()
        self.drains = True

    def install(self) -> None:
        """Listen for SIGTERM and SIGINT on the running loop."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.signalled, True)
        loop.add_signal_handler(signal.SIGINT, self.signalled, False)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def signalled(self, drains: bool) -> None:
        """Hear of a signal; ``drains``: serve on for the drain delay first."""
        if self.asked.is_set():
            self.insisted.set()
        else:
            self.drains = drains
            self.asked.set()
