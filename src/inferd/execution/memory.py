"""Shared memory of one worker: one sparse, sealed file without a name.

The file is made and sealed (no shrinking, growing or further seals) before the worker exists, so
neither side can pull pages from under the other. Layout::

    [0, CONTROL)                 control page: the job each slot is running (u64 each)
    [CONTROL, middle)            inputs, allocated by the front
    [middle, end)                outputs, allocated by the worker

Each half has one allocator, owned by the side that writes there; the other side only reads, and
says when it is done. Pages cost nothing until touched and are returned by hole punching once a
half has been idle. Where memory files do not exist (not Linux), an unlinked temporary file.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
import tempfile

SLOTS_MAX = 64
ALIGN = max(4096, mmap.PAGESIZE)
CONTROL = ALIGN
DEFAULT_SIZE = CONTROL + (512 << 20)

_MARK = struct.Struct("<Q")


def create(size: int = DEFAULT_SIZE) -> int:
    """Return the descriptor of a new sealed sparse file of ``size`` bytes, close-on-exec."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("inferd", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        fd, path = tempfile.mkstemp(prefix="inferd-")
        os.unlink(path)
    try:
        os.ftruncate(fd, size)
        if hasattr(os, "memfd_create"):
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(fd)
        raise
    return fd


class Arena:
    """First-fit allocator of one half; the caller serialises access."""

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self._holes: list[tuple[int, int]] = [(start, end - start)]
        self._used: dict[int, int] = {}
        self.touched = start

    @property
    def used(self) -> int:
        """Bytes allocated now."""
        return sum(self._used.values())

    @property
    def idle(self) -> bool:
        """Whether nothing is allocated."""
        return not self._used

    def allocate(self, size: int) -> int | None:
        """Return the offset of ``size`` free bytes, or ``None`` when there is no such hole."""
        need = (max(size, 1) + ALIGN - 1) // ALIGN * ALIGN
        for i, (offset, length) in enumerate(self._holes):
            if length >= need:
                if length == need:
                    del self._holes[i]
                else:
                    self._holes[i] = (offset + need, length - need)
                self._used[offset] = need
                self.touched = max(self.touched, offset + need)
                return offset
        return None

    def release(self, offset: int) -> bool:
        """Give an allocation back; False for an offset that is not allocated."""
        size = self._used.pop(offset, None)
        if size is None:
            return False
        merged: list[tuple[int, int]] = []
        for start, length in sorted([*self._holes, (offset, size)]):
            if merged and merged[-1][0] + merged[-1][1] == start:
                merged[-1] = (merged[-1][0], merged[-1][1] + length)
            else:
                merged.append((start, length))
        self._holes = merged
        return True


class SharedMemory:
    """One side's mapping: ``arena`` is the half this side writes (``"inputs"`` or ``"outputs"``)."""

    def __init__(self, fd: int, writes: str) -> None:
        self.size = os.fstat(fd).st_size
        self._map = mmap.mmap(fd, self.size)
        self.view = memoryview(self._map)
        middle = CONTROL + (self.size - CONTROL) // 2 // ALIGN * ALIGN
        if writes == "inputs":
            self.arena = Arena(CONTROL, middle)
        else:
            self.arena = Arena(middle, self.size)

    def place(self, size: int) -> tuple[int, memoryview] | None:
        """Allocate ``size`` bytes: (offset, view of them), or ``None``."""
        offset = self.arena.allocate(size)
        if offset is None:
            return None
        return offset, self.view[offset : offset + size]

    def trim(self) -> int:
        """Return the pages of an idle half to the system; gives the bytes punched."""
        arena = self.arena
        length = arena.touched - arena.start
        if not arena.idle or length <= 0:
            return 0
        if hasattr(mmap, "MADV_REMOVE"):
            with contextlib.suppress(OSError):
                self._map.madvise(mmap.MADV_REMOVE, arena.start, length)
        arena.touched = arena.start
        return length

    def mark(self, slot: int, job: int) -> None:
        """Note that ``slot`` runs ``job`` (0: nothing)."""
        _MARK.pack_into(self._map, 8 * slot, job)

    def marks(self) -> set[int]:
        """Return the jobs the worker noted as running."""
        found = {_MARK.unpack_from(self._map, 8 * i)[0] for i in range(SLOTS_MAX)}
        return found - {0}

    def close(self) -> None:
        """Unmap; views still held elsewhere keep the mapping alive until they go."""
        with contextlib.suppress(BufferError):
            self.view.release()
            self._map.close()
