"""Start and stop of a server as a process: signals, exit statuses, a start that fails."""

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
import time

import psutil
import pytest
from tests.system import models
from tests.system.serving import Server, run, until


@pytest.fixture(scope="module")
def affine(tmp_path_factory):
    return models.affine(tmp_path_factory.mktemp("lifespan") / "affine.onnx")


@pytest.fixture
def start(tmp_path):
    servers = []

    def started(*arguments, name="server", wait=True):
        server = Server(tmp_path / name, arguments)
        servers.append(server)
        return server.wait_up() if wait else server

    yield started
    for server in servers:
        server.kill()


def test_ctrl_c_ends_at_once(affine, start):
    server = start(affine)
    workers = server.workers("affine")

    status, seconds = server.stop(signal.SIGINT)

    assert status == 0
    assert seconds < 0.9
    assert not [pid for pid in workers if psutil.pid_exists(pid)]
    assert "Traceback" not in server.log


def test_sigterm_serves_on_for_the_drain_delay(affine, start):
    server = start(affine, "--drain-delay", "0.6")
    connection = http.client.HTTPConnection(*server.data, timeout=10)

    with contextlib.closing(connection):
        _ask(connection)
        server.send(signal.SIGTERM)
        until(lambda: server.ask("/readyz").status == 503, 0.5, every=0.01)
        assert server.ask("/readyz").json["reasons"] == ["the server is stopping"]
        assert server.ask("/healthz").status == 200
        assert server.ask(data=[1, 2, 3, 4]).status == 200
        answer = _ask(connection)
        assert answer.headers["Connection"] == "close"

    assert server.process.wait(10) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(server.data)


def _ask(connection):
    connection.request("POST", "/predict", json.dumps({"data": [1, 2, 3, 4]}))
    answer = connection.getresponse()
    answer.read()
    return answer


def test_a_second_signal_ends_the_wait(start, tmp_path):
    server = start(models.acts(tmp_path / "models", seconds=5, quick=True), "--drain-delay", "0")
    answers = []
    asking = threading.Thread(target=lambda: answers.append(server.ask(data=[1, 2, 3, 4])))
    asking.start()
    time.sleep(0.2)
    begin = time.monotonic()
    server.send(signal.SIGTERM)
    time.sleep(0.1)

    server.send(signal.SIGTERM)
    asking.join()
    told = time.monotonic() - begin
    status = server.process.wait(10)

    assert [a.status for a in answers] == [503]
    assert told < 0.6
    assert status == 0
    assert time.monotonic() - begin < 3


def test_a_signal_while_models_load_ends_the_start(start, tmp_path):
    folder = models.acts(tmp_path / "models")
    code = folder / "acts" / "1" / "acting.py"
    code.write_text(
        code.read_text().replace(
            "def load(self, path):", "def load(self, path):\n        time.sleep(60)"
        )
    )
    server = start(folder, wait=False)
    until(lambda: len(server.processes()) > 1, 10)
    time.sleep(0.3)

    status, seconds = server.stop(signal.SIGINT)

    assert status == 0
    assert seconds < 3
    assert "Traceback" not in server.log


def test_workers_end_with_a_front_that_is_killed(affine, start):
    server = start(affine, "--instances", 2)
    workers = server.workers("affine")

    os.kill(server.pid, signal.SIGKILL)
    server.process.wait()

    until(lambda: not [p for p in workers if _lives(p)], 5)


def _lives(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_a_state_directory_in_use_is_refused(affine, start, tmp_path):
    server = start(affine, "--state-dir", tmp_path / "state")

    said = run(
        "serve",
        affine,
        "--port",
        0,
        "--admin-port",
        0,
        "--grpc-port",
        0,
        "--state-dir",
        tmp_path / "state",
    )

    assert said.returncode == 2
    assert f"process {server.pid}" in said.stderr
    assert "--state-dir" in said.stderr


def test_one_bad_model_stops_the_start_and_leaves_no_process(tmp_path):
    folder = models.acts(tmp_path / "models")
    (folder / "rotten" / "1").mkdir(parents=True)
    (folder / "rotten" / "1" / "rotten.onnx").write_bytes(b"\x08\x08rotten")

    said = run(
        "serve",
        folder,
        "--port",
        0,
        "--admin-port",
        0,
        "--grpc-port",
        0,
        "--state-dir",
        tmp_path / "state",
    )

    assert said.returncode == 1
    assert "rotten.onnx" in said.stderr
    assert "Traceback" not in said.stderr
    assert not [
        p.pid for p in psutil.process_iter(["cmdline"])
        if str(tmp_path) in " ".join(p.info["cmdline"] or ())
    ]  # fmt: skip


def test_nothing_to_serve(tmp_path):
    said = run("serve", cwd=tmp_path)

    assert said.returncode == 2
    assert "inferd serve iris.onnx" in said.stderr
