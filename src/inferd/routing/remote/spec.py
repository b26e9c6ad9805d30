"""The deployment file: which models other servers serve, and where. Parsed, not acted on.

::

    services:
      asr:
        url: [http://h1:8000, http://h2:8000]   # or one; https, grpc and grpcs as well
        model: speech                           # its name over there; the same by default
        version: 2                              # the latest by default
        timeout: 5s                             # for one request, within its own deadline
        retries: 2
        connections: 64                         # to each replica
        tls: {ca: ca.pem, cert: me.pem, key: me.key}
        headers: {Authorization: Bearer abc}
      chat:
        protocol: openai                        # an engine: vLLM, llama.cpp, Ollama
        url: http://h3:8000/v1
        task: generate                          # or embed
        key: ${ENGINE_KEY}                      # or key_file: PATH

Names are those under which pipelines and clients know the models.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from inferd.config.secret import Secret
from inferd.config.sources import Section, load_yaml
from inferd.config.units import duration
from inferd.repository.layout import legal
from inferd.routing.remote.key import read_key

HTTP, GRPC, OPENAI = PROTOCOLS = "http", "grpc", "openai"
SCHEMES: dict[str, tuple[str, bool]] = {
    "http": (HTTP, False), "https": (HTTP, True), "grpc": (GRPC, False), "grpcs": (GRPC, True),
}  # fmt: skip
PORTS = {"http": 80, "https": 443}
KEYS = (
    "url", "protocol", "model", "version", "task", "timeout", "retries", "connections", "refresh", "tls",
    "headers", "key", "key_file",
)  # fmt: skip
GENERATE, EMBED = TASKS = "generate", "embed"
AUTHORIZATION = "Authorization"
MOST_REPLICAS = 256
RETRIES = 2
CONNECTIONS = 64
REFRESH = 5.0
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_VALUE = re.compile(r"[\t\x20-\x7e]{0,4096}")
_OURS = frozenset(
    ("host", "connection", "content-length", "content-type", "transfer-encoding", "expect", "te",
     "upgrade", "trailer", "inference-header-content-length")
)  # fmt: skip

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address as written: ``host`` may be a name of several replicas; ``path`` leads it all."""

    host: str
    port: int
    secure: bool = False
    path: str = ""

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class TLSFiles:
    """Files of a secure connection: authorities trusted, and what this side shows of itself."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One service.

    ``model``: its name at the other side; an engine's may be left empty, to be asked for. ``task``: what an
    engine is asked to do. ``refresh``: seconds between looks at DNS.
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    protocol: str = HTTP
    model: str = ""
    version: str | None = None
    timeout: float | None = None
    retries: int = RETRIES
    connections: int = CONNECTIONS
    refresh: float = REFRESH
    tls: TLSFiles = field(default_factory=TLSFiles)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    where: str = ""
    key: Secret | None = None
    task: str = GENERATE

    @property
    def sent(self) -> tuple[tuple[str, str], ...]:
        """The headers of every request, the key's among them."""
        if self.key is None:
            return self.headers
        return (*self.headers, (AUTHORIZATION, f"Bearer {self.key.value}"))


def read_deployment(path: Path) -> dict[str, ServiceSpec]:
    """Return the services of a deployment file by name; raises ``ConfigError`` with file and line."""
    section = load_yaml(path).only("services")
    services = section.get("services")
    if not isinstance(services, Section) or not services:
        raise section.error(
            "services", "must be a mapping of models to where they are served",
            help="services: {NAME: {url: http://host:8000}}",
        )  # fmt: skip
    return {name: _service(services, name, path.parent) for name in services}


def _service(services: Section, name: str, folder: Path) -> ServiceSpec:
    legal(name, services.where(name))
    row = services[name]
    if not isinstance(row, Section):
        raise services.error(name, "must be a mapping", help="{url: http://host:8000}")
    row.only(*KEYS)
    endpoints, protocol = _endpoints(row)
    _fitting(row, protocol)
    headers, key = _headers(row), read_key(row, folder)
    if key is not None and any(name.lower() == AUTHORIZATION.lower() for name, _ in headers):
        raise row.error("headers", f"sets {AUTHORIZATION}, which the key is sent as")
    return ServiceSpec(
        name,
        endpoints,
        protocol,
        _read(row, "model", "" if protocol == OPENAI else name, _text),
        _read(row, "version", None, _version),
        _read(row, "timeout", None, _seconds),
        _read(row, "retries", RETRIES, lambda v: _count(v, 0, 10)),
        _read(row, "connections", CONNECTIONS, lambda v: _count(v, 1, 4096)),
        _read(row, "refresh", REFRESH, _seconds),
        _tls(row, folder, secure=any(e.secure for e in endpoints)),
        headers,
        services.where(name),
        key,
        _read(row, "task", GENERATE, _task),
    )


def _fitting(row: Section, protocol: str) -> None:
    """Refuse what says nothing in the protocol of a service."""
    if protocol == OPENAI and row.get("version") is not None:
        raise row.error("version", "engines have no versions", help="name it by model")
    if protocol != OPENAI and row.get("task") is not None:
        raise row.error("task", "is said by the other side", help=f"it is for protocol: {OPENAI}")


def _read(row: Section, key: str, default: T, read: Callable[[Any], T]) -> T:
    if row.get(key) is None:
        return default
    try:
        return read(row[key])
    except ValueError as error:
        raise row.error(key, str(error)) from None


def _endpoints(row: Section) -> tuple[tuple[Endpoint, ...], str]:
    given = row.get("url")
    urls = given if isinstance(given, list) else [given]
    if given is None or not urls:
        raise row.error("url", "is missing", help="url: http://host:8000, or a list of these")
    if len(urls) > MOST_REPLICAS:
        raise row.error("url", f"{len(urls)} addresses; at most {MOST_REPLICAS}")
    wanted = row.get("protocol")
    if wanted not in (None, *PROTOCOLS):
        raise row.error("protocol", f"{wanted!r} is not known", help=", ".join(PROTOCOLS))
    found: dict[Endpoint, str] = {}
    for index, url in enumerate(urls):
        key = f"url[{index}]" if isinstance(given, list) else "url"
        try:
            endpoint, protocol = parse_url(url)
        except ValueError as error:
            raise row.error(key, str(error), help="for example http://host:8000") from None
        if endpoint in found:
            raise row.error(key, f"{url} is given twice")
        found[endpoint] = protocol
    protocols = set(found.values())
    if len(protocols) > 1:
        raise row.error("url", "http and grpc addresses are mixed", help="give all in one protocol")
    (protocol,) = protocols
    if wanted == OPENAI and protocol == HTTP:
        return tuple(found), OPENAI
    if wanted is not None and wanted != protocol:
        raise row.error("protocol", f"is {wanted}, and the addresses are of {protocol}")
    return tuple(found), protocol


def parse_url(url: object) -> tuple[Endpoint, str]:
    """Return an address and its protocol; raises ``ValueError``."""
    if not isinstance(url, str):
        raise ValueError(f"{url!r} is no URL")  # noqa: TRY004  # one type for the caller
    if not re.fullmatch(r"[!-~]+", url):
        raise ValueError(f"{url!r} has characters that no address has")
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"{url!r} does not begin with http://, https://, grpc:// or grpcs://")
    if parts.username is not None:  # not shown: it may be a password
        raise ValueError("holds a user; send it as headers: {Authorization: ...}")
    if not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} must be a host, a port and perhaps a path")
    if not re.fullmatch(r"[\w.:%-]+", parts.hostname, re.ASCII):
        raise ValueError(f"{parts.hostname!r} is no host name")
    protocol, secure = SCHEMES[parts.scheme]
    port = parts.port  # raises ValueError out of range
    if port is None:
        port = PORTS.get(parts.scheme)
    if not port:
        raise ValueError(f"{url!r} names no port")
    path = parts.path.rstrip("/")
    if not re.fullmatch(r"[!-~]*", path) or (path and protocol == GRPC):
        raise ValueError(f"{url!r} has a path that cannot be used")
    return Endpoint(parts.hostname, port, secure, path), protocol


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be a name, not {value!r}")
    return value.strip()


def _version(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not str(value).strip():
        raise ValueError(f"must be a version, not {value!r}")
    return str(value).strip()


def _task(value: Any) -> str:
    if value not in TASKS:
        raise ValueError(f"must be {' or '.join(TASKS)}, not {value!r}")
    return str(value)


def _seconds(value: Any) -> float:
    seconds = duration(value)
    if seconds < 0.001:
        raise ValueError(f"{value!r} is shorter than a millisecond")
    return seconds


def _count(value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"must be a whole number from {least} to {most}, not {value!r}")
    return value


def _tls(row: Section, folder: Path, *, secure: bool) -> TLSFiles:
    given = row.get("tls")
    if given is None:
        return TLSFiles()
    if not isinstance(given, Section):
        raise row.error("tls", "must be a mapping", help="{ca: ca.pem, cert: me.pem, key: me.key}")
    given.only("ca", "cert", "key")
    if not secure:
        raise row.error("tls", "no address is secure", help="write https:// or grpcs://")
    if "key" in given and "cert" not in given:
        raise given.error("key", "needs cert as well")
    files = {key: folder / _read(given, key, "", _text) for key in given}
    for key, file in files.items():
        if not file.is_file():
            raise given.error(key, f"there is no file {file}")
    return TLSFiles(**files)


def _headers(row: Section) -> tuple[tuple[str, str], ...]:
    given = row.get("headers")
    if given is None:
        return ()
    if not isinstance(given, Section):
        raise row.error("headers", "must be a mapping of names to values")
    for name, value in given.items():
        if not _HEADER.fullmatch(name) or name.lower() in _OURS:
            raise given.error(name, "is no header that can be set here")
        # Its value may be a secret: it is not shown.
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise given.error(name, "must be text of one line, in ASCII")
    return tuple((name, value.strip()) for name, value in given.items())
