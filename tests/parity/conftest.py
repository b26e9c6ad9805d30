"""One server for all parity tests, and the doors to it."""

import contextlib
import json
import re
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path

import pytest
from tests.parity import models
from tests.parity.table import DOORS
from tests.parity.wire import Http
from tests.system.serving import environment, until

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """The server: where it listens, what it logs, counts and holds back."""

    def __init__(self, folder):
        self.folder = folder
        models.write(folder / "models")
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.parity.serve", str(folder)], cwd=ROOT,
                env=environment(PYTHONPATH=f"{ROOT / 'src'}:{ROOT}"), stdin=subprocess.PIPE,
                stdout=log, stderr=log,
            )  # fmt: skip

    def wait(self):
        told = self.folder / "addresses.json"
        end = time.monotonic() + 45
        while not told.exists():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < end, self.log
            time.sleep(0.02)
        self.addresses = json.loads(told.read_text())
        return self

    def stop(self):
        self.process.stdin.close()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    @cached_property
    def http(self):
        return Http(self.addresses["data"])

    @cached_property
    def control(self):
        return Http(self.addresses["admin"])

    @cached_property
    def channel(self):
        import grpc

        return grpc.insecure_channel(
            self.addresses["grpc"],
            options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
        )

    @property
    def log(self):
        return (self.folder / "log").read_text()

    def metrics(self):
        """Return the metrics as {name with labels: value}."""
        text = self.control.get("/metrics").body.decode()
        rows = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in rows}

    def state(self, model):
        """Return the control plane's description of the one version of a model."""
        (version,) = self.control.get(f"/models/{model}").json["versions"]
        return version

    def waiting(self, model):
        """Return how many requests wait for a model."""
        return self.state(model)["batching"]["queue_entries"]

    def running(self, model):
        """Return how many requests a model was given and has not answered."""
        state = self.state(model)
        counters = state["counters"]
        settled = counters["answered"] + counters["cancelled"]
        return counters["admitted"] - settled - state["batching"]["queue_entries"]

    def runs(self, model):
        """Return what a model that writes it down was asked."""
        noted = self.folder / "models" / model / "1" / "runs"
        return noted.read_text().split() if noted.exists() else []

    @contextlib.contextmanager
    def held(self, door):
        """Keep the model that ``door`` asks from answering; gives what begins further requests.

        In the block all its places are taken, and nobody waits for one.
        """
        model, sent = door.held, []
        hold = self.folder / "models" / model / "1" / "hold"
        batching = self.state(model)["batching"]
        places = batching["slots"] + batching["prefetch"]
        asking = door if door.task != "tensors" else DOORS["simple"](self)

        def begin():
            sent.append(asking.begin(*asking.subject("held", 1000 + len(sent))))

        until(lambda: self.running(model) == 0, 5, 0.005)
        hold.touch()
        try:
            for place in range(places):
                begin()
                until(lambda: self.running(model) == place + 1, 5, 0.005)
            yield begin
        finally:
            hold.unlink()
            for each in sent:
                each.close()
            until(lambda: self.waiting(model) + self.running(model) == 0, 5, 0.005)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("parity"))
    try:
        yield server.wait()
    finally:
        status = server.stop()
    assert status == 0, server.log
    assert "is a bug" not in server.log
    assert not re.search(r"request \S+ failed", server.log), server.log


@pytest.fixture(scope="session")
def doors(server):
    made = {name: door(server) for name, door in DOORS.items()}
    yield made
    for door in made.values():
        getattr(door, "close", lambda: None)()
    server.channel.close()
