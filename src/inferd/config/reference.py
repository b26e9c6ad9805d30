"""From what somebody wrote (YAML value, environment text, flag) to a setting's value; and the docs.

One parser per kind. A parser raises ``ValueError`` with a message that shows the value; who calls
knows the place and says it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from inferd.config.settings import REFERENCE, Row
from inferd.config.units import byte_size, duration, format_bytes, format_duration

_TRUE = frozenset(("true", "yes", "on", "1"))
_FALSE = frozenset(("false", "no", "off", "0"))
_NOTHING = frozenset(("auto", "none", "null", ""))
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?")


def parse(row: Row, value: object, base: Path | None = None) -> Any:
    """Return the setting's value. ``base`` is what relative paths start from.

    Raises ``ValueError`` for a value that is no such thing or out of bounds.
    """
    if row.optional and _is_nothing(row, value):
        return None
    parsed = _PARSERS[row.kind](row, value, base)
    if row.least is not None and parsed < row.least:
        raise ValueError(f"{value!r} is below the least, {_written(row, row.least)}")
    if row.most is not None and parsed > row.most:
        raise ValueError(f"{value!r} is over the most, {_written(row, row.most)}")
    return parsed


def _is_nothing(row: Row, value: object) -> bool:
    if value is None or (isinstance(value, str) and value.strip().lower() in _NOTHING):
        return True
    # YAML reads a bare `off` as false.
    return row.kind == "port" and str(value).strip().lower() in ("off", "false")


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address; an unknown name cannot be trusted."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _text(row: Row, value: object, base: Path | None) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")  # noqa: TRY004 - one type for the caller
    return value


def _host(row: Row, value: object, base: Path | None) -> str:
    text = _text(row, value, base).strip().removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if not _HOST.fullmatch(text):
            raise ValueError(f"{value!r} is not an address or a host name") from None
    return text


def _count(row: Row, value: object, base: Path | None) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", value.strip()):
        return int(value)
    raise ValueError(f"{value!r} is not a whole number")


def _share(row: Row, value: object, base: Path | None) -> float:
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):
            number = float(value)
            if 0.0 <= number <= 1.0:
                return number
    raise ValueError(f"{value!r} is not a share (0 to 1)")


def _port(row: Row, value: object, base: Path | None) -> int:
    number = _count(row, value, base)
    if not 0 <= number <= 65535:
        raise ValueError(f"{value!r} is not a port (0 to 65535)")
    return number


def _bool(row: Row, value: object, base: Path | None) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise ValueError(f"{value!r} is not true or false")


def _duration(row: Row, value: object, base: Path | None) -> float:
    return duration(value)


def _size(row: Row, value: object, base: Path | None) -> int:
    return byte_size(value)


def _choice(row: Row, value: object, base: Path | None) -> str:
    word = str(value).strip().lower()
    if word not in row.choices:
        raise ValueError(f"{value!r} is not one of {', '.join(row.choices)}")
    return word


def _path(row: Row, value: object, base: Path | None) -> Path:
    path = Path(_text(row, value, base)).expanduser()
    return path if base is None else base / path


def _texts(row: Row, value: object, base: Path | None) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
        raise ValueError(f"{value!r} is not a list of texts")
    return tuple(value)


def _paths(row: Row, value: object, base: Path | None) -> tuple[str, ...]:
    # A ``module:Class`` or a URL is no path and stays as it is.
    def placed(text: str) -> str:
        return text if base is None or ":" in text else str(base / text)

    return tuple(placed(text) for text in _texts(row, value, base))


_PARSERS: dict[str, Callable[[Row, object, Path | None], Any]] = {
    "text": _text,
    "host": _host,
    "count": _count,
    "share": _share,
    "port": _port,
    "bool": _bool,
    "duration": _duration,
    "size": _size,
    "choice": _choice,
    "path": _path,
    "texts": _texts,
    "paths": _paths,
}

_KINDS = {
    "text": "text", "host": "address", "count": "number", "share": "0 to 1", "port": "port", "bool": "true, false",
    "duration": "duration", "size": "size", "path": "path", "texts": "list", "paths": "list",
}  # fmt: skip


def _written(row: Row, value: Any) -> str:
    if row.kind == "duration":
        return format_duration(value)
    if row.kind == "size":
        return format_bytes(int(value))
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def shown_default(row: Row) -> str:
    """Return the default as a person would write it."""
    if row.shown is not None:
        return row.shown
    return "auto" if row.default is None else _written(row, row.default)


def markdown(extra: Iterable[Row] = ()) -> str:
    """Return the table of all settings as Markdown; ``extra`` are rows other packages own."""
    lines = [
        "| key | flag | environment | value | default | meaning |",
        "|---|---|---|---|---|---|",
    ]
    for row in (*REFERENCE, *extra):
        kind = ", ".join(row.choices) or _KINDS[row.kind]
        if row.optional and row.shown is None:
            kind += ", auto"
        flag = f"`{row.flag}`" if row.flag else "-"
        env = "-" if row.flag_only else f"`{row.env}`"
        lines.append(
            f"| `{row.key}` | {flag} | {env} | {kind} | {shown_default(row)} | {row.doc} |"
        )
    return "\n".join(lines) + "\n"
