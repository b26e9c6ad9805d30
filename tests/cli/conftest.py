"""A real model file, and a real server in a process of its own, for the tests of the commands."""

import contextlib
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest


def write_model(path: Path) -> Path:
    """Write an ONNX model of four numbers that answers with their sum and ten times it."""
    from onnx import TensorProto, helper, save

    weights = np.array([[1, 10]] * 4, np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "sums",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor("w", TensorProto.FLOAT, [4, 2], weights.ravel())],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "sums.onnx")


class Server:
    """``inferd serve`` in a process; ``banner`` is what it printed until it was ready."""

    def __init__(self, arguments, directory):
        self.directory = directory
        self.banner = ""
        with (directory / "stdout").open("w") as out, (directory / "stderr").open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "inferd", "serve", *arguments],
                stdout=out, stderr=err, cwd=directory,
            )  # fmt: skip

    def wait(self, seconds=30):
        deadline = time.monotonic() + seconds
        while "control " not in self.banner:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)
            self.banner = (self.directory / "stdout").read_text()
        return self

    @property
    def log(self):
        return (self.directory / "stderr").read_text()

    @property
    def url(self):
        return re.search(r"^models +(\S+)", self.banner, re.MULTILINE)[1]

    @property
    def admin_url(self):
        return re.search(r"^control +(\S+)", self.banner, re.MULTILINE)[1]

    def stop(self, signal_=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(signal_)
        return self.process.wait(30)


@contextlib.contextmanager
def serving(directory, *arguments):
    free = (
        "--port",
        "0",
        "--admin-port",
        "0",
        "--grpc-port",
        "0",
        "--state-dir",
        str(directory / "state"),
    )
    server = Server([*map(str, arguments), *free], directory)
    try:
        yield server.wait()
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait(30)


@pytest.fixture(scope="session")
def server(model, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("server"), model) as server:
        yield server
