"""Who may talk to the control plane from a browser.

A page on any site can make a browser send requests to a loopback address, and by DNS rebinding
even read the answers: the browser then sends the page's own host name. So only known names are
answered, and a request that changes something must not come from a page of another origin.

Source: the Fetch Metadata specification (Sec-Fetch-Site); RFC 9110, section 7.2 (Host).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from inferd.core.errors import NotAllowed
from inferd.transport.message import HTTPRequest

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Hosts:
    """Checks Host and origin. ``names``: allowed besides loopback; ``*`` allows any."""

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self._any = "*" in names
        self._names = frozenset(name.lower() for name in (*LOOPBACK, *names))

    def check(self, request: HTTPRequest) -> None:
        """Raise ``NotAllowed`` for a host that is not ours, or a change asked by another site."""
        host = (request.header(b"host") or b"").decode("latin-1").lower()
        if not self._any and host_name(host) not in self._names:
            raise NotAllowed(
                f"this server does not answer to the host {host[:80]!r}",
                help="call it as localhost, or name the host in its settings",
            )
        if request.method not in SAFE_METHODS:
            self._check_origin(request, host)

    def _check_origin(self, request: HTTPRequest, host: str) -> None:
        site = request.header(b"sec-fetch-site")
        if site is not None and site not in (b"same-origin", b"none"):
            raise NotAllowed("this request comes from another site")
        origin = request.header(b"origin")
        if origin is not None and _netloc(origin.decode("latin-1")) != host:
            raise NotAllowed("this request comes from another origin")


def host_name(host: str) -> str:
    """Return a Host header without its port (an IPv6 address keeps its brackets)."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
