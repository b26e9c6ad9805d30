"""What calling a model from Python costs: ``inferd.Client`` beside a bare connection, and another client.

Each way calls the same server, one call after the other on a kept connection, with arrays in and
arrays out, in a process of its own. The bare connection sends a request made beforehand, with the
body that the clients send (the binary form), and reads the response to its end: what is left of a
call when nothing is made and nothing is read. Every answer is compared when the clock has stopped.

Usage: ``python -m benchmarks.callers WAY MODEL PORT SECONDS WARM`` prints one result as JSON.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import orjson

from benchmarks import load, pictures
from benchmarks.pool import TOLERANCE, request, run
from benchmarks.process import ROOT, Failed

RECEIVE = 65536
LIBRARIES = {"triton": ("tritonclient", "geventhttpclient")}

Call = Callable[[int], Any]
"""Asks for the answer to one of the inputs; what it returns is read by the way's ``numbers``."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A model, its tensors' names, and inputs ``[n, 1, ...]`` to send in turn."""

    model: str
    input: str
    output: str
    inputs: np.ndarray

    def body(self, index: int) -> tuple[bytes, int]:
        """Return the body of one infer request in the binary form, and the size of its JSON."""
        array = self.inputs[index]
        entry = {
            "name": self.input, "datatype": "FP32", "shape": array.shape,
            "parameters": {"binary_data_size": array.nbytes},
        }  # fmt: skip
        head = orjson.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}})
        return head + array.tobytes(), len(head)

    def request(self, index: int) -> bytes:
        """Return one whole request."""
        body, size = self.body(index)
        line = f"Inference-Header-Content-Length: {size}\r\n"
        return request(body, pictures.OCTETS, f"/v2/models/{self.model}/infer", headers=line)


def asked(model: str) -> Asked:
    """Return what is asked of model ``T`` or ``B``."""
    rng = np.random.default_rng(13)
    if model == "T":
        rows = rng.uniform(-3, 3, (256, 1, 4)).astype(np.float32)
        return Asked("t", "x", "probabilities", rows)
    images = rng.standard_normal((8, 1, *pictures.SHAPE), np.float32)
    return Asked(
        "b", "image", "means", images + np.arange(8, dtype=np.float32).reshape(8, 1, 1, 1, 1)
    )


def probe(model: str) -> bytes:
    """Return one request that the server of a model answers with 200."""
    return asked(model).request(0)


def missing(way: str) -> str:
    """Return why a way of calling cannot be measured here, empty where it can."""
    absent = [name for name in LIBRARIES.get(way, ()) if find_spec(name) is None]
    return f"{absent[0]} is not installed" if absent else ""


def raw(port: int, what: Asked, stack: ExitStack) -> tuple[Call, Callable[[Any], np.ndarray]]:
    """Call over a bare connection."""
    sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    requests = [what.request(index) for index in range(len(what.inputs))]

    def call(index: int) -> bytes:
        sock.sendall(requests[index])
        data = sock.recv(RECEIVE)
        while not load.complete(data):
            more = sock.recv(RECEIVE)
            if not more:
                raise ConnectionError("the server closed the connection")
            data += more
        return data

    return call, lambda data: np.frombuffer(load.body_of(data)[-pictures.ANSWER_BYTES :], "<f4")


def inferd(port: int, what: Asked, stack: ExitStack) -> tuple[Call, Callable[[Any], np.ndarray]]:
    """Call with ``inferd.Client``."""
    from inferd import Client

    client = stack.enter_context(Client(f"http://127.0.0.1:{port}"))

    def call(index: int) -> np.ndarray:
        return np.asarray(client.predict(what.model, {what.input: what.inputs[index]})[what.output])

    return call, lambda array: array[0]


def triton(port: int, what: Asked, stack: ExitStack) -> tuple[Call, Callable[[Any], np.ndarray]]:
    """Call with Triton's client, as its examples do."""
    from tritonclient.http import InferenceServerClient, InferInput

    client = InferenceServerClient(f"127.0.0.1:{port}")
    stack.callback(client.close)

    def call(index: int) -> Any:
        array = what.inputs[index]
        tensor = InferInput(what.input, array.shape, "FP32")
        tensor.set_data_from_numpy(array, binary_data=True)
        return client.infer(what.model, [tensor]).as_numpy(what.output)

    return call, lambda array: array[0]


WAYS = {"raw": raw, "inferd": inferd, "triton": triton}


def calls(way: str, model: str, port: int, seconds: float, warm: float) -> dict[str, Any]:
    """Call for so many seconds; return the latencies and how many answers were wrong."""
    what = asked(model)
    expected = run(model, [{what.input: array} for array in what.inputs])
    answers: list[Any] = []
    latencies: list[float] = []
    clock, count = time.perf_counter, len(what.inputs)
    with ExitStack() as stack:
        call, numbers = WAYS[way](port, what, stack)
        begin = clock() + warm
        until = begin + seconds
        while (start := clock()) < until:
            answer = call(len(answers) % count)
            if start >= begin:
                latencies.append(clock() - start)
            answers.append(answer)
    wrong = sum(
        not np.allclose(numbers(answer), expected[index % count], atol=TOLERANCE)
        for index, answer in enumerate(answers)
    )
    spread = np.array(latencies) * 1e3
    return {
        "p50_ms": float(np.percentile(spread, 50)), "p99_ms": float(np.percentile(spread, 99)),
        "answered": len(answers) - wrong, "wrong": wrong,
    }  # fmt: skip


def measure(way: str, model: str, port: int, seconds: float, warm: float) -> dict[str, Any]:
    """Do the same in a process of its own; raises ``Failed``."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.callers",
        way,
        model,
        str(port),
        str(seconds),
        str(warm),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise Failed(f"calls by {way}: {lines[-1]}")
    row: dict[str, Any] = orjson.loads(done.stdout)
    return row


def main() -> None:
    """Measure what the command line says."""
    way, model, port, seconds, warm = sys.argv[1:6]
    print(orjson.dumps(calls(way, model, int(port), float(seconds), float(warm))).decode())


if __name__ == "__main__":
    main()
