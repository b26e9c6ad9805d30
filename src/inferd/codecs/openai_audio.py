"""OpenAI transcriptions and translations: what a form asks for, and the answer in each of its formats.

What the model is to heed goes to it as parameters: ``language``, ``prompt``, ``temperature``, ``task`` where
it is to translate, and every field that is not known here; what looks like a number or a truth value in
the form is one. What is not offered is refused; what asks for nothing is not.

Sources: openai/openai-openapi, openapi.yaml 2.3.0; WebVTT (W3C); SubRip has no standard.
"""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass
from typing import Any

from inferd.codecs import json
from inferd.codecs.base import Encoded
from inferd.codecs.multipart import Form
from inferd.codecs.openai import Fields
from inferd.codecs.transcription import Hearing, Stretch, Transcript
from inferd.core.errors import InvalidInput
from inferd.core.message import Parameters
from inferd.core.tensor import Tensors

FILE = "file"
TRANSCRIBE, TRANSLATE = "transcribe", "translate"
JSON, TEXT, SRT, VTT, VERBOSE = FORMATS = "json", "text", "srt", "vtt", "verbose_json"
SEGMENT, WORD = GRANULARITIES = "segment", "word"

_TEXTS = ("model", "language", "prompt", "response_format", "chunking_strategy")
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_REAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_LONGEST = 400  # characters of a number
_PLAIN = b"text/plain; charset=utf-8"
_REFUSED: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("include", "models answer with text alone", ()),
    ("chunking_strategy", "models cut long recordings themselves", ("auto",)),
    ("known_speaker_names", "speakers are not told apart", ()),
    ("known_speaker_references", "speakers are not told apart", ()),
    ("keywords", "write what is to be expected into prompt", ()),
    ("languages", "name one in language", ()),
)
"""Fields that are not offered: name, why, and the values that ask for nothing."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to transcribe."""

    inputs: Tensors
    parameters: Parameters
    task: str = TRANSCRIBE
    format: str = JSON
    stream: bool = False
    words: bool = False


def fields_of(form: Form) -> dict[str, Any]:
    """Return the fields of a form but its file, numbers and truth values as such."""
    found: dict[str, Any] = {}
    for name, value in form.fields(but=FILE).items():
        if value == "":
            continue  # as good as left out, which a form can hardly say
        if name.startswith("chunking_strategy["):
            found["chunking_strategy"] = "an object"
        elif isinstance(value, list) or name in _TEXTS:
            found[name] = value
        else:
            found[name] = scalar(value)
    return found


def scalar(text: str) -> str | int | float | bool:
    """Return what a field of a form stands for: a truth value, a number, or itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if _WHOLE.fullmatch(text):
        return int(text)
    if len(text) <= _LONGEST and _REAL.fullmatch(text) and math.isfinite(value := float(text)):
        return value
    return text


def read(form: Form, given: dict[str, Any], hearing: Hearing, task: str) -> Ask:
    """Read a request of ``given`` fields; ``task``: whether it is to be translated as well."""
    fields = Fields(given)
    fields.ignore("model")
    format = fields.choice("response_format", FORMATS, JSON)
    stream = fields.flag("stream")
    words = _granularities(fields.take("timestamp_granularities"), format)
    named: dict[str, Any] = {
        "language": fields.text("language"),
        "prompt": fields.text("prompt"),
        "temperature": fields.number("temperature", 0, 1),
        "task": TRANSLATE if task == TRANSLATE else None,
    }
    for name, why, allowed in _REFUSED:
        fields.refuse(name, why, *allowed)
    if stream and format not in (JSON, TEXT):
        raise InvalidInput(f'"stream" is not offered: {format} is written at the end')
    _check_times(hearing, format, words=words)
    parameters = fields.scalars()
    parameters.update({name: value for name, value in named.items() if value is not None})
    audio = form.file(FILE)
    if not audio:
        raise InvalidInput(f'"{FILE}" is empty')
    return Ask(hearing.inputs(audio), parameters, task, format, stream, words)


def _granularities(given: Any, format: str) -> bool:
    """Return whether times of words are wanted."""
    if given is None:
        return False
    wanted = given if type(given) is list else [given]
    for one in wanted:
        if one not in GRANULARITIES:
            raise InvalidInput(
                f'"timestamp_granularities" must be of {", ".join(GRANULARITIES)}, got {str(one)[:40]!r}'
            )
    if WORD in wanted and format != VERBOSE:
        raise InvalidInput(
            f'"timestamp_granularities" of words need "response_format": {VERBOSE}, got {format}'
        )
    return WORD in wanted


def _check_times(hearing: Hearing, format: str, *, words: bool) -> None:
    if format in (SRT, VTT, VERBOSE) and not hearing.segments:
        raise InvalidInput(
            f'"response_format" {format} needs times, and this model tells none',
            help=f"ask for {JSON} or {TEXT}",
        )
    if words and not hearing.words:
        raise InvalidInput(
            '"timestamp_granularities" are of segments alone: this model tells no words'
        )


# --------------------------------------------------------------------------------------- answers


def write(transcript: Transcript, ask: Ask) -> bytes | Encoded:
    """Return the whole answer in the format that is asked for."""
    if ask.format == JSON:
        return json.dumps({"text": transcript.text, **_usage(transcript)})
    if ask.format == VERBOSE:
        return json.dumps(_verbose(transcript, ask))
    if ask.format == TEXT:
        return Encoded(transcript.text.encode() + b"\n", _PLAIN)
    if ask.format == SRT:
        return Encoded(_srt(transcript.segments).encode(), _PLAIN)
    return Encoded(_vtt(transcript.segments).encode(), b"text/vtt; charset=utf-8")


def delta(text: str) -> dict[str, Any]:
    """Return the event that carries new text."""
    return {"type": "transcript.text.delta", "delta": text}


def done(transcript: Transcript) -> dict[str, Any]:
    """Return the event that ends a stream."""
    return {"type": "transcript.text.done", "text": transcript.text}


def _usage(transcript: Transcript) -> dict[str, Any]:
    seconds = transcript.duration
    return {} if seconds is None else {"usage": {"type": "duration", "seconds": seconds}}


def _verbose(transcript: Transcript, ask: Ask) -> dict[str, Any]:
    told: dict[str, Any] = {
        "task": ask.task,
        "language": transcript.language or ask.parameters.get("language", ""),
        "duration": transcript.duration or 0.0,
        "text": transcript.text,
    }
    if ask.words:
        told["words"] = [{"word": w.text, "start": w.start, "end": w.end} for w in transcript.words]
    heat = ask.parameters.get("temperature", 0.0)
    told["segments"] = [_segment(i, one, heat) for i, one in enumerate(transcript.segments)]
    return {**told, **_usage(transcript)}


def _segment(index: int, one: Stretch, temperature: Any) -> dict[str, Any]:
    """Return a segment; what clients expect and no model tells has the value that means nothing."""
    data = one.text.encode()
    return {
        "id": index, "seek": 0, "start": one.start, "end": one.end, "text": one.text, "tokens": [],
        "temperature": temperature, "avg_logprob": 0.0,
        "compression_ratio": round(len(data) / len(zlib.compress(data)), 3) if data else 0.0,
        "no_speech_prob": 0.0,
    }  # fmt: skip


def _srt(segments: list[Stretch]) -> str:
    return "".join(
        f"{number}\n{_cue(one, ',')}\n{_lines(one.text)}\n\n"
        for number, one in enumerate(segments, 1)
    )


def _vtt(segments: list[Stretch]) -> str:
    cues = (f"{_cue(one, '.')}\n{_escaped(_lines(one.text))}\n\n" for one in segments)
    return "WEBVTT\n\n" + "".join(cues)


def _cue(one: Stretch, point: str) -> str:
    return f"{clock(one.start, point)} --> {clock(one.end, point)}"


def clock(seconds: float, point: str) -> str:
    """Return a time as subtitles write it: ``00:01:02,500``."""
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    minutes, whole = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{whole:02}{point}{thousandths:03}"


def _lines(text: str) -> str:
    """Return a text that ends no cue before its end: without empty lines."""
    return "\n".join(line for line in text.splitlines() if line.strip())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("-->", "--&gt;")
