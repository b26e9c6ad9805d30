"""One declared transform as data: what ``model.yaml`` says, and where it says it.

The repository reads steps, the transforms compile them; both floors know only this word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """One transform as declared: its name, parameters (value or mapping) and ``file:line``."""

    name: str
    params: Any
    where: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"name": self.name, "params": self.params, "where": self.where}

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> Step:
        """Build a step from its JSON form."""
        return Step(str(row["name"]), row["params"], str(row.get("where", "")))
