"""What the architecture tests look at: every module of the package, as files and as syntax."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "inferd"
TESTS = ROOT / "tests"


@dataclass(frozen=True)
class Module:
    """One source file."""

    path: Path

    @property
    def relative(self) -> Path:
        return self.path.relative_to(SOURCE)

    @property
    def name(self) -> str:
        parts = ["inferd", *self.relative.with_suffix("").parts]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)


MODULES = [Module(path) for path in sorted(SOURCE.rglob("*.py"))]
