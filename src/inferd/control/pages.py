"""The pages of models, read when their models are loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from inferd.repository.page import PageFile, read_page
from inferd.repository.spec import ModelSpec
from inferd.telemetry.logs import Log

log = Log("control")


async def page_of(spec: ModelSpec) -> Mapping[str, PageFile]:
    """Return the files of a model's page by name, empty where it has none; never raises.

    What is left out of it is logged.
    """
    if spec.page is None:
        return {}
    page = await asyncio.to_thread(read_page, spec.page)
    for name, reason in page.left_out:
        log.warning("left out of the page", model=spec.name, file=name, reason=reason)
    return page.files
