"""Five times more requests than a model can take, and deadlines behind a queue."""

import asyncio
import threading
import time

import pytest
from tests.system import models
from tests.system.serving import serving
from tests.system.traffic import Load, counts, request, run, summary

BATCH, SECONDS = 8, 0.02
LATE = 0.01
"""Seconds a request may have travelled before its deadline began to count."""


def values(index):
    return [float(index), 1.0, 2.0, 3.0]


def make(index):
    return request("/predict", values(index))


def right(shot):
    return shot.ok and shot.result == [2 * v + 1 for v in values(shot.index)]


class Memory:
    """A thread that watches the resident memory of a server's processes."""

    def __init__(self, server):
        self.peak = 0
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._stop.wait(0.25):
            self.peak = max(self.peak, self._server.resident())

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


@pytest.mark.timeout(150)
def test_five_times_the_capacity(tmp_path):
    repository = models.acts(
        tmp_path / "models",
        seconds=SECONDS,
        more=["instances: 1", f"batching: {{max_size: {BATCH}}}"],
    )
    with serving(tmp_path / "server", repository) as server:
        capacity = _capacity(server)
        before = server.resident()
        load = Load(server.data, make)
        with Memory(server) as memory:
            shots = run(load.open_loop(5 * BATCH / SECONDS, 30))
        ended = time.monotonic()
        again = run(_normal(server))

        begin = shots[0].sent
        good = [s for s in shots if s.ok and s.sent + s.seconds <= begin + 30]
        goodput = len(good) / 30
        growth = memory.peak / before - 1
        print(
            f"\ncapacity {capacity:.0f}/s goodput {goodput:.0f}/s {summary(shots)}"
            f" memory {before / 2**20:.0f} MiB +{growth:.1%}; normal after {again - ended:.2f} s"
        )

        assert goodput >= 0.9 * capacity
        assert set(counts(shots)) <= {200, 429, 503}
        assert all(s.retry_after >= 1 for s in shots if not s.ok)
        assert [s for s in shots if s.ok and not right(s)] == []
        assert growth < 0.10
        assert again - ended < 5
        assert server.restarts("acts") == {}


def _capacity(server):
    """Measure what clients that wait for their answers get, a queue always there."""
    load = Load(server.data, make)
    shots = run(load.closed_loop(4 * BATCH, seconds=4))
    assert counts(shots) == {200: len(shots)}
    return len(shots) / (max(s.sent + s.seconds for s in shots) - shots[0].sent)


async def _normal(server):
    """Ask ten times a second; return when the last unusual answer had come."""
    load = Load(server.data, make)
    begin = last = time.monotonic()
    while time.monotonic() - begin < 6:
        shot = await load.shoot(1)
        if not shot.ok or shot.seconds > 5 * SECONDS:
            last = time.monotonic()
        await asyncio.sleep(0.1)
    return last


@pytest.mark.timeout(90)
def test_no_run_starts_after_its_deadline(tmp_path):
    record = tmp_path / "starts.jsonl"
    repository = models.acts(
        tmp_path / "models",
        seconds=0.2,
        record=record,
        more=["instances: 1", "batching: {max_size: 4}"],
    )
    hasty = range(1000, 1200)

    def make_mixed(index):
        headers = "X-Request-Timeout: 50ms\r\n" if index >= 1000 else ""
        return request("/predict", values(index), headers=headers)

    with serving(tmp_path / "server", repository) as server:
        load = Load(server.data, make_mixed)

        async def scene():
            patient = asyncio.create_task(load.closed_loop(3, 60))
            await load.open_loop(40, len(hasty) / 40, first=1000)
            await patient
            await asyncio.sleep(0.5)

        run(scene())
        sent = {float(s.index): s.sent for s in load.shots}
        started = {i: t for t, firsts in models.starts(record) for i in firsts if i >= 1000}
        delays = [t - sent[i] for i, t in started.items()]
        impatient = [s for s in load.shots if s.index >= 1000]
        print(
            f"\nran {len(started)} of {len(hasty)}, the latest {max(delays, default=0) * 1e3:.1f} ms"
            f" after it was sent; {counts(impatient)}; slowest refusal"
            f" {max(s.seconds for s in impatient if s.status in (429, 504)) * 1e3:.0f} ms"
        )

        assert all(s.ok for s in load.shots if s.index < 1000)
        assert counts(impatient).keys() <= {200, 429, 504}
        assert sum(s.status in (429, 504) for s in impatient) > 100
        assert max(delays, default=0) <= 0.05 + LATE
        assert max(s.seconds for s in impatient) < 0.35


@pytest.mark.timeout(60)
def test_a_deadline_holds_while_the_model_runs(tmp_path):
    repository = models.acts(tmp_path / "models", seconds=0.5, more=["instances: 1"])
    with serving(tmp_path / "server", repository) as server:
        begin = time.monotonic()
        answer = server.ask(data=values(1), headers={"X-Request-Timeout": "100ms"})
        seconds = time.monotonic() - begin

        assert answer.status == 504
        assert 0.08 < seconds < 0.3
        assert server.ask(data=values(1)).result == [3.0, 3.0, 5.0, 7.0]
