"""The gRPC listener of a server in a process of its own: start, TLS, drain, and doing without."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.system import models
from tests.system.serving import Server, environment, run, serving, until
from tritonclient.utils import InferenceServerException

from inferd.server.grpclistener import options
from inferd.transport.limits import Limits

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
ROW = np.array([[1, 2, 3, 4]], np.float32)


@pytest.fixture(scope="module")
def affine(tmp_path_factory):
    return models.affine(tmp_path_factory.mktemp("grpc") / "affine.onnx")


@pytest.fixture
def start(tmp_path):
    servers = []

    def started(*arguments, wait=True, **more):
        server = Server(tmp_path / f"server{len(servers)}", arguments, **more)
        servers.append(server)
        return server.wait_up() if wait else server

    yield started
    for server in servers:
        server.kill()


def health(address):
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return stub.Check(health_pb2.HealthCheckRequest(), timeout=5, wait_for_ready=True).status


def one(x=ROW):
    tensor = triton.InferInput("x", list(x.shape), "FP32")
    tensor.set_data_from_numpy(x)
    return [tensor]


def test_the_banner_says_where_and_both_protocols_answer(affine, start):
    server = start(affine)
    with triton.InferenceServerClient(server.grpc) as client:
        answer = client.infer("affine", one()).as_numpy("y")

    assert answer.tolist() == [[3, 5, 7, 9]]
    assert server.ask(data=[1, 2, 3, 4]).result == [3, 5, 7, 9]
    assert health(server.grpc) == SERVING


def test_tls(affine, tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(tmp_path / "cert.pem", append=True)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    with serving(
        tmp_path / "server", affine, "--tls-cert", tmp_path / "cert.pem", "--tls-key",
        tmp_path / "key.pem",
    ) as server:  # fmt: skip
        with triton.InferenceServerClient(
            server.grpc, ssl=True, root_certificates=str(tmp_path / "ca.pem")
        ) as client:
            assert client.infer("affine", one()).as_numpy("y").tolist() == [[3, 5, 7, 9]]
        with triton.InferenceServerClient(server.grpc) as plain:
            with pytest.raises(InferenceServerException):
                plain.is_server_live(client_timeout=5)


def test_a_free_port_is_taken_for_each_server(affine, start):
    first, second = start(affine), start(affine)

    assert first.grpc != second.grpc
    assert health(first.grpc) == health(second.grpc) == SERVING


def test_off_means_no_listener_and_no_library(affine, start):
    server = start(affine, "--grpc-port", "off")

    assert "grpc" not in server.banner
    assert server.ask(data=[1, 2, 3, 4]).status == 200
    with open(f"/proc/{server.pid}/maps") as maps:
        assert "cygrpc" not in maps.read()


def test_a_port_in_use_is_said_before_anything_is_loaded(affine, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = run(
            "serve", affine, "--port", 0, "--admin-port", 0, "--grpc-port", port,
            "--state-dir", tmp_path,
        )  # fmt: skip

    assert said.returncode == 2
    assert f"--grpc-port: cannot listen on 127.0.0.1:{port}" in said.stderr
    assert "--grpc-port off" in said.stderr
    assert "model is ready" not in said.stderr


def test_health_is_asked_while_models_load(tmp_path, start):
    folder = models.acts(tmp_path / "models")
    code = folder / "acts" / "1" / "acting.py"
    code.write_text(
        code.read_text().replace(
            "def load(self, path):", "def load(self, path):\n        time.sleep(4)"
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = start(folder, "--grpc-port", port, wait=False)

    assert health(f"127.0.0.1:{port}") == NOT_SERVING
    server.wait_up()
    assert health(server.grpc) == SERVING


def test_sigterm_drains(tmp_path, start):
    server = start(models.acts(tmp_path / "models", seconds=1.0), "--drain-delay", "0.5")
    with grpc.insecure_channel(server.grpc) as channel:
        watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watching).status == SERVING
        with triton.InferenceServerClient(server.grpc) as client:
            answers, ends = [], []
            client.start_stream(callback=lambda result, error: ends.append(error))
            client.async_stream_infer("acts", one())
            asking = threading.Thread(
                target=lambda: answers.append(client.infer("acts", one()).as_numpy("y"))
            )
            asking.start()
            time.sleep(0.2)
            server.send(signal.SIGTERM)
            assert next(watching).status == NOT_SERVING
            # For the length of the delay new calls are answered.
            assert client.is_server_live()
            asking.join(10)
            assert [a.tolist() for a in answers] == [[[3, 5, 7, 9]]]
            until(lambda: len(ends) == 2, 5)
            assert ends[0] is None
            assert "stopping" in str(ends[1])

    assert server.process.wait(10) == 0
    assert "Traceback" not in server.log


def test_ctrl_c_ends_open_streams_at_once(affine, start):
    server = start(affine)
    with triton.InferenceServerClient(server.grpc) as client:
        client.start_stream(callback=lambda result, error: None)
        client.async_stream_infer("affine", one())
        time.sleep(0.2)
        status, seconds = server.stop(signal.SIGINT)

    assert status == 0
    assert seconds < 1.5
    assert "Traceback" not in server.log


def test_a_second_signal_ends_the_wait(tmp_path, start):
    server = start(models.acts(tmp_path / "models", seconds=8.0, quick=True), "--drain-delay", "0")
    with triton.InferenceServerClient(server.grpc) as client:
        failed = []

        def ask():
            try:
                client.infer("acts", one())
            except InferenceServerException as error:
                failed.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(0.3)
        server.send(signal.SIGTERM)
        time.sleep(0.1)
        begin = time.monotonic()
        server.send(signal.SIGTERM)
        asking.join(10)

    assert server.process.wait(10) == 0
    assert time.monotonic() - begin < 4
    assert len(failed) == 1


def test_a_killed_worker_is_replaced_beside_grpc(affine, start):
    # A process with gRPC's threads starts another one: that must not trouble either.
    server = start(affine, "--instances", 1)
    (worker,) = server.workers("affine")
    with triton.InferenceServerClient(server.grpc) as client:
        client.infer("affine", one())
        os.kill(worker, signal.SIGKILL)
        until(lambda: server.workers("affine") not in ([], [worker]), 10)
        assert client.infer("affine", one()).as_numpy("y").tolist() == [[3, 5, 7, 9]]

    assert "fork" not in server.log


def test_without_the_library_one_line_says_so(affine, tmp_path):
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        textwrap.dedent(
            """
            import importlib.util as util
            real = util.find_spec
            util.find_spec = lambda name, *more: None if name == "grpc" else real(name, *more)
            """
        )
    )
    path = os.pathsep.join((str(hook), environment()["PYTHONPATH"]))
    with serving(tmp_path / "server", affine, env={"PYTHONPATH": path}) as server:
        assert server.ask(data=[1, 2, 3, 4]).status == 200
        assert "grpc " not in server.banner
        (line,) = [row for row in server.log.splitlines() if "gRPC is off" in row]
        assert "inferd[grpc]" in line


def test_the_front_imports_grpc_only_when_it_listens():
    code = (
        "import sys, inferd.server.lifespan, inferd.cli.serve\n"
        "print([m for m in sys.modules if m.partition('.')[0] in ('grpc', 'google')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )

    assert done.stdout.strip() == "[]"


def test_limits_of_http_are_those_of_grpc():
    found = dict(options(Limits(binary_body_bytes=1000, header_bytes=2000)))

    assert found["grpc.max_receive_message_length"] == 1000 + 65536
    assert found["grpc.max_send_message_length"] == -1
    assert found["grpc.max_metadata_size"] == 2000
    assert found["grpc.so_reuseport"] == 0
