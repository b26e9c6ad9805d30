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
_PIPED = 0x7FFF_0000
"""A wav file that says it is so long (2 GiB) or longer went through a pipe: nobody knew its length yet."""

_MOST_CHUNKS = 1000
_ENDLESS = 2**63 - 1
"""What libsndfile says of a length that no header tells."""

_BEGINNING = b"OggS\0\2"
"""How the first page of a stream begins in an Ogg file."""

_FLAC_IN_OGG = b"\x7fFLAC"


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
    if data.startswith(b"OggS") and data.count(_BEGINNING) > 1:
        raise InvalidInput(
            "the file holds several recordings, or a film", help="send each sound by itself"
        )
    try:
        with soundfile.SoundFile(opened(data)) as file:
            return _samples(file, limits), int(file.samplerate)
    except (soundfile.SoundFileError, RuntimeError, ValueError, OSError) as error:
        raise InvalidInput(
            f"the recording cannot be decoded: {_reason(error)}", help=_instead(data)
        ) from None


def _instead(data: bytes) -> str | None:
    """Return what to send instead, where the library that is there does not read what the file holds."""
    if data.startswith(b"OggS") and data[28:33] == _FLAC_IN_OGG:
        return "the Ogg file holds FLAC: send a FLAC file, or Vorbis or Opus in Ogg"
    return None


def _reason(error: Exception) -> str:
    reason = str(getattr(error, "error_string", None) or error).rstrip(".")
    reason = reason.removeprefix("Error : ")
    if reason.startswith("Internal error"):  # the library's own words say nothing to others
        return "its header makes no sense"
    return reason


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
    if frames == _ENDLESS:
        raise InvalidInput(
            "the recording does not say how long it is: it was written to a pipe",
            help="write it to a file, or send it as WAV or Ogg",
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
    return np.clip(found, -1, 1, out=found).T


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
    begin, size = _sound(data)
    return begin == 0 or (not _piped(data, begin, size) and begin + size > len(data))


def opened(data: bytes) -> io.BytesIO:
    """Return a file to read; a WAV file that went through a pipe is told its length."""
    file = io.BytesIO(data)
    begin, size = _sound(data) if data.startswith(b"RIFF") else (0, 0)
    if begin and _piped(data, begin, size):
        file.seek(4)
        file.write(struct.pack("<I", min(len(data) - 8, 0xFFFFFFFF)))
        file.seek(begin - 4)
        file.write(struct.pack("<I", min(len(data) - begin, 0xFFFFFFFF)))
        file.seek(0)
    return file


def _sound(data: bytes) -> tuple[int, int]:
    """Return where the samples of a WAV file begin, 0 where they do not, and how many bytes it says they are."""
    position = 12
    for _ in range(_MOST_CHUNKS):
        if position + 8 > len(data):
            break
        kind, size = struct.unpack_from("<4sI", data, position)
        position += 8
        if kind == b"data":
            return position, size
        position += size + size % 2
    return 0, 0


def _piped(data: bytes, begin: int, size: int) -> bool:
    """Whether the size of the samples was written before anybody knew it."""
    if size:
        return size >= _PIPED
    whole = int.from_bytes(data[4:8], "little") + 8
    return whole <= begin or whole >= _PIPED


def _ogg_cut(data: bytes) -> bool:
    last = data.rfind(b"OggS")
    table = last + 27
    if table > len(data) or table + data[table - 1] > len(data):
        return True
    lacing = data[table : table + data[table - 1]]
    return table + len(lacing) + sum(lacing) > len(data)
