"""What a person gives to ``inferd predict``, as the body and content type of a request.

A file's type is known by its first bytes, else by its ending; a text on the command line is JSON
where it parses, numbers where all of it is numbers (a row, or lines of them: a table), else a text.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from inferd.core.errors import InvalidInput

JSON = "application/json"
CSV = "text/csv"

_MAGIC = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"\x93NUMPY"), "application/x-npy"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"RIFF.{4}WAVE", re.DOTALL), "audio/wav"),
    (re.compile(rb"fLaC"), "audio/flac"),
    (re.compile(rb"OggS"), "audio/ogg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"BM.{4}\0{4}", re.DOTALL), "image/bmp"),
)
_ENDINGS = {
    ".json": JSON,
    ".csv": CSV,
    ".txt": "text/plain",
    ".npy": "application/x-npy",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
}
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(\.[0-9]*)?|(\.[0-9]+))([eE][+-]?[0-9]+)?")
_LARGEST = 2.0**63
_LONGEST_PATH = 4096


@dataclass(frozen=True, slots=True)
class Body:
    """A request body and its content type."""

    media: str
    data: bytes


def read_body(
    data: str | None, file: Path | None, media: str | None, stdin: Callable[[], bytes]
) -> Body:
    """Return the body a command line asks for.

    Args:
        data: the argument; ``-`` reads standard input, the name of a file of a known type that
            file.
        file: ``--file``; ``-`` reads standard input too.
        media: ``--type``, overrides what is found out.
        stdin: reads standard input whole.

    Raises:
        click.UsageError: nothing or both are given, or the file cannot be read.
        InvalidInput: what was given is not what ``media`` says, or nothing known.
    """
    if data is not None and file is not None:
        raise click.UsageError("both DATA and --file are given\nhelp: give one of them")
    if data is not None and data != "-" and _names_a_file(data):
        return _from_file(Path(data), media, f"help: if it is a text, send it as '\"{data}\"'")
    if file is not None and str(file) != "-":
        return _from_file(file, media)
    if data == "-" or file is not None:
        return _from_bytes(stdin(), media, "standard input")
    if data is None:
        raise click.UsageError(
            "no data to ask with\nhelp: give it as an argument ('[5.1, 3.5, 1.4, 0.2]'), with"
            " --file, or - for standard input"
        )
    return _from_text(data, media)


def read_stdin() -> bytes:
    """Return all of standard input."""
    return sys.stdin.buffer.read()


def _names_a_file(text: str) -> bool:
    """Whether a text is a file of a known type, or looks like the name of one."""
    path = Path(text)
    if path.suffix.lower() not in _ENDINGS or len(text) > _LONGEST_PATH or "\0" in text:
        return False
    try:
        return path.is_file() or not re.search(r"\s", path.name)
    except OSError:  # a part of it is too long for a name
        return False


def _from_file(file: Path, media: str | None, *help: str) -> Body:
    try:
        data = file.read_bytes()
    except OSError as error:
        said = "\n".join([f"{file}: cannot be read: {error.strerror}", *help])
        raise click.UsageError(said) from None
    found = media or _magic(data) or _ENDINGS.get(file.suffix.lower())
    return _from_bytes(data, found, str(file))


def _from_bytes(data: bytes, media: str | None, what: str) -> Body:
    media = media or _magic(data)
    if media is not None and media != JSON:
        return Body(media, data)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise InvalidInput(
            f"{what} is neither an image nor a recording (WAV, FLAC or Ogg) nor npy nor text",
            help="convert it to one of these, or say with --type what it is",
        ) from None
    return _from_text(text, media)


def _magic(data: bytes) -> str | None:
    return next((media for magic, media in _MAGIC if magic.match(data)), None)


def _from_text(text: str, media: str | None) -> Body:
    if media is not None and media != JSON:
        return Body(media, text.encode())
    from inferd.codecs import json

    try:
        value = json.loads(text.encode())
    except InvalidInput:
        if media == JSON:
            raise
        if _is_table(text):
            return Body(CSV, text.encode())
        numbers = _numbers(text)
        value = text.rstrip("\n") if numbers is None else numbers
    if not (isinstance(value, dict) and "data" in value):
        value = {"data": value}
    return Body(JSON, json.dumps(value))


def _numbers(text: str) -> list[float] | None:
    """Return a row of numbers, ``None`` where it is none."""
    numbers = [_number(part) for part in text.split(",")]
    found = [number for number in numbers if number is not None]
    return found if len(found) == len(numbers) > 1 else None


def _number(text: str) -> float | None:
    """Return a number as JSON has them, whole ones whole."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    number = float(found[0])
    if any(found.groups()) or abs(number) >= _LARGEST:
        return number if math.isfinite(number) else None
    return int(found[0])


def _is_table(text: str) -> bool:
    """Whether a text is lines of numbers between commas, after a line of names at most."""
    text = text.removeprefix("\ufeff")
    lines = [line.split(",") for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or len(lines[0]) < 2 or len({len(line) for line in lines}) > 1:
        return False
    first = [_number(cell) for cell in lines[0]]
    rows = lines if any(cell is not None for cell in first) else lines[1:]
    cells = [cell for row in rows for cell in row if cell.strip()]  # an empty one is NaN
    return bool(cells) and all(_number(cell) is not None for cell in cells)
