"""What a person gives to ``inferd predict``, as the body and content type of a request.

A file's type is known by its first bytes, else by its ending; a text on the command line is JSON
where it parses, a row of numbers where all of it is numbers, else a text.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inferd.core.errors import InvalidInput

JSON = "application/json"

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x93NUMPY", "application/x-npy"),
)
_ENDINGS = {
    ".json": JSON,
    ".csv": "text/csv",
    ".txt": "text/plain",
    ".npy": "application/x-npy",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}


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
        InvalidInput: nothing or both are given, or the file cannot be read.
    """
    if data is not None and file is not None:
        raise InvalidInput("both DATA and --file are given", help="give one of them")
    if data is not None and data != "-" and file is None and _is_known_file(data):
        return _from_file(Path(data), media)
    if file is not None and str(file) != "-":
        return _from_file(file, media)
    if data == "-" or file is not None:
        return _from_bytes(stdin(), media, "standard input")
    if data is None:
        raise InvalidInput(
            "no data to ask with",
            help="give it as an argument ('[5.1, 3.5, 1.4, 0.2]'), with --file, or - for standard input",
        )
    return _from_text(data, media)


def read_stdin() -> bytes:
    """Return all of standard input."""
    return sys.stdin.buffer.read()


def _is_known_file(text: str) -> bool:
    path = Path(text)
    try:
        return path.suffix.lower() in _ENDINGS and path.is_file()
    except (OSError, ValueError):  # too long for a name, or a NUL in it
        return False


def _from_file(file: Path, media: str | None) -> Body:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{file}: cannot be read: {error.strerror}") from None
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
            f"{what} is neither an image nor npy nor text", help="say what it is with --type"
        ) from None
    return _from_text(text, media)


def _magic(data: bytes) -> str | None:
    return next((media for magic, media in _MAGIC if data.startswith(magic)), None)


def _from_text(text: str, media: str | None) -> Body:
    if media is not None and media != JSON:
        return Body(media, text.encode())
    from inferd.codecs import json

    try:
        value = json.loads(text.encode())
    except InvalidInput:
        if media == JSON:
            raise
        numbers = _numbers(text)
        value = text.rstrip("\n") if numbers is None else numbers
    if not (isinstance(value, dict) and "data" in value):
        value = {"data": value}
    return Body(JSON, json.dumps(value))


def _numbers(text: str) -> list[float] | None:
    try:
        numbers = [float(part) if "." in part else int(part) for part in text.split(",")]
    except ValueError:
        return None
    return numbers if len(numbers) > 1 else None
