"""Secrets as a type: what may be used, and never be shown."""

from __future__ import annotations

from dataclasses import dataclass

MASK = "***"


@dataclass(frozen=True, slots=True)
class Secret:
    """A text whose ``repr`` and ``str`` are masked. ``value``: the text itself, for its one use."""

    value: str

    def __repr__(self) -> str:
        return MASK
