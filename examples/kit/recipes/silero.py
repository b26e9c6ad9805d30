"""Voice activity: Silero's network, which says for every 32 ms of sound how likely somebody speaks.

Of the files in its package the one is taken that works through a whole recording in one call.
"""

from __future__ import annotations

from pathlib import Path

from examples.kit.packages import Package, fetch, member

SILERO = Package(
    "silero-vad", "6.2.3", "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8"
)
NETWORK = "silero_vad/data/silero_vad_16k_sequence.onnx"
NAME = "silero_vad.onnx"
"""What the transform ``voice_activity`` looks for beside a model."""


def build(folder: Path, cache: Path | None = None) -> None:
    """Put the network beside a model: ``FOLDER/silero_vad.onnx``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_bytes(member(fetch(SILERO, cache), NETWORK))
