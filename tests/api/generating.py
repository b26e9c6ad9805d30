"""Models that answer in pieces, in-process: what they were asked, and how they were ended."""

import asyncio

import numpy as np
import orjson
from tests.api.serving import version
from tests.codecs.signatures import signature

from inferd.core.message import Response, Timings

PROMPT = signature([("prompt", "BYTES", [-1])], [("text", "BYTES", [-1])])
CHAT = signature([("messages", "BYTES", [-1])], [("text", "BYTES", [-1])])


def piece(text=None, **more):
    """A piece of an answer: its text, and numbers or texts by name."""
    found = {} if text is None else {"text": np.array([text], object)}
    return found | {
        k: np.array([v], object if isinstance(v, str) else None) for k, v in more.items()
    }


class Pieces:
    """A servable that answers each request with the same pieces (or what a function makes of it).

    ``closed``: how many pieces each answer had given when it was closed, in order of closing.
    ``hold``: the number of the piece before which an answer waits for ever.
    """

    def __init__(self, pieces, *, error=None, early=None, hold=None):
        self.pieces = pieces
        self.error = error
        self.early = early
        self.hold = hold
        self.seen = []
        self.closed = []
        self.waiting = asyncio.Event()

    async def __call__(self, request):
        self.seen.append(request)
        await asyncio.sleep(0)
        if self.early is not None:
            raise self.early
        timings = Timings(0.001, 0.0, 0.003, batch_size=1)
        return Response(request.model, request.version, {}, timings, self._answer(request))

    async def _answer(self, request):
        given = 0
        pieces = self.pieces(request) if callable(self.pieces) else self.pieces
        try:
            for each in pieces:
                if given == self.hold:
                    self.waiting.set()
                    await asyncio.Event().wait()
                await asyncio.sleep(0)
                given += 1
                yield each if isinstance(each, dict) else piece(each)
            if self.error is not None:
                raise self.error
        finally:
            self.closed.append(given)


def model(servable, name="m", sig=PROMPT, **more):
    """A version that generates by ``servable``."""
    found = version(name, sig=sig, **{"task": "generate", "streams": True, **more})
    found.servable = servable
    return found


async def drained(response):
    """Read a streamed answer to its end."""
    return b"".join([data async for data in response.body])


def events(data):
    """The data of server-sent events, each checked for its form."""
    assert data.endswith(b"\n\n")
    blocks = data.split(b"\n\n")[:-1]
    assert all(block.startswith(b"data: ") and b"\n" not in block for block in blocks)
    return [block.removeprefix(b"data: ") for block in blocks]


async def begun(server, path, body):
    """Ask as the transport does; return the response as it stands when its head is sent."""
    request = server.head("POST", path, {"content-type": "application/json"})
    request.body = orjson.dumps(body)
    return await server.plane.accept(request).handler(request), request


def asked(server, path, body):
    """Ask and read all; return status and the data of the events (or the one JSON body)."""

    async def run():
        response, request = await begun(server, path, body)
        if isinstance(response.body, bytes):
            return response.status, orjson.loads(response.body)
        data = events(await drained(response))
        server.plane.finished(request, response.status, 1, 0.5)
        return response.status, [d if d == b"[DONE]" else orjson.loads(d) for d in data]

    return asyncio.run(run())
