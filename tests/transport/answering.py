"""A server that answers as a script says, to the byte; it counts connections and keeps what it read."""

import asyncio
import contextlib

from inferd.transport.outgoing import Address, Pool, PoolSettings

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ASK = (b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n", b"abc")


class Peer:
    """``script(reader, writer, number)`` serves connection ``number``, from 0, until it returns."""

    def __init__(self, script):
        self.script = script
        self.connections = 0
        self.ended = 0
        self.asked = []
        self.port = 0

    async def serve(self, reader, writer):
        number, self.connections = self.connections, self.connections + 1
        try:
            await self.script(self, reader, writer, number)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.ended += 1
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def request(self, reader):
        """Read one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        size = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                size = int(value)
        body = await reader.readexactly(size)
        self.asked.append((head, body))
        return head, body


def saying(*answers, close=False):
    """Return a script that answers each request with the next of ``answers``, the last for ever."""

    async def script(peer, reader, writer, number):
        at = 0
        while True:
            await peer.request(reader)
            writer.write(answers[min(at, len(answers) - 1)])
            at += 1
            await writer.drain()
            if close:
                return

    return script


@contextlib.asynccontextmanager
async def answering(script, ssl=None):
    """Run a peer for the length of a block."""
    peer = Peer(script)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=ssl)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def asking(port, tls=None, name="", **settings):
    """Have a pool for the length of a block; at its end nothing of it is left."""
    pool = Pool(Address("127.0.0.1", port, tls, name), PoolSettings(**settings))
    try:
        yield pool
    finally:
        await pool.aclose()
        await asyncio.sleep(0.005)
        assert pool.busy == 0
        assert pool.open == 0
