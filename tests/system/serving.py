"""``inferd serve`` as its users run it: a process, its address, its log, its workers."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

SOURCE = Path(__file__).resolve().parents[2] / "src"
START, STOP = 30.0, 30.0
ACCESS = '"logger":"inferd.access"'


def environment(**more):
    """Return this environment without settings of ours, with the package importable."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("INFERD_")}
    env["PYTHONPATH"] = str(SOURCE)
    env.update(more)
    return env


def command(*arguments):
    return [sys.executable, "-m", "inferd", *map(str, arguments)]


def run(*arguments, timeout=60, pass_fds=(), cwd=None, **more):
    """Run a command to its end, with ``more`` in its environment; return the finished process."""
    return subprocess.run(
        command(*arguments), env=environment(**more), capture_output=True, text=True,
        timeout=timeout, check=False, pass_fds=pass_fds, cwd=cwd,
    )  # fmt: skip


class Answer:
    """Status, headers and body of one answer."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def result(self):
        assert self.status == 200, (self.status, self.body)
        return self.json["result"]


class Server:
    """A running server. ``data`` and ``admin`` are (host, port)."""

    def __init__(self, folder, arguments, *, env=None, **popen):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._out = folder / "out.txt"
        self._log = folder / "log.txt"
        arguments = list(map(str, arguments))
        free = {"--port": 0, "--admin-port": 0, "--grpc-port": 0, "--state-dir": folder / "state"}
        for flag, value in free.items():
            if flag not in arguments:
                arguments += [flag, str(value)]
        with self._out.open("wb") as out, self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command("serve", *arguments), env=environment(**(env or {})),
                stdin=subprocess.DEVNULL, stdout=out, stderr=log, **popen,
            )  # fmt: skip
        self.data = self.admin = None

    @property
    def pid(self):
        return self.process.pid

    @property
    def banner(self):
        return self._out.read_text()

    @property
    def grpc(self):
        """Host and port of gRPC, as one text."""
        return re.search(r"^grpc +(\S+)", self.banner, re.MULTILINE)[1]

    @property
    def log(self):
        """What was logged, without the access log."""
        lines = self._log.read_text().splitlines()
        return "\n".join(line for line in lines if ACCESS not in line)

    @property
    def access(self):
        """The access log."""
        return "\n".join(line for line in self._log.read_text().splitlines() if ACCESS in line)

    def wait_up(self, seconds=START):
        """Wait for the banner; fail with the log where the server ends instead."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = dict(re.findall(r"^(models|control) +https?://([\d.]+:\d+)", self.banner, re.M))
            if len(found) == 2:
                self.data, self.admin = (
                    (host, int(port)) for host, _, port in
                    (found[k].rpartition(":") for k in ("models", "control"))
                )  # fmt: skip
                return self
            assert self.process.poll() is None, self.log[-1500:] + self.banner
            time.sleep(0.01)
        raise AssertionError(f"not up after {seconds} s: {self.log}")

    def ask(self, path="/predict", data=None, *, admin=False, method=None, headers=None, body=None):
        """Ask once on a connection of its own."""
        if data is not None:
            body = json.dumps({"data": data})
        host, port = self.admin if admin else self.data
        with contextlib.closing(http.client.HTTPConnection(host, port, timeout=60)) as connection:
            kind = {"Content-Type": "application/json"} if data is not None else {}
            connection.request(
                method or ("POST" if body is not None else "GET"), path, body,
                {**kind, **(headers or {})},
            )  # fmt: skip
            return Answer(connection.getresponse())

    def describe(self, model):
        """Return the control plane's description of the version that answers."""
        return self.ask(f"/models/{model}", admin=True).json["versions"][0]

    def workers(self, model):
        """Return the process ids of the instances of a model that are up."""
        return [i["pid"] for i in self.describe(model)["instances"] if i["pid"]]

    def restarts(self, model):
        """Return how many workers were replaced, by reason."""
        out = {}
        for instance in self.describe(model)["instances"]:
            for reason, count in instance["restarts"].items():
                out[reason] = out.get(reason, 0) + count
        return out

    def metrics(self):
        """Return the metrics as {name with labels: value}."""
        text = self.ask("/metrics", admin=True).body.decode()
        rows = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in rows}

    def metrics_of(self, prefix):
        """Return the metrics whose names begin with ``prefix``, for messages."""
        return {k: v for k, v in self.metrics().items() if k.startswith(prefix)}

    def processes(self):
        """Return the front and its living children."""
        front = psutil.Process(self.pid)
        return [front, *front.children(recursive=True)]

    def resident(self):
        """Return the resident bytes of all processes."""
        total = 0
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total

    def send(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGINT):
        """End the server; return (exit status, seconds it took)."""
        begin = time.monotonic()
        if self.process.poll() is None:
            self.send(number)
        status = self.process.wait(STOP)
        return status, time.monotonic() - begin

    def kill(self):
        """End it at any price."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def serving(folder, *arguments, env=None, traces=False, start=START, **popen):
    """Serve for the length of a block; then the server must end well, without a traceback.

    ``traces``: models of this test raise, so their tracebacks are in the log. ``start``: seconds until
    it must be up.
    """
    server = Server(folder, arguments, env=env, **popen)
    try:
        yield server.wait_up(start)
        children = [p.pid for p in server.processes()[1:]] if server.process.poll() is None else []
        status, _ = server.stop()
        assert status == 0, server.log
        assert not [pid for pid in children if psutil.pid_exists(pid)], "workers outlive the server"
        assert "This is a bug" not in server.log
        assert "is a bug" not in server.log, server.log
        assert traces or "Traceback" not in server.log, server.log
    finally:
        server.kill()


def until(condition, seconds, every=0.02):
    """Wait until ``condition()`` holds; return the seconds it took, or fail."""
    begin = time.monotonic()
    while True:
        if condition():
            return time.monotonic() - begin
        assert time.monotonic() - begin < seconds, f"not within {seconds} s"
        time.sleep(every)
