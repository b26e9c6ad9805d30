"""The pages that models bring: ``/ui/{name}/`` and the files beside it, and who finds the way there.

What is served is what was read when the model was loaded (``repository.page``): a name is looked up,
no path is ever followed. A page may load, ask and run nothing but what this server serves. Redirects
are relative, so that they hold behind a proxy that takes a prefix off.
"""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from inferd.api import page
from inferd.api.call import Call
from inferd.api.plane import Door
from inferd.core.errors import NotFound, nearest
from inferd.repository.page import FOLDER, INDEX
from inferd.routing.table import RouteTable
from inferd.transport.message import Headers, HTTPRequest, HTTPResponse

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; frame-src 'self' blob:; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
"""What a page may do. Scripts and styles stand in files: nothing inline is run."""

HEADERS: Headers = [
    (b"Content-Security-Policy", POLICY.encode()),
    (b"Permissions-Policy", b"microphone=(self), camera=(), geolocation=()"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Referrer-Policy", b"no-referrer"),
    (b"Cross-Origin-Opener-Policy", b"same-origin"),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
    (b"Cache-Control", b"no-cache"),
]
_VARY = (b"Vary", b"Accept")
_HTML = b"text/html"
_HELP = (
    f"put an {INDEX} into a directory {FOLDER} beside its model.yaml or pipeline.yaml, "
    "and start without --no-pages"
)


def pages(table: RouteTable) -> list[str]:
    """Return the models that have a page."""
    return [name for name in table.names() if table.find(name).page]


class ModelPageDoors:
    """Doors of models' pages. ``alive`` answers ``/`` where no browser is led to a page."""

    def __init__(self, table: RouteTable, alive: Door) -> None:
        self._table = table
        self._alive = alive

    async def root(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Lead browsers to the pages, where there is one; answer others as before."""
        if not pages(self._table):
            return await self._alive(request, call)
        if _HTML in (request.header(b"accept") or b""):
            return _redirect("ui/", call, _VARY)
        response = await self._alive(request, call)
        response.headers = [*response.headers, _VARY]
        return response

    async def listed(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """List the pages, or lead to the only one."""
        names = pages(self._table)
        if not names:
            raise NotFound("no model that is served has a page", help=_HELP)
        here = "" if request.raw_path.endswith(b"/") else "ui/"
        if len(names) == 1:
            return _redirect(f"{here}{quote(names[0])}/", call)
        html = _list(names, here).encode()
        return HTTPResponse(200, html, b"text/html; charset=utf-8", [*call.headers, *page.HEADERS])

    async def file(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Give a page, or a file of it."""
        version = self._table.find(call.values[0])
        call.model, call.version = version.model, version.version
        name = call.values[1] if len(call.values) > 1 else INDEX
        found = version.page.get(name)
        if found is None:
            raise _no_file(version.model, name, list(version.page))
        slash = request.raw_path.endswith(b"/")
        if len(call.values) == 1 and not slash:
            return _redirect(f"{quote(version.model)}/", call)
        if len(call.values) > 1 and slash:
            raise _no_file(version.model, f"{name}/", [])
        headers = [*call.headers, *HEADERS, (b"ETag", found.tag)]
        if has(request.header(b"if-none-match"), found.tag):
            return HTTPResponse(304, headers=headers)
        return HTTPResponse(200, found.body, found.media, headers)


def has(given: bytes | None, tag: bytes) -> bool:
    """Whether an ``If-None-Match`` names a tag (RFC 9110, 13.1.2; compared weakly)."""
    if given is None:
        return False
    return given.strip() == b"*" or tag in (
        t.strip().removeprefix(b"W/") for t in given.split(b",")
    )


def model_page_doors(table: RouteTable, alive: Door) -> dict[str, Door]:
    """Return the doors of models' pages by name. ``alive``: what ``/`` answers otherwise."""
    doors = ModelPageDoors(table, alive)
    return {"kserve_alive": doors.root, "model_pages": doors.listed, "model_page": doors.file}


def _no_file(model: str, name: str, names: list[str]) -> NotFound:
    if not names and name == INDEX:
        return NotFound(f"model {model!r} has no page", help=_HELP)
    hint = nearest(name, names) if names else ""
    return NotFound(
        f"the page of model {model!r} has no file {name[:100]!r}",
        help=hint if hint.startswith("did") else None,
    )


def _redirect(place: str, call: Call, *more: tuple[bytes, bytes]) -> HTTPResponse:
    headers = [*call.headers, (b"Location", place.encode()), (b"Cache-Control", b"no-cache"), *more]
    return HTTPResponse(302, b"", b"", headers)


def _list(names: list[str], here: str) -> str:
    items = "".join(f'<li><a href="{here}{quote(n)}/">{escape(n)}</a></li>' for n in names)
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8><title>Pages</title>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        f"<style>{page.STYLE}</style></head><body><h1>Pages</h1><ul>{items}</ul></body></html>"
    )
