"""One worker process as the front sees it: hostile answers, silence, ends of every kind."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from tests.execution.workers import Ear, exists

from inferd.core.clock import FakeClock, monotonic
from inferd.core.errors import ModelFileError
from inferd.execution import memory, process
from inferd.execution.blocks import SHARED_MIN
from inferd.execution.executor import Loss, Name
from inferd.execution.memory import CONTROL
from inferd.execution.process import WorkerProcess
from inferd.execution.spawn import Spawned
from inferd.execution.streams import Stream

HEAD = """
import os, socket, struct, sys, time
sock = socket.socket(fileno=int(sys.argv[1]))
def send(kind, handle, payload=b""):
    sock.sendall(struct.pack("<B3xIQ", kind, len(payload), handle) + payload)
def done(handle, statuses=b"\\0", blocks=0, tail=b""):
    send(6, handle, struct.pack("<IIIIddfI", len(statuses), blocks, 0, 0, 0.0, 0.1, 1.0, 1)
         + statuses + tail)
def block(place=0, offset=0, size=4, dims=(1,), data=b"", code=11):
    tensor = struct.pack("<H", 1) + b"y" + bytes((code, len(dims), place))
    tensor += struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<QQ", offset, size)
    return struct.pack("<IIH", 10 + len(tensor), 1, 1) + tensor + data
def job():
    head = sock.recv(16, socket.MSG_WAITALL)
    sock.recv(struct.unpack("<B3xIQ", head)[1], socket.MSG_WAITALL)
"""  # what a worker that follows its own rules would do
STILL = "time.sleep(600)"


class Rogue:
    """A front's view of a process that runs ``script`` instead of the worker."""

    def __init__(self, script, clock=monotonic, pidfd=True):
        self.ear = Ear()
        self.losses = []
        self.done = []
        ours, theirs = socket.socketpair()
        fd = memory.create(CONTROL + (1 << 20))
        read_end, write_end = os.pipe()
        child = subprocess.Popen(
            [sys.executable, "-c", HEAD + textwrap.dedent(script), str(theirs.fileno())],
            pass_fds=(theirs.fileno(),), stdout=write_end,
        )  # fmt: skip
        theirs.close()
        os.close(write_end)
        os.set_blocking(read_end, False)
        errors, unused = os.pipe()
        os.close(unused)
        pidfd = os.pidfd_open(child.pid) if pidfd else None
        spawned = Spawned(child, ours, fd, read_end, errors, pidfd)
        self.worker = WorkerProcess(
            spawned, Name("rogue", "1"), asyncio.get_running_loop(), clock,
            lambda *seen: self.done.append(seen), lambda *seen: self.losses.append(seen),
        )  # fmt: skip
        self.worker.open()

    async def until(self, check):
        await self.ear.until(check)


@contextlib.asynccontextmanager
async def rogue(script, **given):
    subject = Rogue(script, **given)
    try:
        yield subject
    finally:
        subject.worker.kill(Loss("test", "over"))
        await subject.worker.wait(5)
        assert subject.worker.reaped
        assert not exists(subject.worker.pid)


@pytest.mark.parametrize(
    "script",
    [
        "job(); sock.sendall(b'\\xff' * 16)",
        "job(); send(3, 1)",
        "job(); done(99)",
        "job(); done(1)",
        "job(); done(1, b'\\0\\0')",
        "job(); done(1, blocks=1, tail=block(size=400))",
        "job(); done(1, blocks=1, tail=block(place=1, offset=2**40))",
        "job(); done(1, blocks=1, tail=block(data=b'abc'))",
        "job(); done(1, blocks=1, tail=block(data=b'abcd', code=77))",
        "job(); send(6, 0, b'{}')",
        "send(6, 0, b'not json')",
        "job(); send(8, 0, bytes(7))",
    ],
    ids=[
        "head", "kind", "unknown-job", "no-block", "other-count", "size", "outside-memory", "short",
        "dtype", "unasked-load", "load-not-json",
        "beat",
    ],
)  # fmt: skip
def test_a_worker_that_breaks_the_protocol_is_ended_and_its_job_returned(script):
    async def main():
        async with rogue(f"{script}\n{STILL}") as subject:
            loading = None
            if script.startswith("send"):
                loading = asyncio.create_task(subject.worker.load({}, 10))
            subject.worker.submit(job := subject.ear.job((1, 0)))
            await subject.until(lambda: subject.losses)
            ((_, loss, started, waiting),) = subject.losses
            assert loss.reason == "broken"
            assert not loss.external
            assert [*started, *waiting] == [job]
            assert not subject.done
            if loading is not None:
                with pytest.raises(ModelFileError, match="protocol"):
                    await loading

    asyncio.run(main())


def test_the_last_answer_of_a_dying_worker_counts():
    script = "job(); done(1, blocks=1, tail=block(data=b'\\0\\0\\0\\0')); os.abort()"

    async def main():
        async with rogue(script) as subject:
            subject.worker.submit(job := subject.ear.job((1, 0)))
            time.sleep(0.5)  # the loop stands still: answer and end are found together
            await subject.until(lambda: subject.losses)
            assert [j for j, _ in subject.done] == [job]
            ((_, loss, started, waiting),) = subject.losses
            assert (started, waiting) == ([], [])
            assert "SIGABRT" in loss.message

    asyncio.run(main())


@pytest.mark.parametrize("pidfd", [True, False], ids=["pidfd", "no-pidfd"])
def test_a_worker_that_closes_its_socket_and_lives_on_is_ended(pidfd):
    async def main():
        async with rogue(f"sock.close(); {STILL}", pidfd=pidfd) as subject:
            await subject.until(lambda: subject.losses)
            assert subject.losses[0][1].message == "the worker closed its socket"

    asyncio.run(main())


@pytest.mark.parametrize("pidfd", [True, False], ids=["pidfd", "no-pidfd"])
def test_an_end_is_noticed_with_and_without_a_process_descriptor(pidfd):
    async def main():
        async with rogue("os._exit(5)", pidfd=pidfd) as subject:
            await subject.until(lambda: subject.losses)
            assert subject.losses[0][1].message == "the worker exited with status 5"

    asyncio.run(main())


def test_a_child_of_the_worker_that_keeps_the_socket_does_not_hide_its_end():
    script = "import subprocess; p = subprocess.Popen(['sleep', '3'], close_fds=False); os._exit(5)"

    async def main():
        async with rogue(script) as subject:
            began = time.monotonic()
            await subject.until(lambda: subject.losses)
            assert time.monotonic() - began < 2.5

    asyncio.run(main())


async def tick(subject, clock, seconds, run_timeout=1000.0, step=0.25):
    """Let ``seconds`` of the fake clock pass as supervision sees them."""
    for _ in range(round(seconds / step)):
        clock.advance(step)
        subject.worker.check(run_timeout)
        await asyncio.sleep(0)


def test_silence_ends_a_worker_that_was_heard_before():
    async def main():
        clock = FakeClock()
        async with rogue(f"send(8, 0, bytes(16)); {STILL}", clock=clock) as subject:
            await subject.until(lambda: subject.worker._greeted)
            await asyncio.sleep(0.1)  # its start-up is over: from here on it uses no CPU time
            await tick(subject, clock, process.SILENT - 0.25)
            assert not subject.losses
            await tick(subject, clock, 0.75)
            assert subject.losses[0][1].reason == "dead"
            assert "no heartbeat and no CPU time" in subject.losses[0][1].message

    asyncio.run(main())


def test_silence_before_the_first_beat_is_given_more_time():
    async def main():
        clock = FakeClock()
        async with rogue(STILL, clock=clock) as subject:
            await asyncio.sleep(0.3)
            await tick(subject, clock, process.SILENT_AT_START - 1)
            assert not subject.losses
            await tick(subject, clock, 2)
            assert subject.losses

    asyncio.run(main())


def test_cpu_time_is_a_sign_of_life():
    async def main():
        clock = FakeClock()
        async with rogue("send(8, 0, bytes(16))\nwhile True: pass", clock=clock) as subject:
            await subject.until(lambda: subject.worker._greeted)
            for _ in range(5):
                await tick(subject, clock, 1)
                await asyncio.sleep(0.1)
                await tick(subject, clock, 1)
            assert not subject.losses

    asyncio.run(main())


def test_a_loop_that_stood_still_judges_nobody_at_once():
    async def main():
        clock = FakeClock()
        async with rogue(f"send(8, 0, bytes(16)); job(); {STILL}", clock=clock) as subject:
            await subject.until(lambda: subject.worker._greeted)
            subject.worker.submit(subject.ear.job((1, 0)))
            clock.advance(60)
            subject.worker.check(10.0)
            assert not subject.losses
            clock.advance(0.25)
            subject.worker.check(10.0)
            assert subject.losses[0][1].reason == "stuck"

    asyncio.run(main())


def test_an_engine_that_steps_is_not_stuck_though_it_says_nothing_yet():
    script = """
    job()
    while True: send(8, 0, struct.pack("<QQ", 0, sock.recv(1)[0]))
    """

    async def main():
        clock = FakeClock()

        async def beat(steps):
            await tick(subject, clock, 1, run_timeout=10)
            if not subject.losses:
                subject.worker._spawned.sock.send(bytes([steps]))
                await subject.until(lambda: subject.worker._heard == clock())

        async with rogue(script, clock=clock) as subject:
            job = subject.ear.job((1, 0))
            job.entries[0].stream = Stream({})
            subject.worker.submit(job)
            for second in range(40):  # every 8 s another part of its prompt is read
                await beat(second // 8)
            assert not subject.losses
            for _ in range(8):
                await beat(4)
            assert subject.losses[0][1].reason == "stuck"

    asyncio.run(main())


def test_a_worker_that_does_not_leave_when_told_is_ended():
    script = "while True: send(8, 0, bytes(16)); time.sleep(0.01)"

    async def main():
        clock = FakeClock()
        async with rogue(script, clock=clock) as subject:
            await subject.until(lambda: subject.worker._greeted)
            subject.worker.unload()
            for _ in range(30):
                await asyncio.sleep(0.02)
                await tick(subject, clock, 0.25)
            assert subject.worker.gone
            assert not subject.losses, "its end was asked for"

    asyncio.run(main())


def test_memory_is_given_back_when_a_worker_idles():
    script = """
    job(); done(1, blocks=1, tail=block(data=bytes(4)))
    while True: send(8, 0, bytes(16)); time.sleep(0.01)
    """

    async def main():
        clock = FakeClock()
        async with rogue(script, clock=clock) as subject:
            job = subject.ear.job((1, 0))
            job.entries[0].inputs = {"x": np.ones(SHARED_MIN)}
            job.entries[0].layout.key = None
            subject.worker.submit(job)
            await subject.until(lambda: subject.done)
            arena = subject.worker._memory.arena
            assert arena.idle and arena.touched > arena.start
            clock.advance(0.5)
            subject.worker.check(10)
            assert arena.touched > arena.start
            for _ in range(3):
                clock.advance(0.8)
                await asyncio.sleep(0.05)
                subject.worker.check(10)
            assert arena.touched == arena.start

    asyncio.run(main())


def test_a_job_that_cannot_be_written_leaves_nothing_behind(monkeypatch):
    async def main():
        async with rogue(STILL) as subject:
            job = subject.ear.job((1, 0))
            job.entries[0].inputs = {"x": np.array([object()], dtype=object)}
            with pytest.raises(Exception, match="must be text or bytes"):
                subject.worker.submit(job)
            assert subject.worker.jobs == {}

    asyncio.run(main())


def test_what_is_known_of_a_worker():
    async def main():
        async with rogue(STILL) as subject:
            assert subject.worker.memory() > 0
            job = subject.ear.job((1, 0))
            subject.worker.submit(job)
            assert not subject.worker.started(job)
            subject.worker.kill(Loss("test", "over"))
            assert subject.worker.memory() is None
            assert not subject.worker.started(job)
            assert subject.losses[0][3] == [job]

    asyncio.run(main())
