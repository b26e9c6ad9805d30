"""The raw ceiling of the binary form: the same bytes read, the same model run, the same bytes written.

As ``ceiling``: one process, uvloop and httptools, the model inline, and none of a server's duties. Of
the request's head it reads two sizes, and takes what they say for true. ``filled`` reads bodies from
the socket into memory that is kept, where the tensor lies aligned, so that nothing is copied;
``joined`` gathers pieces and joins them, as ``miniserver`` does and most servers do.
Usage: ``python -m benchmarks.binaryceiling filled|joined PORT``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import cast

import httptools
import numpy as np
import onnxruntime
import orjson

from benchmarks import miniserver, models

END = b"\r\n\r\n"
FIRST = 16384
"""Bytes of the first read of a request, of which the head is a part."""

LARGEST = 1 << 20
ALIGNED = 64
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
    b"Inference-Header-Content-Length: %d\r\nContent-Length: %d\r\n\r\n"
)
Handler = Callable[[memoryview, int], bytes]
"""Called with a body and the size of its JSON part; returns the whole response."""


class Head:
    """The two sizes in a request's head."""

    json = body = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a size."""
        if name == b"Content-Length":
            self.body = int(value)
        elif name == b"Inference-Header-Content-Length":
            self.json = int(value)


class Joined(miniserver.Protocol):
    """One connection that gathers the pieces of a body."""

    json = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note the size of the JSON part."""
        if name == b"Inference-Header-Content-Length":
            self.json = int(value)

    def on_message_complete(self) -> None:
        """Run the model and write the response."""
        response = self.handler(memoryview(self.whole()), self.json)
        if self.transport is not None:
            self.transport.write(response)


class Filled(asyncio.BufferedProtocol):
    """One connection whose bodies are read to where they stay, one after the other."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.first = memoryview(bytearray(FIRST))
        self.memory = memoryview(np.empty(LARGEST, np.uint8)).cast("B")
        self.at = self.start = self.end = self.json = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go."""
        return self.memory[self.at : self.end] if self.end else self.first

    def buffer_updated(self, count: int) -> None:
        """Go on; a body that is complete is answered."""
        if self.end:
            self.at += count
        else:
            self._begin(bytes(self.first[:count]))
        if self.at < self.end or self.transport is None:
            return
        body = self.memory[self.start : self.end]
        self.end = 0
        self.transport.write(self.handler(body, self.json))

    def _begin(self, data: bytes) -> None:
        end = data.index(END) + len(END)
        head = Head()
        httptools.HttpRequestParser(head).feed_data(data[:end])
        self.json = head.json
        self.start = -head.json % ALIGNED
        self.end = self.start + head.body
        self.at = self.start + len(data) - end
        self.memory[self.start : self.at] = data[end:]


def handler() -> Handler:
    """Return what answers one body."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    run = onnxruntime.InferenceSession(str(models.path("B")), options).run
    loads, dumps, view, float32 = orjson.loads, orjson.dumps, np.frombuffer, np.float32

    def handle(body: memoryview, json: int) -> bytes:
        (entry,) = loads(body[:json])["inputs"]
        image = view(body, float32, offset=json).reshape(entry["shape"])
        (means,) = run(None, {entry["name"]: image})
        raw = means.tobytes()
        output = {
            "name": "means", "datatype": "FP32", "shape": list(means.shape),
            "parameters": {"binary_data_size": len(raw)},
        }  # fmt: skip
        head = dumps({"model_name": "b", "model_version": "1", "outputs": [output]})
        return ANSWER % (len(head), len(head) + len(raw)) + head + raw

    return handle


def main() -> None:
    """Serve in the way and on the port that the arguments say."""
    handle, connect = handler(), {"filled": Filled, "joined": Joined}[sys.argv[1]]
    miniserver.serve(int(sys.argv[2]), lambda: connect(handle))


if __name__ == "__main__":
    main()
