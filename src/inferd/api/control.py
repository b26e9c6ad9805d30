"""The control plane: metrics, what is served and in which state, OpenAPI, and a page.

It has a listener of its own, on loopback unless told otherwise, answers only to known host names
and refuses changes asked by pages of other origins (``hosts``). The metrics plane is a third
application, with ``/metrics`` and nothing else, for a scraper that may not see the rest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from inferd.api import describe, openapi, page
from inferd.api.call import Call, RequestIds
from inferd.api.guard import Authorize, Guard, allow_anonymous
from inferd.api.health import HealthDoors, Readiness
from inferd.api.hosts import Hosts
from inferd.api.plane import Door, Observer, Plane, observe_nothing
from inferd.api.routes import CONTROL, METRICS, routes_of
from inferd.api.settings import ApiSettings
from inferd.codecs import json
from inferd.core.clock import Clock, monotonic
from inferd.routing.table import RouteTable
from inferd.transport.message import HTTPRequest, HTTPResponse

Scrape = Callable[[str], Awaitable[tuple[str, bytes]]]
"""Given the request's ``Accept``: the content type and body of the metrics."""


async def no_metrics(accept: str) -> tuple[str, bytes]:
    """Answer with no metrics."""
    return "text/plain; charset=utf-8", b""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server is, for links and examples: base URLs of the planes, and its version."""

    data_url: str = ""
    admin_url: str = ""
    version: str = "0"


class ControlDoors:
    """Doors of the control plane that read the route table."""

    def __init__(self, table: RouteTable, place: Callable[[], Place]) -> None:
        self._table = table
        self._place = place

    async def models(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """List models and the states of their versions."""
        return _json({"models": describe.summary(self._table)}, call)

    async def model(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Describe a model in full."""
        call.model = self._table.find(call.values[0]).model
        return _json(describe.model(self._table, call.values[0]), call)

    async def version(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Describe one version in full."""
        found = self._table.find(*call.values)
        call.model, call.version = found.model, found.version
        return _json(describe.describe(found), call)

    async def openapi(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Give the OpenAPI document of both planes."""
        place = self._place()
        found = openapi.document(
            self._table, version=place.version, data_url=place.data_url, admin_url=place.admin_url
        )
        return _json(found, call)

    async def page(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Give the page."""
        place = self._place()
        html = page.page(self._table, version=place.version, data_url=place.data_url)
        headers = [*call.headers, *page.HEADERS]
        return HTTPResponse(200, html.encode(), b"text/html; charset=utf-8", headers)


class MetricsDoors:
    """``/metrics``."""

    def __init__(self, scrape: Scrape) -> None:
        self._scrape = scrape

    async def metrics(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Give the metrics in the format asked for."""
        accept = (request.header(b"accept") or b"").decode("latin-1")
        content_type, body = await self._scrape(accept)
        return HTTPResponse(200, body, content_type.encode(), call.headers)


def _json(value: object, call: Call) -> HTTPResponse:
    return HTTPResponse(200, json.dumps(value), headers=call.headers)


def control_plane(
    table: RouteTable,
    settings: ApiSettings,
    *,
    readiness: Readiness | None = None,
    scrape: Scrape = no_metrics,
    place: Callable[[], Place] = Place,
    observer: Observer = observe_nothing,
    authorize: Authorize = allow_anonymous,
    clock: Clock = monotonic,
    ids: str = "c",
) -> Plane:
    """Return the application of the control plane."""
    control = ControlDoors(table, place)
    health = HealthDoors(readiness or Readiness(table))
    doors: dict[str, Door] = {
        "healthz": health.live,
        "readyz": health.ready,
        "page": control.page,
        "openapi": control.openapi,
        "models": control.models,
        "model": control.model,
        "version": control.version,
        "metrics": MetricsDoors(scrape).metrics,
    }
    return Plane(
        routes_of(CONTROL),
        doors,
        Guard(settings, clock, authorize),
        RequestIds(ids),
        observer=observer,
        hosts=Hosts(settings.hosts),
    )


def metrics_plane(
    settings: ApiSettings,
    scrape: Scrape,
    *,
    observer: Observer = observe_nothing,
    authorize: Authorize = allow_anonymous,
    clock: Clock = monotonic,
    ids: str = "m",
) -> Plane:
    """Return the application that serves ``/metrics`` and nothing else."""
    doors: dict[str, Door] = {"metrics": MetricsDoors(scrape).metrics}
    return Plane(
        routes_of(METRICS),
        doors,
        Guard(settings, clock, authorize),
        RequestIds(ids),
        observer=observer,
    )
