"""A model's page: the files of the directory ``page`` beside its ``model.yaml`` or ``pipeline.yaml``.

They are read into memory when the model is loaded, so what is served can be no other file, whatever a
path says. The directory is flat and bounded; what does not belong is left out, and said.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from inferd.core.errors import InferdError
from inferd.repository.layout import MAX_ENTRIES, inside

FOLDER = "page"
INDEX = "index.html"
MOST_FILES = 64
MOST_BYTES = 4 << 20
MOST_IN_ALL = 16 << 20

MEDIA: dict[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wav": "audio/wav",
}
"""Ending to content type of the files that a page may hold."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of a page. ``tag`` changes with its bytes, quoted as HTTP wants it."""

    body: bytes
    media: bytes
    tag: bytes


@dataclass(slots=True)
class Page:
    """The files of a page by name, empty where there is none, and what was left out: name, why."""

    files: dict[str, PageFile] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def folder_of(directory: Path, above: Path, root: Path) -> Path | None:
    """Return where the page of a version in ``directory`` is: there, or in its model's, ``above``.

    Raises ``ModelFileError`` where it is a link that leads out of ``root``.
    """
    for place in dict.fromkeys((directory, above)):
        folder = place / FOLDER
        if folder.is_dir():
            return inside(folder, root)
    return None


def read_page(folder: Path) -> Page:
    """Read a page; never raises. A page without ``index.html`` is none."""
    page = Page()
    try:
        entries = sorted(folder.iterdir(), key=lambda e: (e.name != INDEX, e.name))[:MAX_ENTRIES]
    except OSError as error:
        page.left_out.append((FOLDER, f"cannot be listed: {error.strerror or error}"))
        return page
    total = 0
    for entry in entries:
        if entry.name.startswith("."):
            continue
        found = _file(entry, folder, len(page.files), MOST_IN_ALL - total)
        if isinstance(found, str):
            page.left_out.append((entry.name, found))
        else:
            page.files[entry.name] = found
            total += len(found.body)
    if INDEX not in page.files:
        page.files.clear()
        page.left_out.append((FOLDER, f"it holds no {INDEX}"))
    return page


def _file(entry: Path, folder: Path, count: int, room: int) -> PageFile | str:
    """Return one file, or why it is left out."""
    media = MEDIA.get(entry.suffix)
    most = min(room, MOST_BYTES)
    try:
        if entry.is_dir():
            return "it is a directory, and a page is flat"
        if media is None:
            return f"no page holds such a file; endings: {' '.join(MEDIA)}"
        if not _NAME.fullmatch(entry.name):
            return "its name holds more than letters, digits, '.', '_' and '-'"
        if count >= MOST_FILES:
            return f"a page holds at most {MOST_FILES} files"
        inside(entry, folder)
        if not entry.is_file():
            return "it is no regular file"
        with entry.open("rb") as file:
            body = file.read(most + 1)
    except InferdError as error:
        return error.message
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if len(body) > most:
        return f"at most {MOST_BYTES} bytes a file, and {MOST_IN_ALL} in all"
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return PageFile(body, media.encode(), tag.encode())
