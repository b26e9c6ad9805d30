"""The state directory: what outlives a server, locked by the server that uses it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from inferd.core.errors import ConfigError
from inferd.telemetry.logs import Log

log = Log("server")

LOCK = "lock"


class StateDirectory:
    """A directory held by one server at a time."""

    def __init__(self, path: Path, *, chosen: bool = True) -> None:
        self.path = path
        self._chosen = chosen
        self._fd: int | None = None

    def lock(self) -> None:
        """Create the directory and take its lock.

        Raises ``ConfigError`` naming the holder. The default directory, which nobody chose, is
        done without where it cannot be had: a second server on one machine must start all the same.
        """
        try:
            self._lock()
        except ConfigError as error:
            if self._chosen:
                raise
            log.warning("measured costs may not be remembered", reason=error.message)

    def _lock(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"{self.path}: the state directory cannot be used: {error.strerror}",
                help="name another with --state-dir",
            ) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip()
            os.close(fd)
            raise ConfigError(
                f"{self.path}: the state directory is used by another server"
                + (f" (process {holder})" if holder else ""),
                help="stop it, or name another directory with --state-dir",
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Give the lock back. Idempotent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
