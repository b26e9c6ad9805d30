"""Reading JSON Lines, of a file that is there or of one that grows.

``parse`` turns a line into a document or says what is wrong with it. ``Tail`` gives the whole lines that were
added to a file since it was last asked, also where the file was cut off or replaced by another.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LONGEST_LINE = 1_000_000
"""Bytes; of a longer line only the number is told."""

PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its number from 1, and the document in it, or what is wrong with it."""

    number: int
    document: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


def parse(number: int, line: bytes) -> Line | None:
    """Read one line; ``None`` where it is blank. A plain JSON text is a document of that text."""
    if not line.strip():
        return None
    if len(line) > LONGEST_LINE:
        return Line(number, problem=f"the line is longer than {LONGEST_LINE:,} bytes")
    try:
        found = json.loads(line.decode("utf-8-sig"))  # a file's first line may have a mark
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError:
        return Line(number, problem="the line is not UTF-8")
    except UnicodeEncodeError:
        return Line(
            number, problem="the line has half of a character: a surrogate without its pair"
        )
    except (ValueError, RecursionError) as error:
        return Line(number, problem=f"the line is no JSON: {error}")
    if isinstance(found, str):
        found = {"text": found}
    if not isinstance(found, dict):
        return Line(number, problem='the line is no JSON object, such as {"text": "..."}')
    if not isinstance(found.get("text"), str):
        return Line(number, problem='the object has no "text" that is a text')
    return Line(number, found)


def numbered(lines: Iterable[bytes]) -> Iterator[Line]:
    """Read all lines that are not blank."""
    for number, line in enumerate(lines, 1):
        if (read := parse(number, line)) is not None:
            yield read


class Splitter:
    """Whole lines out of pieces of bytes; the rest waits for the next piece, no more of it than a line may have."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, piece: bytes) -> list[bytes]:
        """Return the lines that are whole by now."""
        *whole, rest = (self._rest + piece).split(b"\n")
        self._rest = rest[: LONGEST_LINE + 1]
        return whole

    def rest(self) -> bytes:
        """Return what was after the last line's end, and forget it."""
        rest, self._rest = self._rest, b""
        return rest


class Tail:
    """What is added to a file. It may not be there yet, be cut off, or be replaced under its name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = None
        self._splitter = Splitter()

    def lines(self) -> list[bytes]:
        """Return the whole lines added since the last call; of a file that went away what was left of it, too."""
        found: list[bytes] = []
        if self._file is not None:
            found += self._read()
            now = os.fstat(self._file.fileno())
            if now.st_size < self._file.tell():  # cut off: it begins anew
                self._file.seek(0)
                self._splitter.rest()
                found += self._read()
            elif self._replaced(now):
                found += self._leave()
        if self._file is None and self._open():
            found += self._read()
        return found

    def _read(self) -> list[bytes]:
        found: list[bytes] = []
        while piece := self._file.read(PIECE):
            found += self._splitter.add(piece)
        return found

    def _replaced(self, now: os.stat_result) -> bool:
        try:
            named = self._path.stat()
        except FileNotFoundError:
            return False  # moved away; until another comes the writer may still write to this one
        return (named.st_ino, named.st_dev) != (now.st_ino, now.st_dev)

    def _leave(self) -> list[bytes]:
        found = self._read()
        rest = self._splitter.rest()
        self.close()
        return [*found, rest] if rest else found

    def _open(self) -> bool:
        try:
            self._file = self._path.open("rb")
        except FileNotFoundError:
            return False
        return True

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
