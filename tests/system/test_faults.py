"""Workers that are killed, stopped, hung and poisoned under load: no request may notice."""

import asyncio
import contextlib
import json
import os
import random
import signal
import threading
import time

import pytest
from tests.system import models
from tests.system.serving import serving, until
from tests.system.traffic import Load, counts, request, run, summary


def values(index):
    return [float(index), 1.0, 2.0, 3.0]


def right(shot):
    return shot.ok and shot.result == [2 * v + 1 for v in values(shot.index)]


def make(index):
    return request("/predict", values(index))


class Killer:
    """A thread that does something to the server's workers at an interval, until told to stop."""

    def __init__(self, server, model, every, number=signal.SIGKILL):
        self.hits = 0
        self._server = server
        self._model = model
        self._every = every
        self._number = number
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        choice = random.Random(7)
        while not self._stop.wait(self._every):
            pids = self._server.workers(self._model)
            if pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(choice.choice(pids), self._number)
                    self.hits += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


@pytest.mark.timeout(120)
def test_a_worker_killed_every_second_fails_no_request(tmp_path):
    path = models.affine(tmp_path / "affine.onnx")
    with serving(tmp_path / "server", path, "--instances", 2) as server:
        load = Load(server.data, make)
        with Killer(server, "affine", every=1.0) as killer:
            shots = run(load.open_loop(200, 30))
        print(f"\nkills {killer.hits}: {summary(shots)}; {server.restarts('affine')}")

        assert killer.hits >= 25
        assert len(shots) == 6000
        assert [s for s in shots if not right(s)] == []
        assert server.restarts("affine")["dead"] == killer.hits


@pytest.mark.timeout(60)
def test_every_worker_killed_at_once_fails_no_request(tmp_path):
    repository = models.acts(tmp_path / "models", seconds=0.05, more=["instances: 2"])
    with serving(tmp_path / "server", repository) as server:
        load = Load(server.data, make)

        async def scene():
            shooting = asyncio.ensure_future(load.open_loop(100, 4))
            for _ in range(3):
                await asyncio.sleep(1)
                for pid in await asyncio.to_thread(server.workers, "acts"):
                    os.kill(pid, signal.SIGKILL)
            return await shooting

        shots = run(scene())
        print(f"\n{summary(shots)}; {server.restarts('acts')}")

        assert [s for s in shots if not right(s)] == []


@pytest.mark.timeout(60)
def test_a_stopped_worker_is_replaced_within_four_seconds(tmp_path):
    path = models.affine(tmp_path / "affine.onnx")
    with serving(tmp_path / "server", path, "--instances", 2) as server:
        load = Load(server.data, make)
        before = server.workers("affine")

        async def scene():
            shooting = asyncio.ensure_future(load.open_loop(200, 8))
            await asyncio.sleep(1)
            os.kill(before[0], signal.SIGSTOP)
            begin = time.monotonic()
            while True:
                await asyncio.sleep(0.05)
                pids = await asyncio.to_thread(server.workers, "affine")
                seconds = time.monotonic() - begin
                if len(pids) == 2 and before[0] not in pids:
                    return await shooting, seconds
                assert seconds < 10

        shots, seconds = run(scene())
        print(f"\nreplaced after {seconds:.2f} s: {summary(shots)}")

        assert seconds <= 4
        assert [s for s in shots if not right(s)] == []


@pytest.mark.timeout(60)
def test_the_only_worker_stopped_is_replaced_and_its_requests_answered(tmp_path):
    path = models.affine(tmp_path / "affine.onnx")
    with serving(tmp_path / "server", path, "--instances", 1) as server:
        load = Load(server.data, make)

        async def scene():
            shooting = asyncio.ensure_future(load.open_loop(50, 6))
            await asyncio.sleep(1)
            os.kill(server.workers("affine")[0], signal.SIGSTOP)
            return await shooting

        shots = run(scene())
        print(f"\n{summary(shots)}")

        assert [s for s in shots if not right(s)] == []
        assert max(s.seconds for s in shots) <= 4


@pytest.mark.timeout(60)
@pytest.mark.parametrize("instances", [1, 2])
def test_a_poisonous_input_harms_nobody_else(tmp_path, instances):
    repository = models.acts(tmp_path / "models", more=[f"instances: {instances}"])
    poison = request("/predict", [models.ABORTS, 0.0, 0.0, 0.0])
    bad = 500

    with serving(tmp_path / "server", repository) as server:
        load = Load(server.data, lambda i: poison if i == bad else make(i))
        shots = run(load.closed_loop(32, 1001))
        print(f"\n{summary(shots)}; {server.restarts('acts')}")
        good = [s for s in shots if s.index != bad]

        assert len(good) == 1000
        assert [s for s in good if not right(s)] == []
        (refused,) = [s for s in shots if s.index == bad]
        assert refused.status == 500
        assert "model_failed" in refused.body.decode()
        deaths = sum(server.restarts("acts").values())
        assert 1 <= deaths <= 2

        again = server.ask(data=[models.ABORTS, 0.0, 0.0, 0.0])

        assert 400 <= again.status < 600
        assert again.json["error"]["kind"] == "quarantined"
        assert sum(server.restarts("acts").values()) == deaths
        assert right_now(server)


@pytest.mark.timeout(60)
def test_a_hanging_input_is_given_up_and_the_others_answered(tmp_path):
    repository = models.acts(
        tmp_path / "models", more=["instances: 1", "run_timeout: 1s", "batching: {max_size: 4}"]
    )
    hang = request("/predict", [models.HANGS, 0.0, 0.0, 0.0])

    with serving(tmp_path / "server", repository) as server:
        load = Load(server.data, lambda i: hang if i == 20 else make(i))
        shots = run(load.closed_loop(8, 100))
        print(f"\n{summary(shots)}; {server.restarts('acts')}")

        assert [s for s in shots if s.index != 20 and not right(s)] == []
        (refused,) = [s for s in shots if s.index == 20]
        assert refused.status == 500
        assert 1 <= server.restarts("acts")["stuck"] <= 2


@pytest.mark.timeout(60)
def test_a_raising_item_fails_alone(tmp_path):
    repository = models.acts(tmp_path / "models", seconds=0.005)
    bad = set(range(0, 300, 10))
    wrong = request("/predict", [models.RAISES, 0.0, 0.0, 0.0])

    with serving(tmp_path / "server", repository, traces=True) as server:
        load = Load(server.data, lambda i: wrong if i in bad else make(i))
        shots = run(load.closed_loop(24, 300))
        print(f"\n{summary(shots)}")

        assert [s for s in shots if s.index not in bad and not right(s)] == []
        failed = [s for s in shots if s.index in bad]
        assert counts(failed) == {500: len(bad)}
        assert all("a bad item" in json.loads(s.body)["error"]["message"] for s in failed)
        assert server.restarts("acts") == {}


@pytest.mark.timeout(60)
def test_requests_wait_while_their_worker_restarts(tmp_path):
    repository = models.acts(
        tmp_path / "models", seconds=0.1, more=["instances: 1", "batching: {max_size: 4}"]
    )
    with serving(tmp_path / "server", repository) as server:
        load = Load(server.data, make)

        async def scene():
            clients = asyncio.ensure_future(load.closed_loop(40, 40))
            await asyncio.sleep(0.15)
            os.kill(server.workers("acts")[0], signal.SIGKILL)
            await asyncio.sleep(0.05)
            late = await asyncio.gather(*(load.shoot(100 + i) for i in range(20)))
            await clients
            return late

        run(scene())
        print(f"\n{summary(load.shots)}")

        assert [s for s in load.shots if not right(s)] == []
        assert len(load.shots) == 60


@pytest.mark.timeout(90)
def test_a_crash_loop_makes_the_model_not_ready_with_its_reason(tmp_path):
    broken = tmp_path / "broken"
    repository = models.acts(tmp_path / "models", broken=broken, more=["instances: 1"])
    with serving(tmp_path / "server", repository) as server:
        assert right_now(server)
        broken.touch()
        os.kill(server.workers("acts")[0], signal.SIGKILL)

        until(lambda: server.ask("/v2/models/acts/ready").status == 503, 20, every=0.1)
        until(
            lambda: server.ask(data=values(1), headers={"X-Request-Timeout": "1s"}).status == 503,
            20,
        )
        told = server.ask(data=values(1))
        reason = server.ask("/v2/models/acts/ready").json["reason"]
        print(f"\n{told.body} {reason}")

        assert int(told.headers["Retry-After"]) >= 1
        assert "SIGABRT" in told.json["error"]["message"]
        assert "SIGABRT" in reason
        assert server.describe("acts")["state"] == "failed"
        assert server.ask("/healthz").status == 200

        broken.unlink()
        until(lambda: server.ask("/v2/models/acts/ready").status == 200, 40, every=0.2)

        assert right_now(server)


def right_now(server):
    return server.ask(data=values(3)).result == [2 * v + 1 for v in values(3)]
