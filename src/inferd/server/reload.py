"""``--reload``: while developing, load a model anew when its files change.

The new instance is loaded beside the old one and takes over once its golden request is answered;
one that cannot be loaded is logged and the old one serves on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

from inferd.control.models import Models, apart
from inferd.core.errors import InferdError
from inferd.repository.spec import ModelSpec
from inferd.repository.watcher import fingerprint
from inferd.telemetry.logs import Log

log = Log("reload")

EVERY = 0.5
GRACE = 30.0


async def watch(
    specs: list[ModelSpec], rescan: Callable[[], list[ModelSpec]], served: Models
) -> None:
    """Compare files twice a second and replace what changed; runs until cancelled."""
    loop = asyncio.get_running_loop()
    known: dict[tuple[str, str], Hashable] = {(s.name, s.version): fingerprint(s) for s in specs}
    while True:
        await asyncio.sleep(EVERY)
        try:
            found = await loop.run_in_executor(None, rescan)
        except InferdError as error:
            if known.get(("", "")) != error.message:  # once per cause
                known["", ""] = error.message
                log.error("cannot reload", reason=str(error))
            continue
        known.pop(("", ""), None)
        current = {(s.name, s.version) for s in found}
        models, pipelines = apart(found)  # a pipeline may ask a model that is new
        for spec in (*models, *pipelines):
            key = (spec.name, spec.version)
            now = await loop.run_in_executor(None, fingerprint, spec)
            if known.get(key) != now:
                known[key] = now
                await _replace(spec, served)
        for name, version in served.versions - current:
            if served.table.find(name).version != version:  # a newer one answers
                known.pop((name, version), None)
                await served.unload(name, version, GRACE)


async def _replace(spec: ModelSpec, served: Models) -> None:
    log.info("files changed, loading anew", model=spec.name, version=spec.version)
    try:
        await served.replace(spec)
    except InferdError as error:
        log.error("the old version serves on", model=spec.name, reason=str(error))
