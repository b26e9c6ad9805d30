"""Replicas of a model that doubles numbers, each as good or as bad as its ``mood`` says at the moment."""

import asyncio
import contextlib

import numpy as np
from tests.transport.answering import Peer

from inferd.codecs import json
from inferd.codecs.oip_client import decode_response

METADATA = {
    "name": "work", "versions": ["7"], "platform": "x",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
}  # fmt: skip
OTHER = {**METADATA, "outputs": [{"name": "y", "datatype": "FP64", "shape": [-1, 2]}]}


def answer(status, value, *headers):
    body = value if isinstance(value, bytes) else json.dumps(value)
    lines = [b"HTTP/1.1 %d X" % status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Replica(Peer):
    """``mood``: what it does with questions. ``ready``: what it says of itself. ``count``: questions."""

    def __init__(self, mood="good"):
        super().__init__(None)
        self.mood = mood
        self.ready = True
        self.metadata = METADATA
        self.count = 0
        self.delay = 0.0

    async def serve(self, reader, writer):
        self.connections += 1
        writer.reader = reader
        try:
            while True:
                head, body = await self.request(reader)
                self.asked.clear()
                if not await self.reply(head, body, writer):
                    return
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.ended += 1
            writer.transport.abort()

    async def reply(self, head, body, writer):
        path = head.split(b" ", 2)[1]
        if path.endswith(b"/ready"):
            writer.write(answer(200 if self.ready else 503, {"ready": self.ready}))
        elif path.endswith(b"/config"):
            writer.write(answer(404, {"error": "no"}))
        elif path == b"/v2":
            writer.write(answer(200, {"extensions": ["binary_tensor_data"]}))
        elif not path.endswith(b"/infer"):
            writer.write(answer(200, self.metadata))
        else:
            self.count += 1
            return await getattr(self, f"be_{self.mood}")(head, body, writer)
        return True

    def doubled(self, head, body, kind):
        size = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n")
            if line.startswith(b"Inference-Header-Content-Length")
        )  # fmt: skip
        request = json.loads(body[:size])
        request["outputs"] = request.pop("inputs")
        tensors, _ = decode_response(json.dumps(request) + body[size:], len(json.dumps(request)))
        found = (tensors["x"] * 2).astype(kind)
        head = json.dumps(
            {
                "model_name": "work", "model_version": "7",
                "outputs": [
                    {"name": "y", "datatype": "FP32" if kind == np.float32 else "FP64",
                     "shape": list(found.shape), "parameters": {"binary_data_size": found.nbytes}}
                ],
            }
        )  # fmt: skip
        head += b" " * (-len(head) % 8)
        size = b"Inference-Header-Content-Length: %d" % len(head)
        return answer(200, head + found.tobytes(), size)

    async def be_good(self, head, body, writer):
        if self.delay:
            await asyncio.sleep(self.delay)
        writer.write(self.doubled(head, body, np.float32))
        return True

    async def be_other(self, head, body, writer):
        writer.write(self.doubled(head, body, np.float64))
        return True

    async def be_hanging(self, head, body, writer):
        while not writer.reader.at_eof():
            await asyncio.sleep(0.01)

    async def be_garbage(self, head, body, writer):
        writer.write(b"\x00\x01nonsense\r\n\r\n")
        return True

    async def be_half(self, head, body, writer):
        writer.write(self.doubled(head, body, np.float32)[:-3])

    async def be_lying(self, head, body, writer):
        writer.write(answer(200, b"{]", b"Inference-Header-Content-Length: 2"))
        return True

    async def be_dead(self, head, body, writer):
        return False

    async def be_failing(self, head, body, writer):
        writer.write(answer(500, {"error": "it broke"}))
        return True

    async def be_refusing(self, head, body, writer):
        writer.write(answer(400, {"error": "input 'x' takes FP64, got FP32"}))
        return True

    async def be_away(self, head, body, writer):
        writer.write(answer(503, {"error": "not now"}, b"Retry-After: 3"))
        return True

    async def be_busy(self, head, body, writer):
        writer.write(answer(429, {"error": "too much"}, b"Retry-After: 2"))
        return True

    async def be_gateway(self, head, body, writer):
        writer.write(answer(502, b"<html>bad gateway</html>"))
        return True


@contextlib.asynccontextmanager
async def replicas(*moods):
    """Run replicas for the length of a block: made as they are, or by their moods."""
    made = [mood if isinstance(mood, Replica) else Replica(mood) for mood in moods]
    servers = []
    for replica in made:
        server = await asyncio.start_server(replica.serve, "127.0.0.1", 0)
        replica.port = server.sockets[0].getsockname()[1]
        replica.url = f"http://127.0.0.1:{replica.port}"
        replica.server = server
        servers.append(server)
    tasks = asyncio.all_tasks()
    try:
        yield made
    finally:
        for server in servers:
            server.close()
        for task in asyncio.all_tasks() - tasks:
            if "Replica.serve" in repr(task):
                task.cancel()
        await asyncio.sleep(0.01)
