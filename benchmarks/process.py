"""Servers as child processes: start, wait until they answer, weigh, end.

Each side runs in a process group of its own, so that its workers end with it and nothing else does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

ROOT = Path(__file__).parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 10.0


class Failed(Exception):
    """A side could not be measured; the text says why."""


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Process:
    """One server; a context manager that leaves nothing running."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.command = list(command)
        self.environment = dict(environment or {})
        self.child: subprocess.Popen[bytes] | None = None
        self.output: IO[bytes] | None = None

    def __enter__(self) -> Self:
        paths = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p),
            "ORT_DISABLE_TELEMETRY": "1", **self.environment,
        }  # fmt: skip
        self.output = tempfile.TemporaryFile()
        self.child = subprocess.Popen(
            self.command, env=environment, cwd=ROOT, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self.child is not None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(STOP_SECONDS)
            # Also when the leader has gone: workers that outlived it hold the cores we measure.
            self._signal(signal.SIGKILL)
            self.child.wait()
        if self.output is not None:
            self.output.close()

    def _signal(self, number: int) -> None:
        assert self.child is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, number)

    def last_words(self) -> str:
        """Return the last line the process wrote."""
        if self.output is None:
            return ""
        self.output.seek(0)
        lines = self.output.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it wrote nothing"

    def wait_for(
        self,
        port: int,
        request: bytes,
        *,
        pause: float = 0.02,
        ask: Callable[[int, bytes], int] | None = None,
    ) -> float:
        """Send ``request`` until it is answered with 200; return seconds since the call.

        ``ask`` sends it and returns a status (default: over HTTP/1.1). Raises ``Failed`` when the
        process ends or ``START_SECONDS`` pass.
        """
        ask = ask or ask_http
        start = time.monotonic()
        status = 0
        while (waited := time.monotonic() - start) < START_SECONDS:
            status = ask(port, request)
            if status == 200:
                return time.monotonic() - start
            if self.child is None or self.child.poll() is not None:
                raise Failed(f"the server ended: {self.last_words()}")
            time.sleep(pause)
        raise Failed(f"no answer within {waited:.0f} s (last status {status}): {self.last_words()}")

    def pss_mb(self) -> float:
        """Return the proportional set size of the process and all its descendants, in MB."""
        assert self.child is not None
        return sum(map(_pss, tree(self.child.pid))) / 1e6

    def count(self) -> int:
        """Return how many processes there are, descendants included."""
        assert self.child is not None
        return len(tree(self.child.pid))


def ask_http(port: int, request: bytes, timeout: float = 10.0) -> int:
    """Send one request on a fresh connection; return its status, 0 where nobody answered."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as sock:
            sock.sendall(request)
            head = sock.recv(65536)
    except OSError:
        return 0
    return int(head[9:12]) if head[9:12].isdigit() else 0


def tree(pid: int) -> list[int]:
    """Return ``pid`` and its descendants, from ``/proc``."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            parent = _parent(entry)
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, []))
    return found


def _parent(entry: Path) -> int:
    try:
        # The command name may hold spaces and brackets: fields count from the last bracket.
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
