"""Which format a file has, by its content alone.

Reads are bounded, nothing is unpickled, imported or executed. The order matters: formats that say
what they are by a magic number, zips by what is in them, pickles by their opcodes, ONNX by the
structure of its outermost message, then texts.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

from inferd.runtimes.archive import Archive, open_archive
from inferd.runtimes.formats import PREFIXES, TEXTS
from inferd.runtimes.onnxfile import is_model
from inferd.runtimes.pickles import (
    MAX_BYTES,
    TORCH_LEGACY,
    Imports,
    looks_like_pickle,
    scan_bytes,
    scan_file,
    scan_torch_legacy,
)
from inferd.runtimes.protowalk import Corrupt

HEAD = 4096
NOTHING = Imports(())


@dataclass(frozen=True, slots=True)
class Finding:
    """The format's id, and for pickles what they import."""

    format: str
    imports: Imports = NOTHING


def probe(path: Path) -> Finding:
    """Return what a non-empty file is. Raises ``Corrupt`` (it begins well and is broken), OSError.

    The archive of a ``.pt2`` is not judged here; see ``exportfile``.
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return zip_kind(open_archive(path))
    if head.startswith(TORCH_LEGACY):
        return _torch(scan_torch_legacy(path))
    for offset, prefix, found in PREFIXES:
        if head[offset : offset + len(prefix)] == prefix:
            return Finding(found)
    if looks_like_pickle(head):
        return _pickle(path)
    if not head.strip(b"\0"):
        return Finding("zeros")
    if _safetensors(head, path.stat().st_size):
        return Finding("safetensors")
    text = _text(head)
    if text is not None:
        return Finding(text)
    return _onnx(path)


def zip_kind(archive: Archive) -> Finding:
    """Return which of the formats that are zips an archive is."""
    if "archive_format" in archive and archive.under("models/"):
        return Finding("torch-export")
    if "serialized_exported_program.json" in archive:
        return Finding("torch-export")
    if "constants.pkl" in archive and archive.under("code/"):
        return Finding("torchscript")
    if "data.pkl" in archive:
        return _torch(scan_bytes(archive.read("data.pkl", MAX_BYTES)))
    if "model.weights.h5" in archive or ("config.json" in archive and "metadata.json" in archive):
        return Finding("keras")
    if archive.sizes and all(n.endswith(".npy") for n in archive.sizes):
        return Finding("npz")
    return Finding("zip")


def _torch(imports: Imports) -> Finding:
    return Finding("torch-pickle" if imports.foreign else "torch-state-dict", imports)


def _pickle(path: Path) -> Finding:
    try:
        imports = scan_file(path)
    except Corrupt:
        # joblib writes arrays between opcodes, which no opcode reader can step over.
        with path.open("rb") as stream:
            head = stream.read(1 << 20)
        return Finding("joblib" if b"joblib" in head else "pickle")
    joblib = any(n.startswith("joblib") for n in imports.names)
    return Finding("joblib" if joblib else "pickle", imports)


def _safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return len(head) > 9 and head[8:9] == b"{" and 2 <= length <= size - 8


def _text(head: bytes) -> str | None:
    if b"\0" in head:
        return None
    sample = head[: HEAD - 4] if len(head) == HEAD else head
    try:
        decoded = sample.decode("utf-8-sig", errors="strict" if len(head) < HEAD else "ignore")
    except UnicodeDecodeError:
        return None
    if any(c < " " and c not in "\t\n\r\f\x1b" for c in decoded):
        return None
    if len(head) == HEAD and len(decoded.encode()) < len(sample) - 8:
        return None
    start = decoded.lstrip().lower().encode()
    return next((found for prefix, found in TEXTS if start.startswith(prefix)), "text")


def _onnx(path: Path) -> Finding:
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return Finding("onnx" if is_model(data) else "unknown")
