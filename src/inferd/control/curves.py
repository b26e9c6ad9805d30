"""Remembered cost curves: a model is measured once per (artifact, runtime version, CPU).

One small JSON file per key under the state directory; a damaged one is measured anew. Without a
directory nothing is remembered.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from pathlib import Path

import orjson

from inferd.core.errors import InferdError
from inferd.execution.executor import Curve
from inferd.execution.spawn import usable_cpus
from inferd.repository.digest import digest
from inferd.repository.spec import ModelSpec

HASHED_MAX = 32 << 20


class CurveStore:
    """Cost curves by key."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def key(self, spec: ModelSpec) -> str:
        """Return the key of a spec on this machine: artifact, transforms, options, runtime, CPU."""
        from importlib.metadata import PackageNotFoundError, version

        package = {"onnx": "onnxruntime", "torch": "torch"}.get(spec.runtime, "")
        with contextlib.suppress(PackageNotFoundError):
            package = f"{package} {version(package)}" if package else platform.python_version()
        told = orjson.dumps(spec.to_json(), option=orjson.OPT_SORT_KEYS)
        parts = [_identity(spec.artifact), told.decode(), package, cpu_model(), str(usable_cpus())]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def get(self, key: str) -> Curve | None:
        """Return a remembered curve, or ``None``."""
        if self._directory is None:
            return None
        try:
            return Curve.from_json(orjson.loads((self._directory / f"{key}.json").read_bytes()))
        except (OSError, ValueError, InferdError):
            return None

    def put(self, key: str, curve: Curve) -> None:
        """Remember a curve; a full disk is no reason to fail."""
        if self._directory is None:
            return
        path = self._directory / f"{key}.json"
        temporary = path.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):
            self._directory.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(orjson.dumps(curve.to_json()))
            temporary.replace(path)


def _identity(artifact: Path | None) -> str:
    """Return a digest of the artifact, or its metadata where measuring anew costs less than that."""
    if artifact is None:
        return ""
    with contextlib.suppress(OSError):
        status = artifact.stat()
        if artifact.is_dir():
            files = [(f.name, f.stat()) for f in sorted(artifact.iterdir()) if f.is_file()]
            if sum(status.st_size for _, status in files) > HASHED_MAX:
                rows = (f"{name}:{status.st_size}:{status.st_mtime_ns}" for name, status in files)
                return f"{artifact}:{','.join(rows)}"
        elif status.st_size > HASHED_MAX:
            return f"{artifact}:{status.st_size}:{status.st_mtime_ns}"
    return digest(artifact)


def cpu_model() -> str:
    """Return the processor's name."""
    with contextlib.suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
