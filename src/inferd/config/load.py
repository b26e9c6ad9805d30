"""Settings from the three places they may be given in, the later ones first: file, environment, flags.

Nothing given is ignored: a key, a variable ``INFERD_*`` or a value that means nothing is an error
that names its place and the nearest allowed name. What is given in a file is checked even where a
flag overrides it. A setting that is a flag only is refused elsewhere: the settings file is read from
the working directory, which may be somebody else's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from inferd.config.reference import is_loopback, parse
from inferd.config.settings import GROUPS, PREFIX, REFERENCE, Row, Settings
from inferd.config.sources import Section, load_yaml
from inferd.core.errors import ConfigError, nearest

DEFAULT_FILE = "inferd.yaml"
FILE_VARIABLE = "INFERD_CONFIG"


class Told(NamedTuple):
    """What an environment says of a setting: its text, and the variable that holds it."""

    text: str
    variable: str


class Profile(NamedTuple):
    """Another kind of environment, heeded where the setting ``key`` is true.

    ``defaults``: values by key that stand in for the usual defaults, below file, environment and
    flags. ``read``: what the variables of that environment say, by key; they rank below ``INFERD_*``
    and above the file.
    """

    key: str
    defaults: Mapping[str, Any]
    read: Callable[[Mapping[str, str]], Mapping[str, Told]]


def load_settings(
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    limits: Iterable[Row] = (),
    profile: Profile | None = None,
) -> Settings:
    """Return the settings of a server.

    Args:
        file: the settings file; without it ``INFERD_CONFIG``, then ``inferd.yaml`` where it exists.
        environ: the environment, ``os.environ`` by default.
        flags: values given on the command line, by key (``server.port``), unparsed.
        limits: the rows of the transport's limits (keys ``limits.NAME``).
        profile: another kind of environment that may be asked for.

    Raises:
        ConfigError: naming file and line, variable or flag.
    """
    environ = os.environ if environ is None else environ
    rows = {row.key: row for row in (*REFERENCE, *limits)}
    path = _file(file, environ)
    below = _from_file(load_yaml(path), rows, path.parent) if path is not None else {}
    above = _from_environment(environ, rows) | _from_flags(flags or {}, rows)
    values = below | above
    if profile is not None and values.get(profile.key):
        beside = _from_profile(profile.read(environ), rows)
        values = {**profile.defaults, **below, **beside, **above}
    settings = _build(values, path)
    check(settings)
    return settings


def _file(given: Path | None, environ: Mapping[str, str]) -> Path | None:
    if given is not None:
        return given
    if environ.get(FILE_VARIABLE):
        return Path(environ[FILE_VARIABLE])
    default = Path(DEFAULT_FILE)
    return default if default.is_file() else None


def _from_file(section: Section, rows: Mapping[str, Row], base: Path) -> dict[str, Any]:
    groups = sorted({key.partition(".")[0] for key in rows})
    section.only(*groups)
    found: dict[str, Any] = {}
    for group, value in section.items():
        if group in rows:
            found[group] = _parsed(section, group, rows[group], value, base)
            continue
        if value is None:
            continue
        if not isinstance(value, Section):
            raise section.error(group, "must be a mapping of keys to values")
        prefix = f"{group}."
        value.only(*sorted(key.removeprefix(prefix) for key in rows if key.startswith(prefix)))
        for name, raw in value.items():
            found[prefix + name] = _parsed(value, name, rows[prefix + name], raw, base)
    return found


def _parsed(section: Section, key: str, row: Row, value: Any, base: Path) -> Any:
    if row.flag_only:
        raise section.error(key, _FLAG_ONLY, help=_as_flag(row))
    try:
        return parse(row, value, base)
    except ValueError as error:
        raise section.error(key, str(error), help=row.doc) from None


_FLAG_ONLY = "is given on the command line only, by whoever starts the server"


def _as_flag(row: Row) -> str:
    return f"remove it here and start with `{row.flag} ...`"


def _from_environment(environ: Mapping[str, str], rows: Mapping[str, Row]) -> dict[str, Any]:
    known = {row.env: row for row in rows.values()}
    found: dict[str, Any] = {}
    for name, text in environ.items():
        if not text or not name.startswith(PREFIX) or name == FILE_VARIABLE:
            continue
        if _kubernetes(name, text):
            continue
        row = known.get(name)
        if row is None:
            hint = nearest(name, [*known, FILE_VARIABLE])
            raise ConfigError(f"environment: {name} is no setting", help=hint)
        if row.flag_only:
            raise ConfigError(f"environment: {name}: {_FLAG_ONLY}", help=_as_flag(row))
        try:
            found[row.key] = parse(row, text)
        except ValueError as error:
            raise ConfigError(f"environment: {name}: {error}", help=row.doc) from None
    return found


def _from_profile(told: Mapping[str, Told], rows: Mapping[str, Row]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, (text, variable) in told.items():
        try:
            found[key] = parse(rows[key], text)
        except ValueError as error:
            raise ConfigError(f"environment: {variable}: {error}", help=rows[key].doc) from None
    return found


def _kubernetes(name: str, text: str) -> bool:
    # A Kubernetes Service called "inferd" puts INFERD_PORT=tcp://10.0.0.1:8000 and its like into
    # the environment of every pod of its namespace.
    return (
        name.startswith((f"{PREFIX}SERVICE_", f"{PREFIX}PORT_"))
        or (name == f"{PREFIX}PORT" and "://" in text)
    )  # fmt: skip


def _from_flags(flags: Mapping[str, Any], rows: Mapping[str, Row]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in flags.items():
        row = rows.get(key)
        if row is None:
            raise ConfigError(f"{key!r} is no setting", help=nearest(key, rows))
        try:
            found[key] = parse(row, value)
        except ValueError as error:
            raise ConfigError(f"{row.flag or key}: {error}", help=row.doc) from None
    return found


def _build(values: Mapping[str, Any], file: Path | None) -> Settings:
    groups: dict[str, dict[str, Any]] = {name: {} for name in (*GROUPS, "limits")}
    for key, value in values.items():
        group, _, name = key.partition(".")
        if name:
            groups[group][name] = value
    limits = groups.pop("limits")
    built = {name: GROUPS[name](**given) for name, given in groups.items()}
    return Settings(**built, limits=limits, models=values.get("models", ()), file=file)


def check(settings: Settings) -> None:
    """Refuse settings that contradict each other. Raises ``ConfigError``."""
    server = settings.server
    if (server.tls_cert is None) != (server.tls_key is None):
        given, missing = (
            ("--tls-cert", "--tls-key") if server.tls_cert else ("--tls-key", "--tls-cert")
        )
        raise ConfigError(f"{given} is given without {missing}", help=f"add {missing} FILE.pem")
    ports = {
        "the data plane": server.port,
        "the control plane": server.admin_port,
        "gRPC": server.grpc_port,
    }
    taken: dict[int, str] = {}
    for whom, port in ports.items():
        if port and port in taken:
            raise ConfigError(f"port {port} is given to {taken[port]} and to {whom}")
        if port:
            taken[port] = whom
    if server.stop_timeout < server.drain_delay:
        raise ConfigError(
            f"stop_timeout ({server.stop_timeout:g} s) is shorter than drain_delay"
            f" ({server.drain_delay:g} s): nothing would be drained"
        )
    for flag, host in (("--host", server.host), ("--admin-host", server.admin_host)):
        if not is_loopback(host) and not server.allow_anonymous:
            raise ConfigError(
                f"{flag} {host} can be reached from other machines, and no authentication is configured",
                help="listen on 127.0.0.1, or say --allow-anonymous to let everybody call",
            )


def state_directory(settings: Settings, environ: Mapping[str, str] | None = None) -> Path:
    """Return where state is kept: as set, else ``inferd`` in the user's state home."""
    if settings.server.state_dir is not None:
        return settings.server.state_dir
    environ = os.environ if environ is None else environ
    home = environ.get("XDG_STATE_HOME", "")
    # The XDG specification has relative values ignored.
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state"
    return base / "inferd"
