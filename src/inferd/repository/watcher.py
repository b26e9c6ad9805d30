"""What ``--reload`` compares: the state of all files a model is made of, without reading them.

A fingerprint is a tuple of (path, modification time, size, inode). It is taken by polling, which
works on every file system (network mounts and containers send no events), and it is bounded.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator
from pathlib import Path

from inferd.core.errors import InferdError
from inferd.repository.layout import own_files
from inferd.repository.spec import PIPELINE, ModelSpec

MAX_FILES = 2000
_CODE = ".py"


def fingerprint(spec: ModelSpec) -> Hashable:
    """Return a value that changes when a file of the model changes, comes or goes.

    Watched are the artifact, ``model.yaml``, the samples and everything in the version's directory
    (code, labels, external data); for a lone file only what may belong to it. The models beside a
    pipeline are not its own. Never raises.
    """
    return tuple(sorted({row for path in _paths(spec) if (row := _row(path))}))


def _paths(spec: ModelSpec) -> Iterator[Path]:
    for path in (spec.artifact, spec.modelfile, spec.warmup):
        if path is not None:
            yield path
    if spec.page is not None:
        yield from _tree(spec.page)
    if spec.runtime == PIPELINE:
        yield from _beside_pipeline(spec.directory)
        return
    if spec.runtime == "python":
        yield from _code(spec)
    # Else the directory is not the model's own (perhaps somebody's home): only code beside it.
    if spec.modelfile is not None or _own_directory(spec):
        yield from _tree(spec.directory)


def _own_directory(spec: ModelSpec) -> bool:
    """Whether the PATH was a directory, so that all of the version's directory is the model's."""
    try:
        return Path(spec.origin).expanduser().is_dir()
    except (OSError, ValueError):
        return False


def _code(spec: ModelSpec) -> Iterator[Path]:
    top = str(spec.options.get("class", "")).partition(":")[0].partition(".")[0]
    if top:  # the whole package: a module of it may import any other
        yield from _tree(spec.directory / top)
    try:
        entries = sorted(spec.directory.iterdir())[:MAX_FILES]
    except OSError:
        return
    yield from (e for e in entries if e.suffix == _CODE)


def _beside_pipeline(directory: Path) -> Iterator[Path]:
    try:
        files, folders = own_files(directory)
    except InferdError:  # gone, or a link that leads out: the scan says so
        return
    yield from files[:MAX_FILES]
    for folder in folders:
        yield from _tree(folder)


def _tree(directory: Path) -> Iterator[Path]:
    count = 0
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(n for n in folders if not n.startswith(".") and n != "__pycache__")
        for name in sorted(names):
            if name.startswith("."):
                continue
            count += 1
            if count > MAX_FILES:
                return
            yield Path(folder, name)


def _row(path: Path) -> tuple[str, int, int, int] | None:
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return None
    return (str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino)
