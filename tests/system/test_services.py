"""Replicas that die and restart under load, behind a server that asks them: no request fails."""

import asyncio
import json
import signal
import socket
import time

import pytest
from tests.system import models
from tests.system.serving import Server, serving, until
from tests.system.traffic import Load, request, run, summary


def values(index):
    return [float(index), 1.0, 2.0, 3.0]


def make(index):
    return request("/predict", values(index))


def wrong(load):
    return [
        s for s in load.shots if not (s.ok and s.result == [2 * v + 1 for v in values(s.index)])
    ]


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    try:
        for sock in held:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in held]
    finally:
        for sock in held:
            sock.close()


class Replicas:
    """Two servers of one model at fixed addresses, and a deployment file that names both."""

    def __init__(self, folder, protocol):
        self.folder = folder
        self.model = models.affine(folder / "affine.onnx")
        flag = "--port" if protocol == "http" else "--grpc-port"
        self.flags = [[flag, port] for port in free_ports(2)]
        self.servers = [self.start(0), self.start(1)]
        urls = [f"{protocol}://127.0.0.1:{port}" for _, port in self.flags]
        self.deployment = folder / "deployment.yaml"
        self.deployment.write_text(json.dumps({"services": {"affine": {"url": urls}}}))
        self.turn = 2

    def start(self, index, turn=0):
        arguments = [self.model, "--instances", 1, "--drain-delay", "1s", *self.flags[index]]
        return Server(self.folder / f"replica{index}-{turn}", arguments).wait_up()

    def restart(self, index):
        self.servers[index].send(signal.SIGTERM)
        self.servers[index].process.wait(30)
        self.turn += 1
        self.servers[index] = self.start(index, self.turn)

    def kill(self):
        for server in self.servers:
            server.kill()


@pytest.fixture(params=["http", "grpc"])
def replicas(request, tmp_path):
    made = Replicas(tmp_path, request.param)
    yield made
    made.kill()


@pytest.mark.timeout(90)
def test_a_replica_killed_under_load_fails_nothing(replicas, tmp_path):
    with serving(tmp_path / "front", "--deployment", replicas.deployment) as front:
        until(lambda: front.ask("/readyz").status == 200, 10)
        load = Load(front.data, make)

        async def scene():
            over = asyncio.Event()
            shooting = asyncio.create_task(load.open_loop(200, 40, stop=over))
            await asyncio.sleep(2)
            replicas.servers[0].send(signal.SIGKILL)
            await asyncio.sleep(3)
            # One that failed slowly once is passed over for seconds before it is asked, and found down.
            await asyncio.to_thread(
                until, lambda: [r["state"] for r in described(front)] == ["down", "up"], 20
            )
            replicas.servers[0].process.wait()
            replicas.servers[0] = await asyncio.to_thread(replicas.start, 0, 9)
            await asyncio.to_thread(
                until, lambda: [r["state"] for r in described(front)] == ["up", "up"], 10
            )
            await asyncio.sleep(1)
            over.set()
            await shooting

        run(scene())
        print(f"\n{summary(load.shots)}")
        assert wrong(load) == []
        assert len(load.shots) > 1000


@pytest.mark.timeout(120)
def test_a_rolling_restart_under_load_fails_nothing(replicas, tmp_path):
    with serving(tmp_path / "front", "--deployment", replicas.deployment) as front:
        until(lambda: front.ask("/readyz").status == 200, 10)
        load = Load(front.data, make)

        async def scene():
            over = asyncio.Event()
            shooting = asyncio.create_task(load.open_loop(200, 60, stop=over))
            await asyncio.sleep(1)
            for index in (0, 1):
                await asyncio.to_thread(replicas.restart, index)
                await asyncio.to_thread(
                    until, lambda: all(r["state"] == "up" for r in described(front)), 15
                )
                await asyncio.sleep(0.5)
            over.set()
            await shooting

        run(scene())
        print(f"\n{summary(load.shots)}")
        assert wrong(load) == []


@pytest.mark.timeout(60)
def test_a_service_that_is_gone_is_refused_at_once_and_comes_back(replicas, tmp_path):
    with serving(tmp_path / "front", "--deployment", replicas.deployment) as front:
        until(lambda: front.ask("/readyz").status == 200, 10)
        for server in replicas.servers:
            server.send(signal.SIGKILL)
        until(lambda: front.ask("/predict", values(1)).status == 503, 5)
        begin = time.monotonic()
        for _ in range(50):
            front.ask("/predict", values(1))
        assert time.monotonic() - begin < 2
        assert "Retry-After" in front.ask("/predict", values(1)).headers
        for index in (0, 1):
            replicas.servers[index].process.wait()
            replicas.servers[index] = replicas.start(index, 5)
        until(lambda: front.ask("/predict", values(1)).status == 200, 10)


def described(front):
    return front.describe("affine")["replicas"]
