"""What an ONNX file says, read from its bytes: is it one, and which files does it reach for.

External data is where three attempts to fix path checks failed elsewhere (CVE-2022-25882,
CVE-2024-27318, CVE-2026-34446 and -34447), so the rule here is narrow: a location is a plain
relative name of a regular file with one name (no symbolic or hard link) in the model's directory.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from inferd.core.errors import ModelFileError
from inferd.runtimes.protowalk import Buffer, Corrupt, fields, messages

_TOP = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})
_GRAPH, _IR_VERSION, _OPSET = 7, 1, 8
_EXTERNAL = 13
MAX_LOCATIONS = 100_000


def is_model(data: Buffer) -> bool:
    """Return whether the bytes are an ONNX ``ModelProto``, by its outermost fields.

    Raises ``Corrupt`` where it begins like one and breaks off.
    """
    if len(data) < 2 or data[0] not in {0x08, 0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42}:
        return False
    graph = opset = version = False
    for field in fields(data, 0, len(data)):
        if field.number not in _TOP:
            return False
        graph |= field.number == _GRAPH and field.wire == 2
        opset |= field.number == _OPSET and field.wire == 2
        version |= field.number == _IR_VERSION and field.wire == 0
    return graph and (opset or version)


def check_external_data(path: Path) -> None:
    """Refuse a model that reaches for files out of its directory or through links, or beyond their end.

    Raises ``ModelFileError`` naming the model and the location.
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as m:
            if m.find(b"location") < 0:  # every external tensor spells this key
                return
            found = locations(m)
            ends = extents(m)
    except Corrupt as error:
        raise ModelFileError(f"{path}: is not a valid ONNX file: {error}") from None
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path}: cannot be read: {error}") from None
    for location in found:
        _check(path, location, ends.get(location, 0))


def locations(data: Buffer) -> list[str]:
    """Return the external data locations that tensors anywhere in the model name."""
    found: dict[str, None] = {}
    for start, end in messages(data, "model", "entry"):
        keys: list[bytes] = []
        values: list[bytes] = []
        for field in fields(data, start, end):
            if field.wire == 2 and field.number in {1, 2}:
                (keys if field.number == 1 else values).append(data[field.start : field.end])
        if b"location" in keys:
            for value in values or [b""]:
                found[value.decode(errors="surrogateescape")] = None
                if len(found) > MAX_LOCATIONS:
                    raise Corrupt(f"more than {MAX_LOCATIONS} external files")
    return list(found)


def extents(data: Buffer) -> dict[str, int]:
    """Return how many bytes tensors anywhere in the model need of each external file."""
    found: dict[str, int] = {}
    for start, end in messages(data, "model", "tensor"):
        said: dict[bytes, bytes] = {}
        for field in fields(data, start, end):
            if field.number == _EXTERNAL and field.wire == 2:
                entry = {
                    f.number: data[f.start : f.end] for f in fields(data, field.start, field.end)
                }
                said[bytes(entry.get(1, b""))] = bytes(entry.get(2, b""))
        offset, length = (_number(said.get(key, b"0")) for key in (b"offset", b"length"))
        if b"location" in said:
            name = said[b"location"].decode(errors="surrogateescape")
            found[name] = max(found.get(name, 0), offset + length)
    return found


def _number(text: bytes) -> int:
    return int(text) if len(text) < 20 and text.isdigit() else 0


def unshaped(path: Path) -> frozenset[str]:
    """Return the names of graph inputs and outputs whose rank the file does not state.

    ONNX Runtime reports such a shape as ``[]``, the same as a scalar's.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return frozenset(_unshaped(data))


def _unshaped(data: Buffer) -> Iterator[str]:
    for graph in fields(data, 0, len(data)):
        if graph.number != _GRAPH or graph.wire != 2:
            continue
        for info in fields(data, graph.start, graph.end):
            if info.number not in {11, 12} or info.wire != 2:
                continue
            name, shaped = "", False
            for part in fields(data, info.start, info.end):
                if part.number == 1 and part.wire == 2:
                    name = data[part.start : part.end].decode(errors="replace")
                elif part.number == 2 and part.wire == 2:
                    shaped |= _shaped(data, part.start, part.end)
            if not shaped:
                yield name


def _shaped(data: Buffer, start: int, end: int) -> bool:
    """Whether a ``TypeProto`` is a tensor type that has a shape."""
    return any(
        inner.number == 2 and inner.wire == 2
        for kind in fields(data, start, end)
        if kind.number == 1 and kind.wire == 2
        for inner in fields(data, kind.start, kind.end)
    )


def _check(model: Path, location: str, needed: int) -> None:
    def refuse(reason: str) -> ModelFileError:
        return ModelFileError(
            f"{model}: refers to external data {location!r}, which {reason}",
            help="keep external data in plain files in the model's own directory",
        )

    posix, windows = PurePosixPath(location), PureWindowsPath(location)
    if not location or "\0" in location or not location.isprintable():
        raise refuse("is no file name")
    if posix.is_absolute() or windows.drive or windows.root or location.startswith("*"):
        raise refuse("is not relative to the model")
    if ".." in posix.parts or ".." in windows.parts or "\\" in location:
        raise refuse("leads out of the model's directory")
    path = model.parent
    for part in posix.parts:
        path /= part
        if path.is_symlink():
            raise refuse("is reached through a symbolic link")
    try:
        if not path.is_file():
            raise refuse("is missing" if not path.exists() else "is not a plain file")
        status = path.stat()
        if status.st_nlink != 1:
            raise refuse("has a second name (a hard link)")
        if status.st_size < needed:
            raise refuse(f"is cut off: it has {status.st_size} bytes, and {needed} are needed")
    except OSError as error:
        raise refuse(f"cannot be looked at ({error.strerror})") from None
