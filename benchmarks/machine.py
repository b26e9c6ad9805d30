"""What the figures were measured on and with: no names of hosts, users or paths."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("onnxruntime", "numpy", "uvloop", "httptools", "orjson", "pysimdjson", "grpcio")


def facts() -> dict[str, str]:
    """Return processor, cores, memory, kernel and the versions of Python and libraries."""
    rows = {
        "processor": _field("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int((_field('/proc/meminfo', 'MemTotal') or '0').split()[0]) / 1e6:.0f} GB",
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
    }
    for library in LIBRARIES:
        try:
            rows[library] = version(library)
        except PackageNotFoundError:
            rows[library] = "not installed"
    return rows


def _field(file: str, name: str) -> str:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return ""
    return next((n.partition(":")[2].strip() for n in lines if n.startswith(name)), "")
