"""Sockets of a server: addresses, TLS, an inherited socket, ports that are taken."""

import contextlib
import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess

import pytest
import trustme
from tests.system import models
from tests.system.serving import Server, run, serving, until

from inferd.server.listeners import url


@pytest.fixture(scope="module")
def affine(tmp_path_factory):
    return models.affine(tmp_path_factory.mktemp("listeners") / "affine.onnx")


@pytest.mark.parametrize(
    ("host", "tls", "expected"),
    [
        ("127.0.0.1", False, "http://127.0.0.1:80"),
        ("localhost", True, "https://localhost:80"),
        ("0.0.0.0", False, "http://127.0.0.1:80"),
        ("::", False, "http://[::1]:80"),
        ("::1", False, "http://[::1]:80"),
    ],
    ids=["address", "tls", "any", "any of IPv6", "IPv6"],
)
def test_the_url_under_which_a_listener_is_called(host, tls, expected):
    assert url(host, 80, tls=tls) == expected


def test_tls(affine, tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(tmp_path / "cert.pem", append=True)
    context = ssl.create_default_context()
    authority.configure_trust(context)

    with serving(
        tmp_path / "server", affine, "--tls-cert", tmp_path / "cert.pem", "--tls-key",
        tmp_path / "key.pem",
    ) as server:  # fmt: skip
        assert "https://127.0.0.1" in server.banner
        connection = http.client.HTTPSConnection(*server.data, context=context, timeout=10)
        with contextlib.closing(connection):
            for i in range(3):
                connection.request("POST", "/predict", json.dumps({"data": [i, 0, 0, 0]}))
                answer = connection.getresponse()
                assert json.loads(answer.read())["result"][0] == 2 * i + 1
                assert connection.sock.version() in ("TLSv1.2", "TLSv1.3")
        with socket.create_connection(server.data, timeout=10) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"200 OK" not in _all(plain)


def _all(sock):
    data = b""
    with contextlib.suppress(OSError):
        while piece := sock.recv(4096):
            data += piece
    return data


def test_an_inherited_socket_is_served(affine, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd = listening.fileno()
        with serving(
            tmp_path / "server", affine, env={"INFERD_LISTEN_FD": str(fd)}, pass_fds=(fd,)
        ) as server:
            assert server.data == listening.getsockname()
            assert server.ask(data=[1, 2, 3, 4]).result == [3, 5, 7, 9]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_printed_call_reaches_an_inherited_unix_socket(affine, tmp_path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "a b.sock"))
        listening.listen()
        fd = listening.fileno()
        server = Server(
            tmp_path / "server", [affine], env={"INFERD_LISTEN_FD": str(fd)}, pass_fds=(fd,)
        )
        try:
            until(lambda: "control " in server.banner, 30)
            (line,) = [row for row in server.banner.splitlines() if "curl" in row]
            said = subprocess.run(["sh", "-c", line], capture_output=True, timeout=20, check=True)
            assert json.loads(said.stdout)["result"]
            assert f"models   http://localhost  (Unix socket {tmp_path}/a b.sock)" in server.banner
            assert server.stop()[0] == 0
        finally:
            server.kill()


def test_an_inherited_socket_that_others_can_reach_is_refused(affine, tmp_path):
    with socket.create_server(("0.0.0.0", 0)) as listening:
        fd = listening.fileno()
        said = run(
            "serve", affine, "--admin-port", 0, "--grpc-port", 0, "--state-dir", tmp_path,
            INFERD_LISTEN_FD=str(fd), pass_fds=(fd,),
        )  # fmt: skip

    assert said.returncode == 2
    assert "--allow-anonymous" in said.stderr


@pytest.mark.parametrize("value", ["nonsense", "77", "-1"])
def test_an_inherited_descriptor_that_is_none(affine, tmp_path, value):
    said = run(
        "serve", affine, "--admin-port", 0, "--grpc-port", 0, "--state-dir", tmp_path, INFERD_LISTEN_FD=value
    )  # fmt: skip

    assert said.returncode == 2
    assert "error:" in said.stderr and "--port" not in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("flag", ["--port", "--admin-port", "--grpc-port"])
def test_a_port_that_is_taken_is_named(affine, tmp_path, flag):
    free = {"--port": 0, "--admin-port": 0, "--grpc-port": 0}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = [word for pair in {**free, flag: port}.items() for word in pair]
        said = run("serve", affine, *ports, "--state-dir", tmp_path)

    assert said.returncode == 2
    assert re.search(rf"{flag}: cannot listen on 127\.0\.0\.1:{port}\b", said.stderr)
    assert "in use" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("flag", ["--host", "--admin-host"])
def test_beyond_this_machine_only_where_it_is_said(affine, tmp_path, flag):
    arguments = [
        affine,
        flag,
        "0.0.0.0",
        "--port",
        0,
        "--admin-port",
        0,
        "--grpc-port",
        0,
        "--state-dir",
        tmp_path,
    ]
    said = run("serve", *arguments)

    assert said.returncode == 2
    assert f"{flag} 0.0.0.0" in said.stderr
    assert "--allow-anonymous" in said.stderr


def test_beyond_this_machine(affine, tmp_path):
    with serving(tmp_path / "server", affine, "--host", "0.0.0.0", "--allow-anonymous") as server:
        assert server.data[0] == "127.0.0.1"
        assert server.ask(data=[1, 2, 3, 4]).status == 200
