"""Starting a worker process: descriptors are inherited, nothing is named, nothing is pickled."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inferd.execution import memory

# Numeric libraries start a thread per core when imported, each with buffers of its own; the slots
# are the parallelism here.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(slots=True)
class Spawned:
    """A started worker: process, our end of its socket, shared memory, pipes of what it prints."""

    process: subprocess.Popen[bytes]
    sock: socket.socket
    memory_fd: int
    output: int
    errors: int
    pidfd: int | None


def environment(threads: int, base: Mapping[str, str]) -> dict[str, str]:
    """Return the worker's environment: the front's, with thread pools of ``threads``."""
    env = dict(base)
    for name in THREAD_VARIABLES:
        env[name] = str(threads)
    env["PYTHONUNBUFFERED"] = "1"
    env["ORT_DISABLE_TELEMETRY"] = "1"
    env.setdefault("MALLOC_ARENA_MAX", "2")
    path = [p for p in sys.path if p and os.path.isdir(p)]
    env["PYTHONPATH"] = os.pathsep.join(path)
    return env


def spawn(threads: int, memory_size: int = memory.DEFAULT_SIZE) -> Spawned:
    """Start a worker process. Raises ``OSError`` when the system refuses."""
    with contextlib.ExitStack() as undo, contextlib.ExitStack() as theirs_only:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        undo.callback(ours.close)
        theirs_only.callback(theirs.close)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        memory_fd = memory.create(memory_size)
        undo.callback(os.close, memory_fd)
        pipes = []
        for _ in ("stdout", "stderr"):
            pipes.append(os.pipe())
            undo.callback(os.close, pipes[-1][0])
            theirs_only.callback(os.close, pipes[-1][1])
        process = subprocess.Popen(
            [
                sys.executable, "-P", "-m", "inferd.execution.worker",
                str(theirs.fileno()), str(memory_fd), str(os.getpid()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=pipes[0][1],
            stderr=pipes[1][1],
            pass_fds=(theirs.fileno(), memory_fd),
            env=environment(threads, os.environ),
            start_new_session=True,
        )  # fmt: skip
        undo.pop_all()
    pidfd = None
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(process.pid)
    output, errors = (read_end for read_end, _ in pipes)
    os.set_blocking(output, False)
    os.set_blocking(errors, False)
    return Spawned(process, ours, memory_fd, output, errors, pidfd)


def usable_cpus(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return how many cores this process may use: its affinity, bounded by a container's quota.

    A container limited to two cores sees all of its host's; as many workers would fight for two.
    """
    count = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        granted, period = quota.read_text().split()
        if granted != "max":
            count = min(count, math.ceil(int(granted) / int(period)))
    return max(1, count)


def cpu_seconds(pid: int) -> float | None:
    """Return the CPU time a process has used, in seconds; ``None`` where that cannot be read."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rsplit(b")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return None


def memory_bytes(pid: int) -> int | None:
    """Return the resident memory of a process in bytes; ``None`` where that cannot be read."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None


def describe_exit(status: int | None) -> str:
    """Say how a process ended, for people."""
    if status is None:
        return "is still running"
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-status).name}"
        return f"was ended by signal {-status}"
    return f"exited with status {status}"
