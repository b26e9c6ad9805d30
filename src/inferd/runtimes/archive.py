"""Zip archives looked at with suspicion: PyTorch, Keras and NumPy files are all zips.

The table of contents is bounded before it is parsed, and everything two readers could understand
differently is refused: bytes before or after the archive, names given twice, names that lead out,
sizes that overlap or inflate. So what was checked here is what PyTorch's own reader will see.
"""

from __future__ import annotations

import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from inferd.runtimes.protowalk import Corrupt

MAX_ENTRIES = 200_000
MAX_DIRECTORY = 64 << 20
MAX_RATIO = 16
_SLACK = 1 << 20
_END = b"PK\x05\x06"
_END64 = b"PK\x06\x06"
_LOCATOR = b"PK\x06\x07"
_END_SIZE, _RECORD = 22, 56
_TAIL64 = _RECORD + 20 + _END_SIZE


@dataclass(frozen=True, slots=True)
class Archive:
    """The table of contents: ``root`` is the one folder all entries lie in (``""`` for none)."""

    path: Path
    root: str
    sizes: dict[str, int]

    def __contains__(self, name: str) -> bool:
        return name in self.sizes

    def under(self, folder: str) -> list[str]:
        """Return the entries whose name begins with ``folder``, without the root."""
        return [n for n in self.sizes if n.startswith(folder)]

    def read(self, name: str, most: int) -> bytes:
        """Return one entry's bytes. Raises ``Corrupt`` where it has more than ``most``."""
        if self.sizes[name] > most:
            raise Corrupt(f"{name} has {self.sizes[name]} bytes, over {most}")
        try:
            with zipfile.ZipFile(self.path) as zipped, zipped.open(self.root + name) as stream:
                data = stream.read(most + 1)
        except Exception as error:  # zipfile raises a dozen types on bytes that are no zip
            raise Corrupt(f"{name} cannot be unpacked: {_told(error)}") from None
        if len(data) != self.sizes[name]:
            raise Corrupt(f"{name} has {len(data)} bytes, not the {self.sizes[name]} it claims")
        return data


def open_archive(path: Path) -> Archive:
    """Read the table of contents of a zip. Raises ``Corrupt`` with the reason."""
    _check_end(path)
    try:
        with zipfile.ZipFile(path) as zipped:
            entries = zipped.infolist()
    except Exception as error:  # as above
        raise Corrupt(f"the zip archive is damaged: {_told(error)}") from None
    total = 0
    names: dict[str, int] = {}
    for entry in entries:
        if entry.filename in names:
            raise Corrupt(f"the zip archive holds {entry.filename!r} twice")
        _check_name(entry.filename, entry.orig_filename)
        if entry.flag_bits & 1:
            raise Corrupt("the zip archive is encrypted")
        names[entry.filename] = entry.file_size
        total += entry.file_size
    size = path.stat().st_size
    if total > MAX_RATIO * size + _SLACK:
        raise Corrupt(f"the zip archive unpacks to {total} bytes from {size}: a zip bomb")
    root = _root(names)
    return Archive(path, root, {n[len(root) :]: s for n, s in names.items() if n != root})


def _check_name(name: str, stored: str) -> None:
    parts = PurePosixPath(name).parts
    if (
        not name or name != stored or name.startswith("/") or ".." in parts
        or "\\" in name or "\0" in name or ":" in name
    ):  # fmt: skip
        raise Corrupt(f"the zip archive holds an entry named {stored!r}")


def _root(names: dict[str, int]) -> str:
    roots = {n.partition("/")[0] for n in names if "/" in n}
    if len(roots) == 1 and all("/" in n for n in names):
        return next(iter(roots)) + "/"
    return ""


def _check_end(path: Path) -> None:
    """Bound the table of contents before ``zipfile`` reads it; refuse anything around the zip."""
    size = path.stat().st_size
    if size < _END_SIZE:
        raise Corrupt("the zip archive is cut off")
    with path.open("rb") as stream:
        stream.seek(size - _END_SIZE)
        end = stream.read(_END_SIZE)
        if not end.startswith(_END) or end[-2:] != b"\0\0":
            raise Corrupt("the zip archive is cut off, or something follows it")
        count, length, offset = struct.unpack("<HII", end[10:20])
        tail = _END_SIZE
        stream.seek(max(0, size - _TAIL64))
        record = stream.read(_TAIL64)
        if record[_RECORD:].startswith(_LOCATOR):  # PyTorch writes both ends, zip64 and plain
            if len(record) < _TAIL64 or not record.startswith(_END64):
                raise Corrupt("the zip archive is cut off, or something follows it")
            long = struct.unpack("<QQQ", record[32:56])
            short = ((count, 0xFFFF), (length, 0xFFFFFFFF), (offset, 0xFFFFFFFF))
            if any(s not in (n, full) for n, (s, full) in zip(long, short, strict=True)):
                raise Corrupt("the two directories of the zip archive disagree")
            (count, length, offset), tail = long, _TAIL64
        elif count == 0xFFFF or 0xFFFFFFFF in {length, offset}:
            raise Corrupt("the zip archive is cut off")
    if count > MAX_ENTRIES or length > MAX_DIRECTORY:
        raise Corrupt(f"the zip archive claims {count} entries in a {length}-byte directory")
    if offset + length + tail != size:
        raise Corrupt("the zip archive is cut off, or has bytes before or after it")


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__
