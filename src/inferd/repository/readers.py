"""How values of ``model.yaml`` are read: each reader takes a section and a key of it.

A reader returns the value of a field of ``ModelSpec`` or of a runtime's option, ``None`` where the
default holds. It raises ``ValueError`` with the reason, to which the caller adds file, line and key, or
``ConfigError`` where it knows the place better: inside a nested value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inferd.config.sources import Section
from inferd.config.units import duration
from inferd.core.errors import InferdError, nearest
from inferd.core.signature import Signature
from inferd.core.step import Step
from inferd.repository.spec import Batching, Instances

OBJECT = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
"""``module:object`` as it is written in ``class:`` and ``factory:``."""

_WORD = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
MAX_COUNT = 1 << 20


def text(section: Section, key: str) -> str:
    """Read text that is not blank."""
    value = section[key]
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be text, not {_shown(value)}")
    return value.strip()


def word(section: Section, key: str) -> str:
    """Read a name of small letters, digits, ``-`` and ``_``."""
    value = text(section, key)
    if not _WORD.fullmatch(value):
        raise ValueError(f"{value!r} is not a name")
    return value


def object_name(section: Section, key: str) -> str:
    """Read ``module:object``."""
    value = text(section, key)
    if not OBJECT.fullmatch(value):
        raise ValueError(f"{value!r} does not name an object in a module")
    return value


def relative_path(section: Section, key: str) -> Path:
    """Read a path that stays in the model's own directory."""
    value = text(section, key)
    path = Path(value)
    if path.is_absolute() or ".." in path.parts or "\0" in value or path == Path():
        raise ValueError(f"{value!r} must lie in the model's own directory: no '..', not absolute")
    return path


def flag(section: Section, key: str) -> bool:
    """Read true or false."""
    value = section[key]
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {_shown(value)}")  # noqa: TRY004
    return value


def _count(value: object, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be a whole number, not {_shown(value)}")  # noqa: TRY004
    if not least <= value <= MAX_COUNT:
        raise ValueError(f"{value} is out of range, {least} to {MAX_COUNT}")
    return value


def whole(section: Section, key: str) -> int:
    """Read a count, at least 1."""
    return _count(section[key])


def auto_whole(section: Section, key: str) -> int | None:
    """Read a count, or ``auto``."""
    return None if section[key] == "auto" else _count(section[key])


def seconds(section: Section, key: str) -> float:
    """Read a duration that is more than nothing."""
    seconds = duration(section[key])
    if seconds <= 0:
        raise ValueError("must be longer than nothing")
    return seconds


def batching(section: Section, key: str) -> Batching:
    """Read the limits of a batch."""
    value = section[key]
    if value == "auto":
        return Batching()
    if not isinstance(value, Section):
        raise ValueError(f"must be auto or a mapping, not {_shown(value)}")  # noqa: TRY004
    value.only("max_size", "max_delay")
    size = value.get("max_size", "auto")
    delay = value.get("max_delay")
    return Batching(None if size == "auto" else _inner(value, "max_size", _count, size),
                    None if delay is None else _inner(value, "max_delay", duration, delay),
                    )  # fmt: skip


def instances(section: Section, key: str) -> Instances:
    """Read how many worker processes there are: a number, or least and most."""
    value = section[key]
    if value == "auto":
        return Instances()
    if not isinstance(value, Section):
        return Instances(_count(value), _count(value))
    value.only("min", "max")
    low = _inner(value, "min", _count, value["min"]) if "min" in value else None
    high = _inner(value, "max", _count, value["max"]) if "max" in value else None
    if low is not None and high is not None and low > high:
        raise value.error("min", f"{low} is above max, which is {high}")
    return Instances(low, high)


def _inner(section: Section, key: str, read: Callable[[Any], Any], value: object) -> Any:
    try:
        return read(value)
    except ValueError as error:
        raise section.error(key, str(error)) from None


def choice(*allowed: str) -> Callable[[Section, str], str]:
    """Return the reader of one of the values ``allowed``."""

    def read(section: Section, key: str) -> str:
        value = section[key]
        if value not in allowed:
            hint = nearest(str(value), allowed)
            raise section.error(key, f"{_shown(value)} is not allowed", help=hint)
        return str(value)

    return read


def mapping(section: Section, key: str) -> dict[str, Any]:
    """Read a mapping that crosses to the worker as JSON."""
    value = section[key]
    if not isinstance(value, Section):
        raise ValueError(f"must be a mapping, not {_shown(value)}")  # noqa: TRY004
    _json_only(value, key, section)
    return value.plain()


def labels(section: Section, key: str) -> dict[str, str]:
    """Read names of versions, each with the text of its version's number."""
    value = section[key]
    if not isinstance(value, Section):
        raise ValueError(f"must be a mapping of labels to versions, not {_shown(value)}")  # noqa: TRY004
    found: dict[str, str] = {}
    for label in value:
        if not _LABEL.fullmatch(label):
            raise value.error(
                label, f"{_shown(label)} is no label",
                help="letters, digits, '.', '_' and '-', beginning with a letter or digit",
            )  # fmt: skip
        number = value[label]
        if isinstance(number, str) and number.isascii() and number.isdecimal():
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int) or not (0 <= number < 10**18):
            raise value.error(label, f"must be the number of a version, not {_shown(number)}")
        found[label] = str(number)
    return found


def signature(section: Section, key: str) -> dict[str, Any]:
    """Read a signature as it is declared, each of its tensors checked."""
    value = section[key]
    if not isinstance(value, Section):
        raise ValueError(f"must be a mapping, not {_shown(value)}")  # noqa: TRY004
    value.only("inputs", "outputs", "batched", "max_batch")
    if "batched" in value:
        _inner(value, "batched", lambda _: flag(value, "batched"), None)
    if value.get("max_batch") is not None:
        _inner(value, "max_batch", _count, value["max_batch"])
    for side in ("inputs", "outputs"):
        _tensor_rows(value, side)
    return value.plain()


def _tensor_rows(section: Section, side: str) -> None:
    rows = section.get(side)
    if rows is None:
        return
    example = f"{side}: [{{name: x, dtype: float32, shape: [-1, 4]}}]"
    if not isinstance(rows, list) or not rows:
        raise section.error(side, f"must be a list of tensors, not {_shown(rows)}", help=example)
    names: set[str] = set()
    extra = ("default",) if side == "inputs" else ()
    for i, row in enumerate(rows):
        place = f"{side}[{i}]"
        if not isinstance(row, Section):
            raise section.error(place, f"must be a mapping, not {_shown(row)}", help=example)
        row.only("name", "dtype", "shape", "content", "symbols", *extra)
        if "default" in row:
            if row["default"] is None:
                raise row.error("default", "is left empty", help='write default: ""')
            _json_only(row["default"], "default", row)
        try:
            Signature.from_json({"inputs": [row.plain()]})
        except InferdError as error:
            raise section.error(place, error.message, help=error.help or example) from None
        if 0 in row["shape"]:
            raise section.error(
                place, f"shape {row['shape']}: an axis of size 0 holds nothing",
                help="write -1 for an axis of any size",
            )  # fmt: skip
        if row["name"] in names:
            raise section.error(place, f"the name {row['name']!r} is given twice")
        names.add(row["name"])


def steps(section: Section, key: str) -> tuple[Step, ...]:
    """Read the steps of a chain of transforms."""
    value = section[key]
    example = "a list of steps, for example `- cast: float32`"
    if not isinstance(value, list):
        raise ValueError(f"must be {example}, not {_shown(value)}")  # noqa: TRY004
    steps: list[Step] = []
    for i, entry in enumerate(value):
        place = f"{key}[{i}]"
        if isinstance(entry, str):
            steps.append(Step(entry, None, section.where(place)))
        elif isinstance(entry, Section) and len(entry) == 1:
            name = next(iter(entry))
            _json_only(entry[name], place, section)
            steps.append(Step(name, entry.plain()[name], entry.where(name)))
        else:
            raise section.error(
                place, f"must be one step, not {_shown(entry)}",
                help="each step is its name, or one `name: parameters` after its own dash",
            )  # fmt: skip
    return tuple(steps)


def _json_only(value: Any, place: str, section: Section) -> None:
    """Refuse what does not cross to the worker as JSON: dates, sets, bytes; numbers too large."""
    if isinstance(value, Section):
        for key in value:
            _json_only(value[key], key, value)
    elif isinstance(value, list):
        for item in value:
            _json_only(item, place, section)
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
        raise section.error(place, f"{_shown(value)} does not fit 64 bits")
    elif isinstance(value, float) and math.isnan(value):
        raise section.error(place, "must be a number, not nan")
    elif not (value is None or isinstance(value, (str, bool, int, float))):
        raise section.error(
            place, f"{_shown(value)} is a {type(value).__name__}", help="put it in quotes"
        )


def _shown(value: object) -> str:
    if isinstance(value, Section):
        return "a mapping of " + (", ".join(list(value)[:4]) or "nothing")
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
