"""Which route a request means: exact paths by dictionary, templates by segment.

The path is taken as sent and cut at ``/`` before each segment is percent-decoded, so an encoded
slash stays inside its segment. One trailing slash is ignored; an empty segment matches nothing.
The case of letters counts, but for the fixed parts of paths that begin as ``FOLDED`` says.
What is authorised is the route found here, never the text of the path, so two spellings of one
route cannot have two policies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from inferd.api.routes import FOLDED, PERMISSIONS, Route
from inferd.core.errors import ConfigError

T = TypeVar("T")

_REMEMBERED = 1024
_SHORT = 256  # bytes; longer paths are searched each time
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class Resource(Generic[T]):
    """One path template: what each method leads to, and the names of its free segments."""

    __slots__ = ("allow", "folded", "methods", "names", "segments")

    def __init__(self, template: str) -> None:
        self.segments = tuple(template.strip("/").split("/")) if template != "/" else ()
        self.names = tuple(s[1 : s.index("}")] for s in self.segments if s.startswith("{"))
        self.folded = template.startswith(FOLDED)
        self.methods: dict[str, T] = {}
        self.allow = b""

    def add(self, method: str, target: T) -> None:
        """Lead ``method`` (and HEAD, for GET) to ``target``."""
        self.methods[method] = target
        if method == "GET":
            self.methods["HEAD"] = target
        found = [m for m in _METHODS if m in self.methods]
        self.allow = ", ".join([*found, "OPTIONS"]).encode()


Match = tuple[Resource[T], tuple[str, ...]]


class Router(Generic[T]):
    """Finds the resource of a path."""

    def __init__(self) -> None:
        self._resources: dict[str, Resource[T]] = {}
        self._exact: dict[bytes, Match[T]] = {}
        self._templates: dict[int, list[Resource[T]]] = {}
        self._found: dict[bytes, Match[T]] = {}

    def add(self, method: str, template: str, target: T) -> None:
        """Add one route."""
        resource = self._resources.get(template)
        if resource is None:
            resource = self._resources[template] = Resource(template)
            if resource.names:
                found = self._templates.setdefault(len(resource.segments), [])
                found.append(resource)
                # `{name}:predict` says more than `{name}`, which would take all of the segment.
                found.sort(key=lambda r: not any(":" in s for s in r.segments))
            else:
                self._exact[template.encode()] = (resource, ())
        if method in resource.methods:
            raise ConfigError(f"the route {method} {template} is declared twice. This is a bug.")
        resource.add(method, target)

    def find(self, raw_path: bytes) -> Match[T] | None:
        """Return the resource of a path as sent, and the values of its free segments."""
        known = self._exact.get(raw_path) or self._found.get(raw_path)
        if known is not None:
            return known
        found = self._search(raw_path)
        if found is not None and len(raw_path) <= _SHORT:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[raw_path] = found
        return found

    def _search(self, raw_path: bytes) -> Match[T] | None:
        segments = _segments(raw_path)
        if segments is None:
            return None
        if b"%" in raw_path or raw_path.endswith(b"/"):
            found = self._exact.get(b"/" + "/".join(segments).encode())
            if found is not None and not any("/" in segment for segment in segments):
                return found
        for resource in self._templates.get(len(segments), ()):
            values = _fit(resource.segments, segments, folded=resource.folded)
            if values is not None:
                return resource, values
        lower = "/" + "/".join(segments).lower()
        if lower.startswith(FOLDED) and not any("/" in segment for segment in segments):
            return self._exact.get(lower.encode())
        return None

    def templates(self) -> list[str]:
        """Return every path template."""
        return list(self._resources)


def _segments(raw_path: bytes) -> list[str] | None:
    if raw_path[:1] != b"/":
        return None
    path = raw_path[1:-1] if len(raw_path) > 1 and raw_path.endswith(b"/") else raw_path[1:]
    if not path:
        return [] if raw_path == b"/" else None
    try:
        segments = [unquote_to_bytes(part).decode() for part in path.split(b"/")]
    except UnicodeDecodeError:
        return None
    return segments if all(segments) else None


def _fit(
    template: tuple[str, ...], segments: list[str], *, folded: bool = False
) -> tuple[str, ...] | None:
    values: list[str] = []
    for part, segment in zip(template, segments, strict=True):
        if part.startswith("{"):
            verb = part[part.index("}") + 1 :]
            end = len(segment) - len(verb)
            said = segment[end:].lower() if folded else segment[end:]
            if end <= 0 or said != verb:
                return None
            values.append(segment[:end])
        elif part != (segment.lower() if folded else segment):
            return None
    return tuple(values)


def check_routes(routes: Iterable[Route], doors: Mapping[str, object]) -> None:
    """Refuse a table with a route that has no known permission or no handler."""
    for route in routes:
        if route.permission not in PERMISSIONS:
            raise ConfigError(
                f"the route {route.method} {route.template} declares no known permission. "
                "This is a bug."
            )
        if route.door not in doors:
            raise ConfigError(f"the route {route.template} has no handler. This is a bug.")
