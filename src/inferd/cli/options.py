"""Flags made from the table of settings, and the settings made from the flags that were given.

The transport owns its limits, so they are joined to the table here, where both can be seen:
``limits.NAME`` in the file, ``INFERD_LIMITS_NAME``, ``--limit NAME=VALUE``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from inferd.config.load import Profile, load_settings
from inferd.config.reference import markdown, shown_default
from inferd.config.settings import REFERENCE, Row, Settings
from inferd.core.errors import ConfigError, nearest
from inferd.transport.limits import LIMITS

Command = Callable[..., Any]


def limit_rows() -> tuple[Row, ...]:
    """Return the transport's limits as rows of the settings table."""
    kinds = {"bytes": "size", "bytes/s": "size", "s": "duration"}
    return tuple(
        Row(
            f"limits.{row.name}", kinds.get(row.unit, "count"), row.default, _sentence(row.doc),
            least=0.001 if row.unit == "s" else 1,
        )
        for row in LIMITS
    )  # fmt: skip


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def settings_options(*keys: str) -> Callable[[Command], Command]:
    """Add ``--config`` and the flags of ``keys``; without any of every setting, and ``--limit``."""

    def add(command: Command) -> Command:
        if not keys:
            command = click.option(
                "--limit", "limits", multiple=True, metavar="NAME=VALUE",
                help="Set a limit of the transport (docs/transport.md); may be repeated.",
            )(command)  # fmt: skip
        for row in reversed(REFERENCE):
            if row.flag and (not keys or row.key in keys):
                command = _option(row)(command)
        return click.option(
            "--config", type=click.Path(path_type=Path), metavar="FILE",
            help="Settings file  [default: inferd.yaml where it exists]",
        )(command)  # fmt: skip

    return add


def _option(row: Row) -> Callable[[Command], Command]:
    assert row.flag is not None
    help = f"{row.doc.replace('`', '')}  [default: {shown_default(row)}]"
    name = row.key.replace(".", "__")
    if row.kind == "bool":
        both = f"{row.flag}/--no-{row.flag.removeprefix('--')}"
        return click.option(both, name, default=None, help=help)
    metavar = "|".join(row.choices) or row.kind.upper().removesuffix("S")
    return click.option(row.flag, name, multiple=row.kind == "texts", metavar=metavar, help=help)


def read_settings(given: Mapping[str, Any], profile: Profile | None = None) -> Settings:
    """Return the settings for what click gave: options by parameter name.

    ``profile``: another kind of environment that the settings may ask for.
    Raises ``ConfigError`` naming the flag, the variable or the file and line.
    """
    flags = {
        name.replace("__", "."): _joined(value)
        for name, value in given.items()
        if "__" in name and value is not None and value != ()
    }
    rows = limit_rows()
    names = {row.key.partition(".")[2] for row in rows}
    for text in given.get("limits", ()):
        name, equals, value = text.partition("=")
        if not equals or name not in names:
            hint = nearest(name, names)
            raise ConfigError(f"--limit {text}: must be NAME=VALUE of a known limit", help=hint)
        flags[f"limits.{name}"] = value
    return load_settings(file=given.get("config"), flags=flags, limits=rows, profile=profile)


def _joined(value: Any) -> Any:
    return (
        [part for item in value for part in item.split(",")] if isinstance(value, tuple) else value
    )


def settings_table() -> str:
    """Return the table of all settings, the transport's limits included, for the documents."""
    return markdown(limit_rows())
