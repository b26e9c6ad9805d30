"""How single keys of ``pipeline.yaml`` are read: with the readers of ``model.yaml``, errors with their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from inferd.config.sources import Section

T = TypeVar("T")

MAY_BE_EMPTY = frozenset(("dtype", "shape", "content", "task", "description", "timeout"))
"""Keys that say nothing where nothing stands behind them."""


def inner(section: Section, key: str, example: str) -> Section:
    """Return the mapping under a key; raises ``ConfigError`` for anything else."""
    value = section[key]
    if not isinstance(value, Section):
        raise section.error(key, f"must be a mapping, not {shown(value)}", help=f"write {example}")
    return value


def read(reader: Callable[[Section, str], T], section: Section, key: str) -> T | None:
    """Return what ``reader`` makes of a key, ``None`` where it is absent or empty."""
    if section.get(key) is None:
        if key in section and key not in MAY_BE_EMPTY:
            raise section.error(key, "is left empty")
        return None
    try:
        return reader(section, key)
    except ValueError as error:
        raise section.error(key, str(error)) from None


def check_texts(value: Any, section: Section | None = None, key: str | None = None) -> None:
    """Refuse texts that are none, such as half of a surrogate pair. Raises ``ConfigError``."""
    if isinstance(value, Section):
        for name in value:
            check_texts(name, value, None)
            check_texts(value[name], value, name)
    elif isinstance(value, list):
        for item in value:
            check_texts(item, section, key)
    elif isinstance(value, str) and section is not None:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise section.error(key, f"{shown(value)} is no valid text") from None


def shown(value: object) -> str:
    """Return a value as messages show it, not at any length."""
    if isinstance(value, Section):
        return "a mapping of " + (", ".join(list(value)[:4]) or "nothing")
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
