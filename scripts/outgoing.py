"""Measure what one small exchange with another server costs: CPU and time, ours and httpx.

Run as ``python scripts/outgoing.py``; the figures of docs/decisions/011 come from here.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import uvloop

from inferd.transport.outgoing import Address, Pool

BODY = b"x" * 160
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nX-Request-Id: 0123-4\r\n"
    b"Inference-Header-Content-Length: 120\r\nContent-Length: 160\r\n\r\n" + BODY
)
HEAD = (
    b"POST /v2/models/m/infer HTTP/1.1\r\nHost: h\r\nContent-Type: application/octet-stream\r\n"
    b"Inference-Header-Content-Length: 120\r\nContent-Length: 160\r\nX-Request-Id: 0123-4\r\n"
    b"X-Request-Timeout: 29.999s\r\n\r\n"
)
TIMES = {"ours": 20_000, "httpx": 2_000}

Ask = Callable[[], Awaitable[Any]]


class _Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(ANSWER)


def _serve(ports: Any) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())


async def _measure(name: str, ask: Ask, at_once: int) -> None:
    each = TIMES[name] // at_once

    async def work(count: int) -> None:
        for _ in range(count):
            await ask()

    await work(100)
    before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    await asyncio.gather(*(work(each) for _ in range(at_once)))
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    total = each * at_once
    print(
        f"{name:6} {at_once:3} at a time: {cpu / total * 1e6:7.1f} us CPU, "
        f"{seconds / total * 1e6:7.1f} us each"
    )


async def _compare(port: int) -> None:
    pool = Pool(Address("127.0.0.1", port))
    url = f"http://127.0.0.1:{port}/v2/models/m/infer"
    async with httpx.AsyncClient() as client:
        asks: dict[str, Ask] = {
            "ours": lambda: pool.exchange((HEAD, BODY[:120], BODY[120:]), 30.0),
            "httpx": lambda: client.post(url, content=BODY, headers={"X-Request-Id": "0123-4"}),
        }
        for name, ask in asks.items():
            for at_once in (1, 16):
                await _measure(name, ask, at_once)
    await pool.aclose()


def main() -> None:
    """Print one line for each client and load."""
    ports: Any = multiprocessing.Queue()
    server = multiprocessing.Process(target=_serve, args=(ports,), daemon=True)
    server.start()
    try:
        uvloop.run(_compare(ports.get()))
    finally:
        server.terminate()
        server.join()


if __name__ == "__main__":
    main()
