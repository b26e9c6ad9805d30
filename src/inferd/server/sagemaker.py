"""The environment of a SageMaker container: which variables mean what, as data.

Most variables are settings under another name: they rank as ``INFERD_*`` does (which win where both are
given), above the settings file and below flags. The others are read into a ``Container``. Variables
that are not in the table are the platform's or the toolkits' own affair, and are left alone.

What a container is beside its variables: port 8080 of all addresses, open to everybody (the platform
is the only one who gets there), the control plane on loopback only and gRPC off, models in
``/opt/ml/model``, the answer to a request within a minute, and an end within the 30 seconds that the
platform leaves between SIGTERM and SIGKILL.

Sources: SageMaker developer guide, "Custom inference code with hosting services"; the documentation of
sagemaker-inference-toolkit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inferd.config.load import Profile, Told
from inferd.config.units import duration
from inferd.core.errors import ConfigError
from inferd.repository.spec import ModelSpec
from inferd.repository.store import PROGRAM, SCRIPT

ARGUMENT = "serve"
"""What the platform starts a container with."""

TRUE = ("true", "1", "yes", "on")
_LEVELS = {"10": "debug", "20": "info", "30": "warning", "40": "error", "50": "error"}
_MEDIA = re.compile(r"[\w.+-]+/[\w.+*-]+", re.ASCII)
_RANGE = re.compile(r"\s*(\d{1,5})\s*-\s*(\d{1,5})\s*")

DEFAULTS: dict[str, Any] = {
    "server.host": "0.0.0.0",  # noqa: S104 - the platform alone reaches a container
    "server.port": 8080,
    "server.grpc_port": None,
    "server.allow_anonymous": True,
    "requests.timeout": 60.0,
}
"""Settings of a container for which nothing is said."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable: what it means, and the settings it stands for (none: part of ``Container``).

    ``says`` turns its text into those of the settings, in their order; raises ``ValueError``.
    """

    name: str
    doc: str
    default: str = "-"
    keys: tuple[str, ...] = ()
    says: Callable[[str], Sequence[str]] = lambda text: (text,)


def _level(text: str) -> Sequence[str]:
    word = text.strip().lower()
    return ({**_LEVELS, "critical": "error", "warn": "warning"}.get(word, word),)


def _mebibytes(text: str) -> Sequence[str]:
    return (f"{int(text)}MiB",) * 2


def _ports(text: str) -> Sequence[str]:
    found = _RANGE.fullmatch(text)
    if found is None or not int(found[1]) < int(found[2]) <= 65535:
        raise ValueError(f"{text!r} is no range of at least two ports, such as 9000-9999")
    low = int(found[1])
    return str(low), str(low + 1)


_TIMEOUT = "Seconds within which a request is answered"

VARIABLES: tuple[Variable, ...] = (
    Variable("SAGEMAKER_BIND_TO_PORT", "Port of `/ping`, `/invocations` and all else", "8080",
             ("server.port",)),
    Variable("SAGEMAKER_SAFE_PORT_RANGE", "Ports that may be used beside it: the control plane takes"
             " the first, metrics alone (where asked for) the second", "8002, 8003",
             ("server.admin_port", "server.metrics_port"), _ports),
    Variable("SAGEMAKER_MODEL_SERVER_WORKERS", "Worker processes of each model", "by measurement",
             ("workers.instances",)),
    Variable("SAGEMAKER_MODEL_SERVER_TIMEOUT", _TIMEOUT, "60", ("requests.timeout",)),
    Variable("SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", f"{_TIMEOUT}; wins over the one without a unit",
             "60", ("requests.timeout",)),
    Variable("SAGEMAKER_MAX_PAYLOAD_IN_MB", "MiB that a body may have, of whatever type",
             "8 of JSON and texts, 64 of others",
             ("limits.json_body_bytes", "limits.binary_body_bytes"), _mebibytes),
    Variable("SAGEMAKER_CONTAINER_LOG_LEVEL", "Least level that is logged: a name, or Python's number",
             "20", ("log.level",), _level),
    Variable("SAGEMAKER_BASE_DIR", "Models lie below it: in `model`, or in `models` where there are"
             " several", "/opt/ml"),
    Variable("SAGEMAKER_MULTI_MODEL", "`true`: begin without a model, and load what the platform says"
             " (the routes below `/models`)", "false"),
    Variable("SAGEMAKER_PROGRAM", "The script in the model's `code` directory", PROGRAM),
    Variable("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "Type of the answer for which none is asked",
             "application/json"),
    Variable("SAGEMAKER_INFERD_DEFAULT_MODEL_NAME", "The model that `/invocations` asks where several"
             " are served"),
    Variable("SAGEMAKER_STARTUP_TIMEOUT", "Seconds that a model may take to load, where its"
             " `model.yaml` does not say", "120"),
    Variable("SAGEMAKER_ENABLE_STATEFUL_SESSIONS", "Not offered: `true` ends the start with an error",
             "false"),
)  # fmt: skip
"""Every variable that is heeded."""


def settings_told(environ: Mapping[str, str]) -> dict[str, Told]:
    """Return what the variables say of settings; raises ``ConfigError`` naming the variable."""
    found: dict[str, Told] = {}
    for variable in VARIABLES:
        text = environ.get(variable.name, "").strip()
        if not text or not variable.keys:
            continue
        try:
            texts = variable.says(text)
        except ValueError as error:
            raise ConfigError(f"environment: {variable.name}: {error}", help=variable.doc) from None
        found.update((k, Told(t, variable.name)) for k, t in zip(variable.keys, texts, strict=True))
    return found


PROFILE = Profile("server.sagemaker", DEFAULTS, settings_told)


@dataclass(frozen=True, slots=True)
class Container:
    """What the environment says beside settings.

    ``base``: what models lie below. ``accept``: type of the answer for which none is asked.
    ``model``: whom ``/invocations`` asks. ``several``: models are loaded when the platform says so.
    ``startup``: seconds that a model may take to load.
    """

    base: Path = Path("/opt/ml")
    accept: str = "application/json"
    model: str | None = None
    several: bool = False
    program: str = PROGRAM
    startup: float | None = None

    def paths(self, given: Sequence[str]) -> list[str]:
        """Return what to serve at the start: what is ``given``, else what lies where it should."""
        named = [path for path in given if path != ARGUMENT or Path(path).exists()]
        if named or self.several:
            return named
        return [str(self.base / "model")]

    @property
    def models(self) -> Path:
        """The directory that the platform's paths must lie below."""
        return self.base / "models"

    def adapted(self, spec: ModelSpec, timeout: float) -> ModelSpec:
        """Return a spec with the container's times where ``model.yaml`` does not say.

        ``timeout``: seconds within which a request is answered.
        """
        said = spec.options.get("places") or {}
        if self.startup is not None and "load_timeout" not in said:
            spec = replace(spec, load_timeout=self.startup)
        if spec.runtime == SCRIPT and "run_timeout" not in said:
            spec = replace(spec, run_timeout=timeout)
        return spec


def read_container(environ: Mapping[str, str]) -> Container:
    """Return what the variables say beside settings; raises ``ConfigError`` naming the variable."""

    def told(name: str, default: str = "") -> str:
        return environ.get(name, "").strip() or default

    if told("SAGEMAKER_ENABLE_STATEFUL_SESSIONS").lower() in TRUE:
        raise ConfigError(
            "environment: SAGEMAKER_ENABLE_STATEFUL_SESSIONS: stateful sessions are not offered",
            help="unset it",
        )
    accept = told("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "application/json")
    if not _MEDIA.fullmatch(accept):
        raise _wrong("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", accept, "a content type")
    program = told("SAGEMAKER_PROGRAM", PROGRAM)
    if Path(program).name != program or not program.endswith(".py"):
        raise _wrong("SAGEMAKER_PROGRAM", program, "the name of a Python file in `code`")
    startup = told("SAGEMAKER_STARTUP_TIMEOUT")
    try:
        seconds = duration(startup) if startup else None
    except ValueError:
        raise _wrong("SAGEMAKER_STARTUP_TIMEOUT", startup, "a number of seconds") from None
    return Container(
        Path(told("SAGEMAKER_BASE_DIR", "/opt/ml")),
        accept,
        told("SAGEMAKER_INFERD_DEFAULT_MODEL_NAME") or None,
        told("SAGEMAKER_MULTI_MODEL").lower() in TRUE,
        program,
        seconds,
    )


def _wrong(name: str, value: str, wanted: str) -> ConfigError:
    return ConfigError(f"environment: {name}: {value!r} is not {wanted}")


def markdown() -> str:
    """Return the table of variables as Markdown; ``docs/sagemaker.md`` holds exactly this text."""
    lines = ["| variable | setting | default | meaning |", "|---|---|---|---|"]
    for v in VARIABLES:
        keys = ", ".join(f"`{key}`" for key in v.keys) or "-"
        lines.append(f"| `{v.name}` | {keys} | {v.default} | {v.doc} |")
    return "\n".join(lines) + "\n"
