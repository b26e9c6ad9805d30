"""Clients that are slow on purpose: headers and bodies that trickle in, answers nobody reads."""

import asyncio
import contextlib
import json
import socket
import threading
import time


class Slow:
    """Many slow connections on one event loop; ``closed`` counts those the server ended."""

    def __init__(self, address, each, answer):
        self._address = address
        self._each = each
        self._answer = answer
        self._tasks = []
        self.opened = 0
        self.closed = 0

    async def open(self):
        """Open ``each`` connections of every kind: slow header, slow body, slow reader."""
        for kind in (self._header, self._body, self._reader):
            for _ in range(self._each):
                sock = socket.socket()
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.setblocking(False)
                await asyncio.get_running_loop().sock_connect(sock, self._address)
                self._tasks.append(asyncio.create_task(self._live(kind, sock)))
                self.opened += 1

    async def close(self):
        """Go away."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def all_closed(self):
        """Wait until the server has ended every connection."""
        await asyncio.gather(*self._tasks)

    async def _live(self, kind, sock):
        with contextlib.closing(sock):
            with contextlib.suppress(OSError):
                await kind(sock)
            self.closed += 1

    async def _header(self, sock):
        await self._send(sock, b"POST /predict HTTP/1.1\r\nHost: a\r\n")
        await self._trickle(sock, b"X-Slow: 1\r\n")

    async def _body(self, sock):
        head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
        await self._send(sock, head + b'{"data": [')
        await self._trickle(sock, b"1, ")

    async def _trickle(self, sock, piece):
        """Send a piece a second until the server has enough."""
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    while await loop.sock_recv(sock, 4096):
                        pass
                    return
            await self._send(sock, piece)

    async def _reader(self, sock):
        """Ask for large answers, never read; a probe of a byte finds out whether it is over."""
        await self._send(sock, self._answer * 4)
        while True:
            await asyncio.sleep(1.0)
            await self._send(sock, b"G")  # fails once the server has reset the connection

    async def _send(self, sock, data):
        await asyncio.get_running_loop().sock_sendall(sock, data)


class Greedy:
    """A thread that sends one 8 MiB JSON body after the other."""

    def __init__(self, address, path):
        rows = [[1.5, 2.5, 3.5, 4.5]] * 440_000
        body = json.dumps({"data": rows}, separators=(",", ":")).encode()
        body += b" " * ((8 << 20) - len(body))
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
        self._message = head.encode() + body
        self._address = address
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.statuses = []

    def _run(self):
        while not self._stop.is_set():
            with socket.create_connection(self._address, timeout=60) as sock:
                sock.sendall(self._message)
                data = b""
                while b"\r\n\r\n" not in data:
                    data += sock.recv(65536)
                self.statuses.append(int(data[9:12]))
                head, _, rest = data.partition(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                left = length - len(rest)
                while left > 0 and not self._stop.is_set():
                    left -= len(sock.recv(1 << 20))
            time.sleep(0.01)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
