"""SHA-256 of an artifact, streamed: the identity under which costs and provenance are kept."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from inferd.core.errors import ModelFileError

CHUNK = 1 << 20
MAX_FILES = 100_000


def digest(path: Path) -> str:
    """Return the SHA-256 (hex) of a file, or of a directory's files with their names.

    A directory's digest covers relative paths, sizes and bytes in order of name; hidden entries and
    ``__pycache__`` are left out and links are not followed. Raises ``ModelFileError``.
    """
    total = hashlib.sha256()
    try:
        if path.is_file():
            _file(path, total)
            return total.hexdigest()
        for file in _files(path):
            name = os.fsencode(file.relative_to(path).as_posix())
            total.update(b"%d:%s:%d:" % (len(name), name, file.stat().st_size))
            _file(file, total)
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror or error}") from None
    return total.hexdigest()


def _file(path: Path, into: hashlib._Hash) -> None:
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            into.update(chunk)


def _files(directory: Path) -> list[Path]:
    found: list[Path] = []

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(directory, onerror=fail):
        folders[:] = sorted(n for n in folders if not n.startswith(".") and n != "__pycache__")
        found += [Path(folder, n) for n in names if not n.startswith(".")]
        if len(found) > MAX_FILES:
            raise ModelFileError(f"{directory}: holds over {MAX_FILES} files")
    return sorted(f for f in found if f.is_file() and not f.is_symlink())
