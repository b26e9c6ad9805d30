"""Memory of processes as the kernel counts it.

``rss`` counts shared pages in every process that maps them; ``pss`` divides them among those, so
that the sum over all processes is what the server really takes. Reading ``pss`` walks the page
tables (about a millisecond per gigabyte): do it beside the loop. Elsewhere than Linux there is no
``/proc`` and the answer is ``None``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of one process. ``pss`` is ``None`` where it may not be read."""

    rss: int
    pss: int | None


def read_memory(pid: int) -> Memory | None:
    """Return the memory of ``pid``, ``None`` where the process is gone or has no ``/proc``."""
    directory = Path("/proc") / str(pid)
    try:
        pages = int((directory / "statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return Memory(pages * os.sysconf("SC_PAGE_SIZE"), _pss(directory))


def _pss(directory: Path) -> int | None:
    try:
        for line in (directory / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


_GROUP = Path("/sys/fs/cgroup")


def available_memory(proc: Path = Path("/proc"), group: Path = _GROUP) -> int | None:
    """Return the bytes that processes here may still take, ``None`` where nothing tells.

    The least of what the machine has left and of what the container's own limit leaves (control groups,
    version 2). Cache that would be given back counts as left.
    """
    found: list[int] = []
    try:
        lines = (proc / "meminfo").read_text().splitlines()
        found += [int(n.split()[1]) * 1024 for n in lines if n.startswith("MemAvailable:")]
        most = (group / "memory.max").read_text().strip()
        if most != "max":
            used = int((group / "memory.current").read_text())
            found.append(max(0, int(most) - used + _cache(group)))
    except (OSError, ValueError, IndexError):
        pass
    return min(found) if found else None


def _cache(group: Path) -> int:
    for line in (group / "memory.stat").read_text().splitlines():
        if line.startswith("inactive_file "):
            return int(line.split()[1])
    return 0
