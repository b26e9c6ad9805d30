"""Shared memory: the allocator never overlaps, the seals hold, pages go back to the system."""

import fcntl
import mmap
import os
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from inferd.execution import memory
from inferd.execution.memory import ALIGN, CONTROL, SLOTS_MAX, Arena, SharedMemory

linux = pytest.mark.skipif(sys.platform != "linux", reason="memory files are a Linux thing")
SIZE = CONTROL + 64 * ALIGN


@pytest.fixture
def fd():
    fd = memory.create(SIZE)
    yield fd
    os.close(fd)


class ArenaRules(RuleBasedStateMachine):
    """The allocator against a plain list of who holds what."""

    @initialize(pages=st.integers(1, 40))
    def make(self, pages):
        self.arena = Arena(CONTROL, CONTROL + pages * ALIGN)
        self.held = {}

    @rule(size=st.integers(0, 12 * ALIGN))
    def allocate(self, size):
        offset = self.arena.allocate(size)
        if offset is None:
            assert self.longest_hole() < max(size, 1)
        else:
            self.held[offset] = max(size, 1)

    @rule(data=st.data())
    def release(self, data):
        if self.held:
            offset = data.draw(st.sampled_from(sorted(self.held)))
            del self.held[offset]
            assert self.arena.release(offset)

    @rule(offset=st.integers(0, 60 * ALIGN))
    def release_what_is_not_held(self, offset):
        if offset not in self.held:
            assert not self.arena.release(offset)

    def longest_hole(self):
        spans = sorted((o, o + -(-n // ALIGN) * ALIGN) for o, n in self.held.items())
        edges = [self.arena.start, *(e for span in spans for e in span), self.arena.end]
        return max(b - a for a, b in zip(edges[::2], edges[1::2], strict=True))

    @invariant()
    def nothing_overlaps_or_lies_outside(self):
        end = self.arena.start
        for offset, size in sorted(self.held.items()):
            assert offset >= end
            assert offset % ALIGN == 0
            end = offset + size
        assert end <= self.arena.end
        assert self.arena.touched >= end
        assert self.arena.idle == (not self.held)
        assert self.arena.used == sum(-(-n // ALIGN) * ALIGN for n in self.held.values())


TestArena = ArenaRules.TestCase
TestArena.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_freed_arena_is_whole_again():
    arena = Arena(0, 8 * ALIGN)
    offsets = [arena.allocate(ALIGN) for _ in range(8)]
    assert arena.allocate(1) is None
    for offset in [*offsets[::2], *offsets[1::2]]:
        assert arena.release(offset)

    assert arena.allocate(8 * ALIGN) == 0


def test_the_halves_do_not_meet(fd):
    front, worker = SharedMemory(fd, "inputs"), SharedMemory(fd, "outputs")

    assert front.arena.start == CONTROL
    assert front.arena.end == worker.arena.start
    assert worker.arena.end == SIZE
    front.close()
    worker.close()


def test_what_one_side_writes_the_other_reads(fd):
    front, worker = SharedMemory(fd, "inputs"), SharedMemory(fd, "outputs")
    offset, view = front.place(5)
    view[:] = b"hello"
    view.release()

    assert bytes(worker.view[offset : offset + 5]) == b"hello"
    front.close()
    worker.close()


def test_a_full_half_places_nothing(fd):
    front = SharedMemory(fd, "inputs")

    assert front.place(SIZE) is None
    front.close()


@linux
@pytest.mark.parametrize(
    "attack",
    [
        lambda fd: os.ftruncate(fd, ALIGN),
        lambda fd: os.ftruncate(fd, 2 * SIZE),
        lambda fd: fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE),
        lambda fd: os.pwrite(fd, b"x", SIZE),
    ],
    ids=["shrink", "grow", "seal-writes", "write-past-the-end"],
)
def test_the_seals_hold(fd, attack):
    with pytest.raises(OSError):
        attack(fd)
    assert os.fstat(fd).st_size == SIZE


@linux
def test_the_descriptor_is_not_inherited_by_accident(fd):
    assert not os.get_inheritable(fd)


def blocks_used(fd):
    return os.fstat(fd).st_blocks * 512


@linux
def test_pages_cost_nothing_until_touched_and_are_given_back(fd):
    assert blocks_used(fd) == 0
    front = SharedMemory(fd, "inputs")
    offset, view = front.place(16 * ALIGN)
    view[:] = b"x" * len(view)
    view.release()
    assert blocks_used(fd) >= 16 * ALIGN

    assert front.trim() == 0, "what is allocated must stay"
    front.arena.release(offset)
    assert front.trim() >= 16 * ALIGN
    assert blocks_used(fd) == 0
    assert front.trim() == 0
    assert bytes(front.view[offset : offset + 4]) == bytes(4)
    front.close()


@linux
def test_trimming_one_half_leaves_the_other_and_the_marks(fd):
    front, worker = SharedMemory(fd, "inputs"), SharedMemory(fd, "outputs")
    worker.mark(3, 77)
    mine, view = worker.place(ALIGN)
    view[:3] = b"abc"
    view.release()
    theirs, _ = front.place(4 * ALIGN)
    front.arena.release(theirs)
    front.trim()

    assert front.marks() == {77}
    assert bytes(front.view[mine : mine + 3]) == b"abc"
    front.close()
    worker.close()


@given(st.lists(st.tuples(st.integers(0, SLOTS_MAX - 1), st.integers(0, 2**64 - 1))))
def test_marks_say_which_jobs_run(changes):
    fd = memory.create(SIZE)
    front, worker = SharedMemory(fd, "inputs"), SharedMemory(fd, "outputs")
    os.close(fd)
    slots = {}
    for slot, job in changes:
        worker.mark(slot, job)
        slots[slot] = job
    assert front.marks() == set(slots.values()) - {0}
    front.close()
    worker.close()


def test_closing_lets_views_live_on(fd):
    front = SharedMemory(fd, "inputs")
    _, view = front.place(3)
    view[:] = b"abc"
    front.close()

    assert bytes(view) == b"abc"


def test_without_memory_files_an_unlinked_file_serves(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(memory.tempfile, "tempdir", str(tmp_path))
    fd = memory.create(SIZE)
    shared = SharedMemory(fd, "inputs")
    os.close(fd)
    offset, view = shared.place(ALIGN)
    view[:2] = b"ok"
    view.release()

    assert bytes(shared.view[offset : offset + 2]) == b"ok"
    assert not list(tmp_path.iterdir())
    shared.arena.release(offset)
    assert shared.trim()
    shared.close()


def test_sizes_are_whole_pages():
    assert ALIGN % mmap.PAGESIZE == CONTROL % mmap.PAGESIZE == 0
    assert CONTROL >= 8 * SLOTS_MAX
