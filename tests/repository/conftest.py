from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Make files of text below a new directory: ``tree({"iris/1/m.onnx": "x"})``."""

    def make(files: dict[str, str], name: str = "models") -> Path:
        root = tmp_path / name
        for path, text in files.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        root.mkdir(exist_ok=True)
        return root

    return make
