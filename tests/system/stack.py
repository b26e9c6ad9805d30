"""What ``inferd compose`` writes, built and run by the real Compose."""

import contextlib
import http.client
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time

import numpy as np
from tests.system import images
from tests.system.engine import COMPOSE
from tests.system.serving import Answer, environment
from tritonclient.grpc import InferenceServerClient, InferInput


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def inferd(engine, *arguments, timeout=300):
    """Run one of our commands, with the engine and the base images it is to use."""
    done = subprocess.run(
        [sys.executable, "-m", "inferd", *map(str, arguments), "--base", images.PYTHON.name,
         *images.trusted()],
        env={**engine.env, **environment()}, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


def ask(address, path, data=None, *, headers=None, body=None, tls=None):
    """Ask once over HTTP, or HTTPS with the context ``tls``, on a connection of its own."""
    kind = {}
    if data is not None:
        body, kind = json.dumps({"data": data}), {"Content-Type": "application/json"}
    made = http.client.HTTPConnection if tls is None else http.client.HTTPSConnection
    given = {} if tls is None else {"context": tls}
    with contextlib.closing(made(*address, timeout=30, **given)) as connection:
        method = "GET" if body is None else "POST"
        connection.request(method, path, body, {**kind, **(headers or {})})
        return Answer(connection.getresponse())


def call(address, model, values, *, headers=None, **options):
    """Ask once over gRPC, in Triton's client; return the row that is answered."""
    given = InferInput("x", [1, len(values)], "FP32")
    given.set_data_from_numpy(np.array([values], dtype=np.float32))
    with InferenceServerClient(address, **options) as client:
        return client.infer(model, [given], headers=headers).as_numpy("y")[0].tolist()


@contextlib.contextmanager
def running(engine, folder, repository, *arguments):
    """Build and start a Compose project in ``folder``, and end it; prints how long that took."""
    for base in (images.PYTHON, images.NGINX):
        images.provide(engine, base)
    begin = time.monotonic()
    made = Stack(engine, folder, repository, *arguments)
    try:
        seconds = made.up()
        built = time.monotonic() - begin - seconds
        print(f"\nbuilt in {built:.1f} s, all healthy in {seconds:.1f} s")
        yield made
    finally:
        made.down()


def documented(page, repository):
    """Return the options with which a page says to compose a repository."""
    pattern = rf"^inferd compose {re.escape(repository)} (.+) --port 8080$"
    [options] = re.findall(pattern, page.read_text(), re.MULTILINE)
    return shlex.split(options)


class Stack:
    """A Compose project behind NGINX. ``http`` and ``grpc`` are where NGINX listens."""

    def __init__(self, engine, folder, repository, *arguments):
        self.engine = engine
        self.folder = folder
        self.port, self.grpc_port = free_port(), free_port()
        self.told = inferd(
            engine, "compose", repository, "--output", folder, "--port", self.port,
            "--grpc-port", self.grpc_port, "--nginx-image", images.NGINX.name, *arguments,
        )  # fmt: skip

    @property
    def http(self):
        return "127.0.0.1", self.port

    @property
    def grpc(self):
        return f"127.0.0.1:{self.grpc_port}"

    def compose(self, *arguments, timeout=240.0):
        """Run one command of Compose; return what it printed."""
        done = subprocess.run(
            [COMPOSE, "-f", self.folder / "compose.yaml", "--ansi", "never", "--progress", "plain",
             *map(str, arguments)],
            env=self.engine.env, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        said = f"{arguments}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
        assert done.returncode == 0, f"{said} {self.logs()[-3000:]}"
        return done.stdout

    def up(self):
        """Build and start all, as the command's last words say; return the seconds until healthy."""
        self.compose(
            "--parallel", "1", "build"
        )  # so that one finds in the cache what another built
        begin = time.monotonic()
        self.compose("up", "--detach", "--wait")
        return time.monotonic() - begin

    def down(self):
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            self.compose("down", "--volumes", "--timeout", "0")

    def services(self):
        """Return the names of all services but NGINX, those that are asked first."""
        named = json.loads(self.compose("config", "--format", "json"))["services"]
        return [name for name in named if name != "nginx"]

    def container(self, service):
        """Return the container of a service."""
        return self.compose("ps", "--all", "--quiet", service).strip()

    def health(self, service):
        return self.engine.inspect(self.container(service), ".State.Health.Status")

    def kill(self, service):
        """Kill a service's first process from outside, as the kernel would."""
        pid = self.engine.inspect(self.container(service), ".State.Pid")
        os.kill(pid, signal.SIGKILL)

    def roll(self, service):
        """Restart one service: a new container, healthy before this returns."""
        self.compose("up", "--detach", "--wait", "--no-deps", "--force-recreate", service)

    def logs(self, service=None):
        """Return the logs of a service, or of all, for messages."""
        done = subprocess.run(
            [COMPOSE, "-f", self.folder / "compose.yaml", "logs", "--no-log-prefix", "--no-color",
             *([service] if service else ["--tail", "20"])],
            env=self.engine.env, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        return done.stdout + done.stderr

    def lines(self, service):
        """Return what a service logged as objects."""
        return [json.loads(line) for line in self.logs(service).splitlines() if line[:1] == "{"]

    def within(self, service, code):
        """Run Python in a service's container; return what it printed."""
        return self.engine.docker("exec", self.container(service), "python3", "-c", code)
