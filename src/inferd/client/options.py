"""What a client is told when it is made, checked then: address, time, repeats, identity, TLS."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict
from urllib.parse import urlsplit

from inferd import __version__
from inferd.config.units import duration
from inferd.core.errors import InvalidInput, nearest

CODINGS = ("gzip",)
PRIORITIES = ("high", "normal")


class ClientOptions(TypedDict, total=False):
    """The keyword arguments of ``Client`` and ``AsyncClient``; see ``Options``."""

    timeout: float | str | None
    retries: int
    headers: Mapping[str, str]
    api_key: str | None
    verify: bool | ssl.SSLContext
    ca: str | os.PathLike[str] | None
    cert: str | tuple[str, str] | None
    binary: bool | None
    compression: str | None
    timings: bool
    connections: int


@dataclass(frozen=True, slots=True)
class Options:
    """A client's settings.

    Attributes:
        url: the server's address, ``http://127.0.0.1:8000``; a path in it leads every request.
        timeout: seconds, or a text such as ``500ms``, that bound a call with all its repeats;
            ``None`` waits as long as it takes.
        retries: how often one call is repeated at most.
        headers: sent with every request.
        api_key: sent as ``Authorization: Bearer``.
        verify: ``False`` trusts any certificate; a context of one's own may be given.
        ca: a PEM file of certificates to trust instead of the system's.
        cert: the client's own certificate: a PEM file, or (certificate, key).
        binary: tensors as bytes or as JSON; ``None`` asks the server what it takes.
        compression: ``gzip`` compresses requests and asks for compressed answers.
        timings: ask for ``Server-Timing``, read into ``Result.timings``.
        connections: how many connections are held open at most.
    """

    url: str
    timeout: float | str | None = 30.0
    retries: int = 2
    headers: Mapping[str, str] = field(default_factory=dict)
    api_key: str | None = field(default=None, repr=False)
    verify: bool | ssl.SSLContext = True
    ca: str | os.PathLike[str] | None = None
    cert: str | tuple[str, str] | None = None
    binary: bool | None = None
    compression: str | None = None
    timings: bool = False
    connections: int = 64

    def __post_init__(self) -> None:
        """Check what can be wrong; raises ``InvalidInput``."""
        base_of(self.url)
        seconds_of(self.timeout)
        if self.compression is not None and self.compression not in CODINGS:
            help = nearest(self.compression, CODINGS)
            raise InvalidInput(f"unknown compression {self.compression!r}", help=help)
        if self.retries < 0 or self.connections < 1:
            raise InvalidInput("retries must be 0 or more, connections 1 or more")

    @property
    def seconds(self) -> float:
        """The time of a call that names none."""
        return seconds_of(self.timeout)


def base_of(url: str) -> str:
    """Return a server's address without a slash at its end; raises ``InvalidInput``."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise InvalidInput(f"{url!r} is not a URL: {error}") from None
    help = "for example http://127.0.0.1:8000"
    if parts.scheme not in ("http", "https"):
        raise InvalidInput(f"{url!r} does not begin with http:// or https://", help=help)
    if not parts.hostname:
        raise InvalidInput(f"{url!r} names no host", help=help)
    return parts._replace(path=parts.path.rstrip("/"), query="", fragment="").geturl()


def seconds_of(timeout: float | str | None) -> float:
    """Return a timeout in seconds, infinite for ``None``; raises ``InvalidInput``."""
    if timeout is None or timeout == float("inf"):
        return float("inf")
    try:
        seconds = duration(timeout)
    except ValueError as error:
        raise InvalidInput(f"timeout: {error}") from None
    if seconds <= 0:
        raise InvalidInput("timeout must be more than 0")
    return seconds


def is_here(url: str) -> bool:
    """Return whether an address is on this machine, where no proxy could lead."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def lasting_headers(options: Options) -> dict[str, str]:
    """Return the headers of every request."""
    headers = {
        "User-Agent": f"inferd-client/{__version__}",
        "Accept-Encoding": options.compression or "identity",
        **options.headers,
    }
    if options.api_key is not None:
        headers["Authorization"] = f"Bearer {options.api_key}"
    if options.timings:
        headers["X-Server-Timing"] = "1"
    return headers


def proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for an address; none leads to this machine."""
    if is_here(url) or not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass

    parts, proxies = urlsplit(url), getproxies()
    if proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")


def tls_context(options: Options) -> ssl.SSLContext:
    """Return what to verify a server with; raises ``InvalidInput`` for files that cannot be read.

    The system's certificates are read only where they are needed, which takes milliseconds.
    """
    if isinstance(options.verify, ssl.SSLContext):
        return options.verify
    if not options.url.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context = ssl.create_default_context(cafile=options.ca)
        if isinstance(options.cert, tuple):
            context.load_cert_chain(*options.cert)
        elif options.cert is not None:
            context.load_cert_chain(options.cert)
    except OSError as error:
        reason = error.strerror or error
        given = " and ".join(map(str, filter(None, (options.ca, options.cert))))
        raise InvalidInput(f"certificates ({given}) cannot be read: {reason}") from None
    if not options.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
