"""Models that transcribe speech: which of their tensors mean what, and how pieces become a transcript.

A model needs no declaration but names. Input: ``audio`` (BYTES), or the one whose content is audio, or
the only one that has no default: a whole file. Outputs: ``text`` (or as ``generation`` has it) is what is
new in each piece. With it may come ``segments`` (BYTES) with their ``starts`` and ``ends`` in seconds,
``words`` with ``word_starts`` and ``word_ends``, each row the new ones; ``language`` (BYTES) and
``duration`` (seconds of audio), of which the last counts.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from inferd.codecs.generation import TEXTS
from inferd.core.errors import InvalidInput, ModelFailed
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, Tensors, as_bytes

AUDIO = "audio"
SEGMENTS = ("segments", "starts", "ends")
WORDS = ("words", "word_starts", "word_ends")
LANGUAGE = "language"
DURATION = "duration"


@dataclass(frozen=True, slots=True)
class Hearing:
    """Which tensors of a model are what: its audio, its text, and whether it tells times."""

    audio: TensorSpec
    text: str
    segments: bool
    words: bool

    def inputs(self, audio: bytes) -> Tensors:
        """Return the inputs of one request."""
        array = np.empty((1,) * len(self.audio.shape), object)
        array[...] = audio
        return {self.audio.name: array}


def hearing(signature: Signature) -> Hearing:
    """Return the roles of a model's tensors; raises ``InvalidInput`` where it does not fit.

    The message begins with ``"model"``, the field that named the model.
    """
    audio = _audio(signature)
    if audio is None:
        raise InvalidInput(
            f'"model" does not take audio files: it has no BYTES input {AUDIO!r} of one file'
        )
    for spec in signature.inputs:
        if spec is not audio and spec.default is None:
            raise InvalidInput(
                f'"model" has an input {spec.name!r}, for which requests of this kind have no value',
                help="ask it by another dialect",
            )
    outputs = {s.name: s for s in signature.outputs}
    text = next((n for n in TEXTS if n in outputs and outputs[n].dtype is BYTES), None)
    if text is None:
        raise InvalidInput(f'"model" does not transcribe: it has no BYTES output {TEXTS[0]!r}')
    return Hearing(audio, text, _timed(SEGMENTS, outputs), _timed(WORDS, outputs))


def _audio(signature: Signature) -> TensorSpec | None:
    files = [
        spec for spec in signature.inputs
        if spec.dtype is BYTES
        and all(n in (1, -1) for n in (spec.shape[1:] if signature.batched else spec.shape))
    ]  # fmt: skip
    named = next((s for s in files if AUDIO in (s.name, s.content)), None)
    lone = signature.lone
    return named or next((s for s in files if s is lone and s.content is None), None)


def _timed(names: tuple[str, str, str], outputs: dict[str, TensorSpec]) -> bool:
    texts, *times = names
    return (
        texts in outputs
        and outputs[texts].dtype is BYTES
        and all(n in outputs and outputs[n].dtype.numpy.kind == "f" for n in times)
    )


class Stretch(NamedTuple):
    """A text and when it is said, in seconds."""

    text: str
    start: float
    end: float


class Transcript:
    """One transcript as it grows out of pieces.

    ``text`` begins and ends with no blank. ``duration``: seconds, ``None`` where nothing tells it.
    """

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._parts: list[str] = []
        self.segments: list[Stretch] = []
        self.words: list[Stretch] = []
        self.language: str | None = None
        self._duration: float | None = None

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._parts).strip()

    @property
    def duration(self) -> float | None:
        """Seconds of audio: as the model says, else the end of what was said last."""
        if self._duration is not None:
            return self._duration
        return max((s.end for s in self.segments), default=None)

    def feed(self, piece: Tensors) -> str:
        """Take a piece; return what is new of the text."""
        hearing = self._hearing
        if hearing.segments:
            self.segments += _stretches(piece, SEGMENTS)
        if hearing.words:
            self.words += _stretches(piece, WORDS)
        language = _joined(piece.get(LANGUAGE))
        if language:
            self.language = language.decode("utf-8", "replace")
        duration = piece.get(DURATION)
        if duration is not None and duration.dtype.kind in "fiu" and duration.size:
            value = float(duration.flat[duration.size - 1])
            if 0 <= value < float("inf"):
                self._duration = _time(value)
        return self._grown(self._decoder.decode(_joined(piece.get(hearing.text))))

    def end(self) -> str:
        """Nothing more comes: return what was held back of a character that was left incomplete."""
        return self._grown(self._decoder.decode(b"", final=True))

    def _grown(self, text: str) -> str:
        if not self._parts:
            text = text.lstrip()
        if text:
            self._parts.append(text)
        return text


def _stretches(piece: Tensors, names: Sequence[str]) -> list[Stretch]:
    arrays = [piece.get(name) for name in names]
    found = [array.reshape(-1) for array in arrays if array is not None]
    if not found:
        return []
    sizes = {len(array) for array in found}
    if len(found) != len(names) or len(sizes) != 1:
        told = ", ".join(
            f"{name} {0 if array is None else array.size}"
            for name, array in zip(names, arrays, strict=True)
        )
        raise ModelFailed(f"the model answered stretches that do not belong together: {told}")
    texts, starts, ends = found
    stretches = []
    for text, start, end in zip(texts, starts.tolist(), ends.tolist(), strict=True):
        said = as_bytes(text).decode("utf-8", "replace").strip()
        start = _time(start)
        stretches.append(Stretch(said, start, max(start, _time(end))))
    return stretches


def _time(value: float) -> float:
    """Return seconds that can be written: no other number than one of 0 or more."""
    return round(value, 3) if 0 <= value < float("inf") else 0.0


def _joined(array: np.ndarray | None) -> bytes:
    if array is None or not array.dtype.hasobject:
        return b""
    return b"".join(as_bytes(element) for element in array.flat)
