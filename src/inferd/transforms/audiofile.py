"""Sound files out of the hands of strangers: WAV, FLAC and Ogg, bounded before they are decoded.

Only these are opened. Length, channels and rate are read from the header and refused there; what the header
promises and the file does not hold is refused too, for half a recording is no recording.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from inferd.core.errors import InvalidInput, MissingExtra

MAGIC = (b"RIFF", b"fLaC", b"OggS")
FORMATS = ("WAV", "FLAC", "Ogg")
LOWEST_RATE, HIGHEST_RATE = 4_000, 384_000
_OPENED = ("WAV", "WAVEX", "FLAC", "OGG")
_UNKNOWN = (0, 0xFFFFFFFF)
"""Sizes in the header of a wav file that was written while nobody knew how long it would be."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a recording may hold: seconds, channels, and samples over all channels."""

    seconds: int
    channels: int
    samples: int


def load_soundfile(what: str) -> Any:
    """Return the module ``soundfile``. Raises ``MissingExtra``."""
    try:
        import soundfile
    except ImportError:
        raise MissingExtra("soundfile", "audio", what=what) from None
    return soundfile


def read(soundfile: Any, data: bytes, limits: Limits) -> tuple[np.ndarray, int]:
    """Return a recording as FP32 [channels, samples] from -1 to 1, and its rate.

    Raises ``InvalidInput`` for everything that is no recording within ``limits``.
    """
    if not data:
        raise InvalidInput("the recording is empty (0 bytes)")
    if not data.startswith(MAGIC) or (data.startswith(b"RIFF") and data[8:12] != b"WAVE"):
        raise InvalidInput(
            f"these {len(data)} bytes are no sound of a known format",
            help="send one of: " + ", ".join(FORMATS),
        )
    if missing(data):
        raise _cut()
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            return _samples(file, limits), int(file.samplerate)
    except (soundfile.SoundFileError, RuntimeError, ValueError, OSError) as error:
        reason = str(getattr(error, "error_string", None) or error).rstrip(".")
        raise InvalidInput(f"the recording cannot be decoded: {reason}") from None


def _samples(file: Any, limits: Limits) -> np.ndarray:
    if file.format not in _OPENED:
        raise InvalidInput(
            f"{file.format} is not opened", help="send one of: " + ", ".join(FORMATS)
        )
    rate, channels, frames = file.samplerate, file.channels, file.frames
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise InvalidInput(
            f"the recording has {rate} samples a second; {LOWEST_RATE} to {HIGHEST_RATE} are taken"
        )
    if channels > limits.channels:
        raise InvalidInput(
            f"the recording has {channels} channels, over the {limits.channels} taken"
        )
    if frames > limits.seconds * rate:
        raise InvalidInput(
            f"the recording lasts {frames / rate:.0f} s, over the {limits.seconds} s taken",
            help="send it in parts",
        )
    if frames * channels > limits.samples:
        raise InvalidInput(
            f"the recording has {frames * channels} samples, over the {limits.samples} taken",
            help="send it in parts, with one channel, or with fewer samples a second",
        )
    found: np.ndarray = file.read(frames, dtype="float32", always_2d=True)
    if not frames:
        raise InvalidInput("the recording holds no sound")
    if len(found) < frames:
        raise _cut()
    if not np.isfinite(found).all():
        raise InvalidInput("the recording holds values that are no numbers")
    clipped: np.ndarray = np.clip(found, -1, 1).T
    return clipped


def _cut() -> InvalidInput:
    return InvalidInput(
        "the recording ends before its end: the file was cut off", help="send the whole file"
    )


def missing(data: bytes) -> bool:
    """Return whether a WAV or Ogg file ends in the middle of what it announces."""
    if data.startswith(b"RIFF"):
        return _wav_cut(data)
    return data.startswith(b"OggS") and _ogg_cut(data)


def _wav_cut(data: bytes) -> bool:
    position = 12
    while position + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, position)
        position += 8
        if kind == b"data":
            return size not in _UNKNOWN and position + size > len(data)
        position += size + size % 2
    return True


def _ogg_cut(data: bytes) -> bool:
    last = data.rfind(b"OggS")
    table = last + 27
    if table > len(data) or table + data[table - 1] > len(data):
        return True
    lacing = data[table : table + data[table - 1]]
    return table + len(lacing) + sum(lacing) > len(data)
