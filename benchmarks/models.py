"""The benchmark's model files, built once into ``benchmarks/.models``.

T: a 4 -> 3 MLP of about 10 microseconds, where the server is everything. M: a transformer shaped
like all-MiniLM-L6-v2. C: a network shaped like ResNet-18. B: the means of a picture's colours, where
moving the picture is everything. R: M in a repository whose ``model.yaml`` pads token ids of unequal
length. S, I and H answer what they are given: S four numbers after the work of a T, I token ids,
H the vector that M answers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto

ROOT = Path(__file__).parent / ".models"
REVISION = "1"
"""Part of every file's folder; raise it when a graph changes, so that old files are not reused."""

FLOAT, INT64 = 1, 7
"""Numbers of datatypes in ONNX."""

LETTERS = "TMCBSIH"
"""The models that have a file of their own."""

RAGGED_YAML = """\
runtime: onnx
preprocess:
  - pad: {axis: 1, value: 0, mask: attention_mask}
"""


def path(name: str) -> Path:
    """Return where the file of a model of ``LETTERS`` lies; build it when missing."""
    target = ROOT / REVISION / f"{name.lower()}.onnx"
    if not target.exists():
        _write(target, _builder(name)())
    return target


def ragged_repository() -> Path:
    """Return a repository of one model ``r``: M behind a ``pad`` step; build it when missing."""
    folder = ROOT / REVISION / "ragged"
    artifact = folder / "r" / "1" / "model.onnx"
    if not artifact.exists():
        artifact.parent.mkdir(parents=True, exist_ok=True)
        os.link(path("M"), artifact)
    (folder / "r" / "model.yaml").write_text(RAGGED_YAML)
    return folder


def _builder(name: str) -> Callable[[], ModelProto]:
    from benchmarks import graphs

    return {
        "T": graphs.mlp, "M": graphs.transformer, "C": graphs.resnet18, "B": graphs.means,
        "S": lambda: graphs.same(FLOAT, ["batch", 4], "x", work=True),
        "I": lambda: graphs.same(INT64, ["batch", "sequence"], "ids"),
        "H": lambda: graphs.same(FLOAT, ["batch", 384], "vector"),
    }[name]  # fmt: skip


def _write(target: Path, model: ModelProto) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    partial.write_bytes(model.SerializeToString())
    partial.replace(target)
    print(f"built {target.name}: {target.stat().st_size / 1e6:.1f} MB", file=sys.stderr)


if __name__ == "__main__":
    for letter in LETTERS:
        path(letter)
    ragged_repository()
