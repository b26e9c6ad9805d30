"""100,000 requests with payloads of their own: every answer belongs to its request, nothing leaks."""

import asyncio
import contextlib
import re
import time

import numpy as np
import psutil
import pytest
from tests.system import models
from tests.system.serving import serving, until
from tests.system.test_faults import Killer
from tests.system.traffic import Load, counts, request, run, summary

MIB = 1 << 20


def values(index):
    return [float(index), float(index % 997), -float(index), 0.5]


def make(index):
    return request("/predict", values(index))


def right(shot):
    return shot.ok and shot.result == [2 * v + 1 for v in values(shot.index)]


def mappings(pid):
    """Return (mapped memory files, resident bytes in them) of a process."""
    files, resident = 0, 0
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps") as file:
        for line in file:
            if re.match(r"[0-9a-f]+-", line):
                mine = "memfd:inferd" in line
                files += mine
            elif mine and line.startswith("Rss:"):
                resident += int(line.split()[1]) * 1024
    return files, resident


class Held:
    """What a server holds at a moment of rest."""

    def __init__(self, server):
        front = psutil.Process(server.pid)
        children = front.children()
        self.descriptors = front.num_fds()
        self.threads = front.num_threads()
        self.children = len(children)
        self.zombies = sum(p.status() == psutil.STATUS_ZOMBIE for p in children)
        self.front = front.memory_info().rss
        self.memory_files, self.memory_pages = mappings(server.pid)

    def __str__(self):
        return (
            f"{self.descriptors} descriptors, {self.threads} threads, {self.children} children,"
            f" {self.zombies} zombies, front {self.front / MIB:.1f} MiB,"
            f" {self.memory_files} memory files of {self.memory_pages / MIB:.1f} MiB"
        )


def at_rest(server):
    """Wait until clients and codecs have gone, and what is idle was returned."""
    until(lambda: server.metrics()["inferd_in_flight"] == 0, 10)
    until(lambda: server.metrics()['inferd_connections{plane="data"}'] == 0, 10)
    time.sleep(3)
    return Held(server)


@pytest.mark.timeout(240)
def test_100_000_answers_belong_to_their_requests(tmp_path):
    path = models.affine(tmp_path / "affine.onnx")
    with serving(tmp_path / "server", path, "--instances", 2) as server:
        run(Load(server.data, make).closed_loop(64, 10_000))
        before = at_rest(server)

        load = Load(server.data, make)
        with Killer(server, "affine", every=0.4) as killer:
            run(load.closed_loop(64, 100_000))
        seconds = load.shots[-1].sent - load.shots[0].sent
        wrong = [s for s in load.shots if not right(s)]
        metrics = server.metrics()
        batches = metrics['inferd_batch_size_count{model="affine",version="1"}']
        print(
            f"\n{len(load.shots) / seconds:.0f}/s, {killer.hits} kills, {summary(load.shots)};"
            f" mean batch {110_000 / batches:.1f}\n before {before}\n after  {(after := at_rest(server))}"
        )

        assert len({s.index for s in load.shots}) == 100_000
        assert wrong == []
        assert killer.hits >= 5
        assert server.restarts("affine")["dead"] == killer.hits
        assert batches < 100_000  # batched across clients
        assert after.descriptors == before.descriptors
        assert after.children == before.children == 2
        assert after.zombies == 0
        assert after.memory_files == before.memory_files == 2
        assert after.threads <= before.threads + 1
        assert after.front <= 1.10 * before.front
        conserved(server)


def conserved(server):
    metrics = server.metrics()
    accepted, answered, cancelled, flying = (
        metrics[f"inferd_{name}"]
        for name in ("accepted_total", "answered_total", "cancelled_total", "in_flight")
    )
    assert accepted == answered + cancelled + flying


@pytest.mark.timeout(120)
def test_large_tensors_belong_to_their_requests_and_their_pages_are_returned(tmp_path):
    path = models.affine(tmp_path / "affine.onnx")
    rows = 60_000  # 0.9 MiB: through shared memory

    def large(index):
        array = np.full((rows, 4), index, dtype=np.float32)
        head = b"\x93NUMPY\x01\x00"
        text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, 4), }}"
        text = text.ljust((-(len(text) + 11) % 64) + len(text)) + "\n"
        raw = head + len(text).to_bytes(2, "little") + text.encode() + array.tobytes()
        return request("/predict", None, raw=raw, kind="application/x-npy")

    with serving(tmp_path / "server", path, "--instances", 2) as server:

        def wave(killing):
            load = Load(server.data, large)
            with killing:
                run(load.closed_loop(6, 40))
            for shot in load.shots:
                assert shot.status == 200, shot.body[:200]
                answer = np.array(shot.result)
                assert answer.shape == (rows, 4)
                assert (answer == 2 * shot.index + 1).all(), "another request's answer"
                shot.body = b""
            return load.shots

        wave(contextlib.nullcontext())
        wave(contextlib.nullcontext())
        before = at_rest(server)
        shots = wave(Killer(server, "affine", every=0.3))
        after = at_rest(server)
        workers = [mappings(pid) for pid in server.workers("affine")]
        print(f"\n{summary(shots)}\n before {before}\n after  {after}\n workers {workers}")

        assert after.descriptors == before.descriptors
        assert after.zombies == 0
        assert after.memory_pages <= 1 * MIB
        assert all(pages <= 1 * MIB for _, pages in workers)
        assert after.front <= 1.25 * before.front


@pytest.mark.timeout(60)
def test_every_request_is_accounted_for_at_any_moment(tmp_path):
    repository = models.acts(tmp_path / "models", seconds=0.01, more=["instances: 1"])
    with serving(tmp_path / "server", repository) as server:
        hasty = Load(server.data, make, patience=0.02)
        patient = Load(server.data, make)

        async def scene():
            async def look():
                for _ in range(20):
                    await asyncio.sleep(0.15)
                    await asyncio.to_thread(conserved, server)

            await asyncio.gather(
                hasty.open_loop(300, 3), patient.closed_loop(20, seconds=3), look()
            )

        run(scene())
        until(lambda: server.metrics()["inferd_in_flight"] == 0, 5)
        metrics = server.metrics()
        print(f"\nhasty {counts(hasty.shots)}, patient {counts(patient.shots)}")

        conserved(server)
        left = sum(not s.status for s in hasty.shots)
        assert left > 0
        assert metrics["inferd_cancelled_total"] <= left
        assert metrics["inferd_accepted_total"] <= len(hasty.shots) + len(patient.shots)
        assert metrics["inferd_accepted_total"] >= len(patient.shots)
