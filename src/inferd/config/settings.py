"""The server's settings: frozen values in small groups, and the one table they come from.

Each field carries what there is to say about it (kind, flag, text) as a ``Row``; the loader, the
command line and ``docs/configuration.md`` all read these rows, so a setting is written down once.
The key of a setting is ``group.field``, its environment variable is made from its flag.

The limits of the transport are rows too, but the transport owns them: they are passed to the loader
and arrive in ``Settings.limits`` by name.
"""

# ruff: noqa: RUF009 - `_setting` is dataclasses.field with the row in its metadata

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

PREFIX = "INFERD_"


@dataclass(frozen=True, slots=True)
class Row:
    """One setting as data.

    ``kind`` names its parser in ``config.reference``; ``optional``: ``auto`` (or null) stands for
    ``None``; ``least`` and ``most`` bound numbers, in seconds, bytes or as they are; ``shown`` is
    the default as documents show it where that is not the value itself; ``flag_only``: whoever starts
    the server must say it, so neither a file nor a variable may.
    """

    key: str
    kind: str
    default: Any
    doc: str
    flag: str | None = None
    optional: bool = False
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    shown: str | None = None
    flag_only: bool = False

    @property
    def env(self) -> str:
        """The environment variable: the flag's name, or the key's, in capitals."""
        name = self.flag.lstrip("-") if self.flag else self.key
        return PREFIX + name.replace("-", "_").replace(".", "_").upper()


def _setting(default: Any, kind: str, doc: str, **more: Any) -> Any:
    return field(default=default, metadata={"kind": kind, "doc": doc, **more})


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server listens, and how it stops."""

    host: str = _setting(
        "127.0.0.1", "host", "Address of the data plane. Another than loopback needs"
        " `allow_anonymous` while no authentication is configured", flag="--host",
    )  # fmt: skip
    port: int = _setting(
        8000, "port", "Port of the data plane (HTTP/1.1); 0 takes a free one", flag="--port"
    )
    listen_fd: int | None = _setting(
        None, "count", "Descriptor of an inherited listening socket: the data plane takes it instead"
        " of `host` and `port`", flag="--listen-fd", optional=True, least=3, shown="none",
    )  # fmt: skip
    grpc_port: int | None = _setting(
        8001, "port", "Port of the data plane (gRPC) at `host`; 0 takes a free one, `off`: no gRPC",
        flag="--grpc-port", optional=True, shown="8001",
    )  # fmt: skip
    admin_host: str = _setting(
        "127.0.0.1", "host", "Address of the control plane; the same rule as for `host`",
        flag="--admin-host",
    )  # fmt: skip
    admin_port: int = _setting(
        8002, "port", "Port of the control plane; 0 takes a free one", flag="--admin-port"
    )
    metrics_host: str | None = _setting(
        None, "host", "Address of a listener that serves `/metrics` and nothing else",
        flag="--metrics-host", optional=True, shown="none",
    )  # fmt: skip
    metrics_port: int = _setting(
        8003, "port", "Port of the listener at `metrics_host`", flag="--metrics-port"
    )
    deployment: Path | None = _setting(
        None, "path", "File that says which models other servers serve, and where"
        " (docs/services.md)", flag="--deployment", optional=True, shown="none",
    )  # fmt: skip
    state_dir: Path | None = _setting(
        None, "path", "Directory for what outlives the server (measured costs); one server locks it",
        flag="--state-dir", optional=True, shown="$XDG_STATE_HOME/inferd",
    )  # fmt: skip
    tls_cert: Path | None = _setting(
        None, "path", "Certificate chain (PEM) of the data plane; needs `tls_key`",
        flag="--tls-cert", optional=True, shown="none",
    )  # fmt: skip
    tls_key: Path | None = _setting(
        None, "path", "Private key (PEM) of the data plane; needs `tls_cert`",
        flag="--tls-key", optional=True, shown="none",
    )  # fmt: skip
    cors_origins: tuple[str, ...] = _setting(
        (), "texts", "Origins whose pages may call the data plane; `*` for any",
        flag="--cors-origins", shown="none",
    )  # fmt: skip
    pages: bool = _setting(
        True, "bool", "Serve the pages that models bring, at `/ui/` of the data plane (docs/pages.md)",
        flag="--pages",
    )  # fmt: skip
    allow_anonymous: bool = _setting(
        False, "bool", "Listen beyond this machine although anybody could call",
        flag="--allow-anonymous",
    )  # fmt: skip
    drain_delay: float = _setting(
        1.0, "duration", "After SIGTERM, time during which new connections are still served",
        flag="--drain-delay", most=3600,
    )  # fmt: skip
    stop_timeout: float = _setting(
        25.0, "duration", "After SIGTERM, time after which what is still running is given up",
        flag="--stop-timeout", most=86400,
    )  # fmt: skip
    sagemaker: bool = _setting(
        False, "bool", "Be a SageMaker container: its port, environment and directories"
        " (docs/sagemaker.md)", flag="--sagemaker",
    )  # fmt: skip
    reload: bool = _setting(
        False, "bool", "While developing: reload a model when its files change", flag="--reload"
    )


@dataclass(frozen=True, slots=True)
class Requests:
    """What holds for every request."""

    timeout: float = _setting(
        30.0, "duration", "Deadline of a request that names none (`X-Request-Timeout`)",
        flag="--request-timeout", least=0.001, most=86400,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Queue:
    """How much may wait, for each model."""

    items: int = _setting(
        1024, "count", "Requests that may wait for one model; more are refused with 429",
        flag="--queue-items", least=1, most=1_000_000,
    )  # fmt: skip
    bytes: int = _setting(
        256 << 20, "size", "Bytes of inputs that may wait for one model", flag="--queue-bytes",
        least=1024,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class BatchDefaults:
    """How batches form, for models whose `model.yaml` does not say."""

    max_size: int | None = _setting(
        None, "count", "Most requests in one batch; `auto`: by the measured cost curve",
        flag="--max-batch-size", optional=True, least=1, most=65536,
    )  # fmt: skip
    max_delay: float = _setting(
        0.0, "duration", "Time an idle worker waits for a batch to grow; 0: it takes what is there",
        flag="--max-delay", most=10,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Workers:
    """Where models run, for models whose `model.yaml` does not say."""

    executor: str = _setting(
        "process", "choice", "`process`: supervised worker processes; `inline`: in the server itself",
        flag="--executor", choices=("process", "inline"),
    )  # fmt: skip
    instances: int | None = _setting(
        None, "count", "Worker processes for each model; `auto`: by measurement",
        flag="--instances", optional=True, least=1, most=256,
    )  # fmt: skip
    slots: int | None = _setting(
        None, "count", "Batches one worker runs at once, where the runtime can; `auto`: by measurement",
        flag="--slots", optional=True, least=1, most=64,
    )  # fmt: skip
    threads: int | None = _setting(
        None, "count", "Threads of one batch inside the runtime; `auto`: the cores that slots and"
        " instances leave", flag="--threads", optional=True, least=1, most=1024,
    )  # fmt: skip
    trust_pickle: tuple[str, ...] = _setting(
        (), "texts", "Models whose pickled files may be loaded, which runs code in the file",
        flag="--trust-pickle", shown="none", flag_only=True,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Logging:
    """What is said, and how."""

    level: str = _setting(
        "info", "choice", "Least level that is logged", flag="--log-level",
        choices=("debug", "info", "warning", "error"),
    )  # fmt: skip
    format: str = _setting(
        "auto", "choice", "`auto`: readable on a terminal, JSON elsewhere", flag="--log-format",
        choices=("auto", "json", "text"),
    )  # fmt: skip
    access: bool = _setting(True, "bool", "Log one line for each request", flag="--access-log")


@dataclass(frozen=True, slots=True)
class Tracing:
    """Whether requests are traced, and where their spans go."""

    exporter: str = _setting(
        "none", "choice", "Where spans go: `otlp` to a collector, `file`, `console` (standard error);"
        " `none`: contexts are only passed on (docs/tracing.md)", flag="--trace-exporter",
        choices=("none", "otlp", "console", "file"),
    )  # fmt: skip
    endpoint: str | None = _setting(
        None, "text", "The collector's URL, OTLP over HTTP", flag="--trace-endpoint", optional=True,
        shown="$OTEL_EXPORTER_OTLP_ENDPOINT",
    )  # fmt: skip
    file: Path | None = _setting(
        None, "path", "File of `exporter: file`; lines of OTLP's JSON are appended", flag="--trace-file",
        optional=True, shown="none",
    )  # fmt: skip
    sample: float | None = _setting(
        None, "share", "Share of the requests without a context that begin a trace, 0 to 1",
        flag="--trace-sample", optional=True, shown="$OTEL_TRACES_SAMPLER_ARG, else 1",
    )  # fmt: skip
    service_name: str | None = _setting(
        None, "text", "Name of this server in traces", flag="--trace-service-name", optional=True,
        shown="$OTEL_SERVICE_NAME, else inferd",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a server.

    ``limits`` holds the transport's limits that were set, by name. ``models``: the paths to serve
    where the command names none. ``file``: the settings file that was read.
    """

    server: Server = Server()
    requests: Requests = Requests()
    queue: Queue = Queue()
    batching: BatchDefaults = BatchDefaults()
    workers: Workers = Workers()
    log: Logging = Logging()
    tracing: Tracing = Tracing()
    limits: Mapping[str, Any] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    file: Path | None = None


GROUPS: dict[str, type[Any]] = {
    "server": Server,
    "requests": Requests,
    "queue": Queue,
    "batching": BatchDefaults,
    "workers": Workers,
    "log": Logging,
    "tracing": Tracing,
}

MODELS = Row(
    "models", "paths", (), "Paths to serve where the command names none, from the file's directory",
    shown="none",
)  # fmt: skip


def rows() -> tuple[Row, ...]:
    """Return every setting this package owns, in the order of the documents."""
    found = [MODELS]
    for group, cls in GROUPS.items():
        found.extend(
            Row(f"{group}.{entry.name}", default=entry.default, **entry.metadata)
            for entry in fields(cls)
        )
    return tuple(found)


REFERENCE: tuple[Row, ...] = rows()
