"""Generations through the server against the same in a process, in turns, and what they cost others.

``together``: eight streamed answers through OpenAI's door, against the library's own engine and against our
engine without a server; and one answer alone. Every round has prompts of its own, so that nothing is
read from a cache, and each answer has the same number of tokens.

``beside``: latencies of a small classifier on the same server, while nothing else runs and while an answer
of 500 tokens is generated, in turns of some seconds.

Usage: ``python -m benchmarks.generations together|beside SECONDS`` prints one result as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import orjson
from examples.kit.recipes import smollm

from benchmarks import bodies, models
from benchmarks.pipelines import serve
from benchmarks.process import Process, free_port

MANY, TOKENS, LONG = 8, 64, 500
ROOT = models.ROOT / "smollm"
STATE = models.ROOT / "smollm-state"

Found = tuple[float, list[float]]
"""Tokens by second, and the seconds to the first token of each answer."""


def repository() -> Path:
    """Return the directory with SmolLM2 and the classifier, made where it is missing."""
    if not (ROOT / "smollm" / "model.yaml").exists():
        smollm.build(ROOT / "smollm")
    kept = ROOT / "classifier" / "1" / "m.onnx"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(models.path("M").read_bytes())
    return ROOT


def prompts(count: int, round: int) -> list[str]:
    """Return the conversations of one round as JSON, each of its own."""
    return [
        json.dumps(
            [{"role": "user", "content": f"Story {round * 100 + i}: write about number {i}."}]
        )
        for i in range(count)
    ]


def library(directory: Path) -> Callable[[list[str]], Found]:
    """Return what asks the library's own engine."""
    import onnxruntime_genai as og

    model = og.Model(str(directory))
    engine, tokenizer = og.Engine(model), og.Tokenizer(model)
    events = engine.create_event_buffer(64)

    def ask(conversations: list[str]) -> Found:
        begin, first, count, requests = time.perf_counter(), {}, 0, []
        for text in conversations:
            request = engine.create_request()
            options = og.TurnOptions(request)
            options.set_max_generated_tokens(TOKENS)
            options.set_min_generated_tokens(TOKENS)
            options.set_do_sample(False)
            prompt = tokenizer.apply_chat_template(text, add_generation_prompt=True)
            request.begin_turn(tokenizer.encode(prompt), options)
            requests.append(request)
        while engine.has_pending_requests():
            for event in engine.run(events):
                if event.token is not None:
                    count += 1
                    first.setdefault(id(event.request), time.perf_counter() - begin)
        taken = time.perf_counter() - begin
        for request in requests:
            request.close()
        return count / taken, sorted(first.values())

    return ask


def engine(directory: Path) -> Callable[[list[str]], Found]:
    """Return what asks our engine in this process."""
    from inferd.runtimes.genai.runtime import GenaiRuntime

    runtime = GenaiRuntime()
    runtime.load(directory, {"threads": 1})
    steps: Any = runtime.engine()

    def ask(conversations: list[str]) -> Found:
        begin, first, count = time.perf_counter(), {}, 0
        for key, text in enumerate(conversations):
            given = np.empty(1, object)
            given[0] = text.encode()
            steps.add(key, {"messages": given}, {"max_tokens": TOKENS, "min_tokens": TOKENS})
        left = len(conversations)
        while left:
            for key, piece, last in steps.step():
                if isinstance(piece, BaseException):
                    raise piece
                first.setdefault(key, time.perf_counter() - begin)
                if last:
                    left -= 1
                    count += int(piece["completion_tokens"][0])
        return count / (time.perf_counter() - begin), sorted(first.values())

    return ask


def door(port: int) -> Callable[[list[str]], Found]:
    """Return what asks a server, each answer as a stream of its own."""

    async def one(text: str, begin: float, tokens: int) -> tuple[float, int]:
        body = {
            "model": "smollm", "messages": json.loads(text), "stream": True, "temperature": 0,
            "stream_options": {"include_usage": True}, "max_tokens": tokens, "min_tokens": tokens,
        }  # fmt: skip
        first, tail = 0.0, b""
        async for data in streamed(port, orjson.dumps(body)):
            if not first and b'"content":"' in data.replace(b'"content":""', b""):
                first = time.perf_counter() - begin
            tail = (tail + data)[-2000:]
        usage = tail.rpartition(b'"completion_tokens":')[2]
        return first, int(usage.partition(b",")[0])

    async def all_of(conversations: list[str]) -> Found:
        begin = time.perf_counter()
        found = await asyncio.gather(*(one(text, begin, TOKENS) for text in conversations))
        taken = time.perf_counter() - begin
        return sum(count for _, count in found) / taken, sorted(first for first, _ in found)

    return lambda conversations: asyncio.run(all_of(conversations))


async def streamed(port: int, body: bytes) -> Any:
    """Yield the bytes of one streamed answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"X-Request-Timeout: 300\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % len(body) + body
    )  # fmt: skip
    try:
        while data := await reader.read(1 << 16):
            yield data
    finally:
        writer.close()


@contextmanager
def served() -> Iterator[int]:
    """Serve the repository; give the port."""
    port = free_port()
    with Process(serve(repository(), port, STATE)) as process:
        process.wait_for(port, classification())
        yield port


def together(seconds: float) -> dict[str, Any]:
    """Return the medians over rounds in turns, for about so many seconds; at least two rounds."""
    directory = repository() / "smollm" / "1"
    with served() as port:
        ways = {"library": library(directory), "engine": engine(directory), "door": door(port)}
        rows: list[dict[str, float]] = []
        begin, round = time.monotonic(), 0
        for ask in ways.values():
            ask(prompts(1, 99))
        while round < 2 or time.monotonic() < begin + seconds:
            row: dict[str, float] = {}
            for number, (name, ask) in enumerate(ways.items()):
                row[name], first = ask(prompts(MANY, 3 * round + number + 1))
                row[f"{name} first_ms"], row[f"{name} last_ms"] = first[0] * 1e3, first[-1] * 1e3
            row["alone"], _ = ways["door"](prompts(1, 1000 + round))
            rows.append(row)
            round += 1
    middle = {name: median(row[name] for row in rows) for name in rows[0]}
    return {
        "rate": middle["door"],
        **middle,
        "of_library": median(row["door"] / row["library"] for row in rows),
        "of_engine": median(row["door"] / row["engine"] for row in rows),
        "of_alone": median(row["door"] / row["alone"] for row in rows),
        "last_of_first": median(row["door last_ms"] / row["door first_ms"] for row in rows),
        "answered": round * (2 * MANY + 1), "wrong": 0,
    }  # fmt: skip


def beside(seconds: float) -> dict[str, Any]:
    """Return the 99th percentiles of the classifier's latency, alone and beside a generation."""

    async def measured() -> dict[str, Any]:
        quiet: list[float] = []
        busy: list[float] = []
        tokens, taken = 0, 0.0
        await ask_classifier(port, quiet, asyncio.sleep(1.0))
        quiet.clear()
        begin, round = time.monotonic(), 0
        while round < 2 or time.monotonic() < begin + 2 * seconds:
            start = time.perf_counter()
            long = asyncio.ensure_future(whole(port, round))
            await ask_classifier(port, busy, long)
            length = time.perf_counter() - start
            tokens, taken, round = tokens + LONG, taken + length, round + 1
            await ask_classifier(port, quiet, asyncio.sleep(length))
        alone, crowded = (float(np.percentile(np.array(rows) * 1e3, 99)) for rows in (quiet, busy))
        return {
            "ratio": crowded / alone, "alone p99_ms": alone, "beside p99_ms": crowded,
            "alone p50_ms": median(quiet) * 1e3, "beside p50_ms": median(busy) * 1e3,
            "tokens_rate": tokens / taken, "answered": len(quiet) + len(busy), "wrong": 0,
        }  # fmt: skip

    with served() as port:
        return asyncio.run(measured())


def classification() -> bytes:
    """Return one request to the classifier."""
    return bodies.probe("M").replace(b"POST /predict", b"POST /models/classifier/predict")


async def whole(port: int, round: int) -> None:
    """Read an answer of ``LONG`` tokens to its end."""
    body = {
        "model": "smollm", "messages": json.loads(prompts(1, 2000 + round)[0]), "stream": True,
        "max_tokens": LONG, "min_tokens": LONG, "temperature": 0,
    }  # fmt: skip
    async for _ in streamed(port, orjson.dumps(body)):
        pass


async def ask_classifier(port: int, into: list[float], until: Any) -> None:
    """Ask the classifier, one request after the other, until something is done; keep the latencies."""
    done = asyncio.ensure_future(until)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = classification()
    try:
        while not done.done():
            start = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(size)
            into.append(time.perf_counter() - start)
    finally:
        writer.close()
    await done


def main() -> None:
    """Measure as the arguments say."""
    what, seconds = sys.argv[1], float(sys.argv[2])
    found = (together if what == "together" else beside)(seconds)
    sys.stdout.buffer.write(orjson.dumps(found) + b"\n")


if __name__ == "__main__":
    main()
