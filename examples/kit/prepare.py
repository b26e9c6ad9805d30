"""Preparing an application: steps with progress, results that are kept, and a folder that appears whole.

``kept`` makes something slow once (a conversion, a training) and finds it again by what it is made from.
``application`` builds ``OUT/NAME`` aside and moves it into its place, where what it is made from changed.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from tqdm import tqdm

from examples.kit.packages import default_cache

Item = TypeVar("Item")


@contextmanager
def step(title: str) -> Iterator[None]:
    """Say that something goes on, and how long it took."""
    start = time.monotonic()
    print(f"{title} ...", flush=True)
    yield
    print(f"{title}: {time.monotonic() - start:.1f} s", flush=True)


def progress(things: Iterable[Item], title: str, total: int | None = None) -> Iterable[Item]:
    """Return the same things, with a bar where somebody watches."""
    return tqdm(things, desc=title, total=total, leave=False, disable=not sys.stderr.isatty())


def made_from(*parts: object, files: Iterable[Path] = (), libraries: Iterable[str] = ()) -> str:
    """Return one hash of values, of the contents of files, and of the versions of installed libraries."""
    found = hashlib.sha256(repr(parts).encode())
    for file in sorted(files):
        found.update(f"{file.name}\n".encode() + file.read_bytes())
    for library in sorted(libraries):
        try:
            found.update(f"{library}=={version(library)}\n".encode())
        except PackageNotFoundError:
            found.update(f"{library} is missing\n".encode())
    return found.hexdigest()


def kept(name: str, digest: str, make: Callable[[Path], None], cache: Path | None = None) -> Path:
    """Return the folder that ``make(folder)`` fills, from the cache where it was made before.

    ``digest``: what it is made from (``made_from``). Of several processes one makes it; the others wait.
    """
    cache = (cache or default_cache()) / "made"
    folder = cache / f"{name}-{digest[:16]}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache / f".{name}.lock"):
        if folder.is_dir():
            return folder
        aside = cache / f".{folder.name}.partial"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        make(aside)
        aside.rename(folder)
    return folder


@contextmanager
def _alone(where: Path) -> Iterator[None]:
    """Let one process at a time work at a folder, or at a file that is made for it; the others wait."""
    lock = os.open(where, os.O_RDONLY if where.is_dir() else os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def place(source: Path, target: Path) -> None:
    """Put a copy of a file or folder at ``target``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)


def application(out: Path, name: str, digest: str, make: Callable[[Path], None]) -> bool:
    """Bring ``out/name`` up to date; return whether anything had to be done.

    ``make(folder)`` fills a folder that is moved into its place afterwards. Of several processes one makes
    it; the others wait.
    """
    stamp = out / f".{name}.built"
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        if (out / name).is_dir() and stamp.is_file() and stamp.read_text() == digest:
            print(f"{out / name}: up to date", flush=True)
            return False
        stamp.unlink(missing_ok=True)
        aside = out / f".{name}.partial"
        shutil.rmtree(aside, ignore_errors=True)
        (aside / name).mkdir(parents=True)
        make(aside / name)  # of its own name, so that it can be served there to try it
        shutil.rmtree(out / name, ignore_errors=True)
        (aside / name).rename(out / name)
        aside.rmdir()
        stamp.write_text(digest)
    return True


def need(modules: dict[str, str]) -> None:
    """Raise ``SystemExit`` naming what to install where modules ({module: package}) are missing."""
    missing = [package for module, package in modules.items() if find_spec(module) is None]
    if missing:
        raise SystemExit(
            f"not installed: {', '.join(missing)}\nhelp: pip install {' '.join(missing)}"
        )


def options(description: str, out: str, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line of a prepare script: ``out`` and ``cache``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, default=Path(out), help=f"where to ({out})")
    parser.add_argument("--cache", type=Path, help=f"where downloads are kept ({default_cache()})")
    sys.excepthook = _told
    return parser.parse_args(arguments)


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say that Ctrl-C ended it in a line; anything else as Python does."""
    if issubclass(kind, KeyboardInterrupt):
        print("stopped; run it again: what is whole is kept", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
