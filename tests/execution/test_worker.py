"""The worker's loop: spoken to over a raw socket, in this process and as a process."""

import os
import socket
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import orjson
import pytest
from tests.execution.workers import PRINT, launch, probe_spec

from inferd.core.errors import ModelFailed
from inferd.execution import frames, memory
from inferd.execution.blocks import Block, each
from inferd.execution.frames import HEAD, OK, Outcome, joined
from inferd.execution.memory import SharedMemory
from inferd.execution.spawn import environment
from inferd.execution.worker import Worker

SIZE = 1 << 22


class Program:
    """Answers with what ``answer`` makes of the entries; remembers the deadlines it was given."""

    def __init__(self, answer=None):
        self.answer = answer or (lambda entries: entries)
        self.deadlines = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def run(self, blocks, deadlines, budget, shared=False):
        self.entered.set()
        self.gate.wait(10)
        self.deadlines.append(tuple(deadlines))
        return Outcome(
            bytes([OK]) * len(deadlines), [Block(1, e) for e in self.answer(each(blocks))], {}
        )


class Front:
    """The other end of a worker that runs in a thread."""

    def __init__(self, program):
        self.fd = memory.create(SIZE)
        self.memory = SharedMemory(self.fd, "inputs")
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(10)
        self.theirs = theirs
        self.worker_memory = SharedMemory(self.fd, "outputs")
        self.worker = Worker(theirs, self.worker_memory)
        self.worker._program = program
        self.status = []
        self.thread = threading.Thread(target=lambda: self.status.append(self.worker.serve()))
        self.thread.start()

    def send(self, parts):
        self.sock.sendall(joined(parts))

    def add(self, handle, *arrays, deadline=float("inf"), place=True):
        entries = [(None, {"x": a}) for a in arrays]
        parts, spans = frames.write_add(
            handle, entries, [deadline] * len(entries), 0, self.memory.place if place else None
        )
        self.send(parts)
        return spans

    def receive(self, *, beats=False):
        while True:
            kind, size, handle = frames.parse_head(self._exactly(HEAD.size))
            payload = self._exactly(size)
            if beats or kind != frames.BEAT:
                return kind, handle, memoryview(payload)

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            got = self.sock.recv(size - len(data))
            assert got, "the worker closed its socket"
            data += got
        return data

    def outcome(self, entries=1):
        kind, handle, payload = self.receive()
        assert kind == frames.DONE
        return handle, *frames.read_outcome(payload, entries, self.memory.view)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.worker._program.gate.set()
        if self.thread.is_alive():
            self.send(frames.frame(frames.UNLOAD, 0, []))
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.sock.close()
        self.theirs.close()
        os.close(self.fd)


def test_a_job_is_answered_and_no_longer_marked():
    with Front(Program()) as front:
        front.add(7, np.arange(3.0), np.arange(2.0))
        handle, outcome, spans = front.outcome(2)

        assert handle == 7 and spans == []
        assert [e["x"].tolist() for e in each(outcome.blocks)] == [[0, 1, 2], [0, 1]]
        until(lambda: front.memory.marks() == set())


def until(check):
    end = time.monotonic() + 10
    while not check():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_a_running_job_is_marked_and_a_waiting_one_is_not():
    program = Program()
    program.gate.clear()
    with Front(program) as front:
        front.add(7, np.arange(3.0))
        front.add(8, np.arange(3.0))
        assert program.entered.wait(10)
        assert front.memory.marks() == {7}


def test_large_tensors_travel_through_memory_that_is_given_back():
    big = np.arange(200_000, dtype=np.float32)
    with Front(Program()) as front:
        for handle in range(1, 8):  # more than fits at once
            spans = front.add(handle, big)
            assert len(spans) == 1
            _, outcome, back = front.outcome()
            assert len(back) == 1
            assert np.array_equal(outcome.blocks[0].tensors["x"], big)
            front.memory.arena.release(spans[0][0])
            offsets = [offset for offset, _ in back]
            front.send(frames.frame(
                frames.CREDIT, 0, [struct.pack(f"<I{len(offsets)}Q", 1, *offsets)]
            ))  # fmt: skip
        front.add(9, np.zeros(1))
        front.outcome()
        assert front.worker_memory.arena.idle


def test_without_credit_answers_come_inline():
    big = np.arange(200_000, dtype=np.float32)
    with Front(Program()) as front:
        inline = 0
        for handle in range(1, 7):
            front.add(handle, big, place=False)
            _, outcome, spans = front.outcome()
            assert np.array_equal(outcome.blocks[0].tensors["x"], big)
            inline += not spans
        assert inline > 0


def test_a_cancelled_job_that_waits_is_given_no_time():
    program = Program()
    program.gate.clear()
    with Front(program) as front:
        front.add(1, np.zeros(1))
        assert program.entered.wait(10)
        front.add(2, np.zeros(1))
        front.add(3, np.zeros(1))
        front.send(frames.frame(frames.CANCEL, 2, []))
        front.send(frames.frame(frames.CANCEL, 99, []))
        program.gate.set()
        assert [front.outcome()[0] for _ in range(3)] == [1, 2, 3]
        assert program.deadlines == [(float("inf"),), (0.0,), (float("inf"),)]
        assert not front.worker._cancelled, "nothing is kept of jobs that are over"


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (np.zeros(1, complex), "complex128"),
        (np.array([object()], dtype=object), "must be text or bytes"),
        (np.zeros(1, "datetime64[s]"), "datetime64"),
    ],
    ids=["complex", "objects", "dates"],
)
def test_an_answer_that_cannot_be_sent_fails_its_entry_only(bad, words):
    big = np.ones(100_000)
    program = Program(lambda entries: [{"x": big}, {"x": bad}, {"x": np.ones(1)}])
    with Front(program) as front:
        front.add(1, *[np.zeros(1)] * 3)
        _, outcome, spans = front.outcome(3)

        assert list(outcome.errors) == [1]
        assert isinstance(outcome.errors[1], ModelFailed)
        assert words in outcome.errors[1].message
        assert [len(e["x"]) for e in each(outcome.blocks)] == [100_000, 1]
        assert not spans
        assert front.worker_memory.arena.idle


def test_an_answer_over_a_frames_size_is_an_error(monkeypatch):
    monkeypatch.setattr(frames, "MAX_PAYLOAD", 1 << 20)
    huge = np.empty(1 << 23, np.uint8)
    with Front(Program(lambda _entries: [{"x": huge}])) as front:
        front.add(1, np.zeros(1))
        _, outcome, _ = front.outcome()

        assert "too large" in outcome.errors[0].message


def test_a_program_that_raises_is_no_end_of_the_worker(capfd):
    def fail(_entries):
        raise RuntimeError("a bug")

    with Front(Program(fail)) as front:
        front.add(1, np.zeros(1), np.zeros(1))
        _, outcome, _ = front.outcome(2)
        assert [e.kind for e in outcome.errors.values()] == ["internal"] * 2
        front.add(2, np.zeros(1))
        assert front.outcome()[0] == 2
    assert "RuntimeError: a bug" in capfd.readouterr().err


def test_it_beats():
    with Front(Program()) as front:
        kind, _, payload = front.receive(beats=True)

        assert kind == frames.BEAT
        cpu, steps = struct.unpack("<QQ", payload)
        assert cpu > 0 and steps == 0


def test_slots_grow_with_credit():
    program = Program()
    program.gate.clear()
    with Front(program) as front:
        front.send(frames.frame(frames.CREDIT, 0, [struct.pack("<I", 3)]))
        for handle in (1, 2, 3):
            front.add(handle, np.zeros(1))
        until(lambda: front.memory.marks() == {1, 2, 3})
        program.gate.set()
        assert sorted(front.outcome()[0] for _ in range(3)) == [1, 2, 3]


def test_unload_ends_it():
    with Front(Program()) as front:
        front.send(frames.frame(frames.UNLOAD, 0, []))
        front.thread.join(10)
        assert front.status == [0]


# -- as a process ---------------------------------------------------------------------------------


class Process:
    """A worker process at the end of a raw socket."""

    def __init__(self, parent=None):
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(20)
        fd = memory.create(SIZE)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "inferd.execution.worker", str(theirs.fileno()), str(fd),
             str(parent or os.getpid())],
            pass_fds=(theirs.fileno(), fd), env=environment(1, os.environ),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        theirs.close()
        os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        self.sock.close()


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 16,
        joined(frames.frame(frames.ADD, 1, [b"\xff" * 40])),
        HEAD.pack(frames.ADD, 0, 1),
    ],
    ids=["head", "job", "empty-job"],
)
def test_a_frame_that_breaks_the_schema_ends_the_worker(data):
    with Process() as worker:
        worker.sock.sendall(data)
        assert worker.process.wait(20) == 1
        assert b"worker: " in worker.process.stdout.read()


def test_a_worker_whose_front_is_not_its_parent_does_not_stay():
    with Process(parent=1) as worker:
        assert worker.process.wait(20) == 1


def test_it_loads_answers_and_never_unpickles(tmp_path):
    source = """
    import sys
    from inferd import Model

    def tell(event, args):
        if event == "pickle.find_class":
            print("UNPICKLED", args, flush=True)

    sys.addaudithook(tell)

    class Probe(Model):
        inputs = {"x": ("float32", [-1, 2])}
        outputs = {"y": ("float32", [-1])}

        def predict(self, x):
            print("ran", flush=True)
            return x[:, 0]
    """
    order = {**launch(probe_spec(tmp_path, source)).order, "curve": None}
    with Process() as worker:
        worker.sock.sendall(joined(frames.json_frame(frames.LOAD, 0, order)))
        parts, _ = frames.write_add(
            1, [(None, {"x": np.array([[4, PRINT]], np.float32)})], [float("inf")], 0
        )
        worker.sock.sendall(joined(parts))
        answers = {}
        while len(answers) < 2:
            head = worker.sock.recv(HEAD.size, socket.MSG_WAITALL)
            kind, size, handle = frames.parse_head(head)
            payload = worker.sock.recv(size, socket.MSG_WAITALL)
            if kind == frames.DONE:
                answers[handle] = payload
        loaded = orjson.loads(answers[0])
        assert loaded["runtime"] == "python" and loaded["curve"]["points"]
        outcome, _ = frames.read_outcome(memoryview(answers[1]), 1, None)
        assert outcome.blocks[0].tensors["y"].tolist() == [4]
        worker.sock.sendall(joined(frames.frame(frames.UNLOAD, 0, [])))
        assert worker.process.wait(20) == 0
        said = worker.process.stdout.read()
        assert b"ran" in said and b"UNPICKLED" not in said
