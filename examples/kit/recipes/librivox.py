"""Speech to try a transcriber on: five sentences read by a volunteer of LibriVox, and what was said.

They are test data of PocketSphinx, out of a public-domain reading of *Sense and Sensibility*: 16 kHz, one
channel, 23 seconds together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from examples.kit.packages import Package, fetch, member

POCKETSPHINX = Package(
    "pocketsphinx",
    "5.1.1",
    "675778b309a22dfc9b7d37f7621976bba491d2a5f8c59696bd77fd6d07271355",
    source=True,
)
FOLDER = "pocketsphinx-5.1.1/test/data/librivox"
LINE = re.compile(r"<s> (?P<text>.*) </s> \((?P<name>\S+)\)")


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording: its name, the bytes of its wav file, and the words that are said in it."""

    name: str
    wav: bytes
    text: str


def clips(cache: Path | None = None) -> list[Clip]:
    """Return the recordings in the order they were read in."""
    archive = fetch(POCKETSPHINX, cache)
    said = member(archive, f"{FOLDER}/transcription").decode()
    return [
        Clip(line["name"], member(archive, f"{FOLDER}/{line['name']}.wav"), line["text"])
        for line in LINE.finditer(said)
    ]


def build(folder: Path, cache: Path | None = None) -> None:
    """Write each recording as ``NAME.wav``, and beside it what is said as ``NAME.txt``."""
    folder.mkdir(parents=True, exist_ok=True)
    for clip in clips(cache):
        (folder / f"{clip.name}.wav").write_bytes(clip.wav)
        (folder / f"{clip.name}.txt").write_text(clip.text + "\n")
