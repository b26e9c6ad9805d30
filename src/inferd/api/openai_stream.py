"""Generated answers as they grow: the choices of a request, run side by side, and their events.

One choice is one request to the model. What it sends is read piece by piece; where the server ends an
answer (a stop text, a limit), the generation is closed before anything more is sent. Several choices
run in tasks that hand their events to one bounded queue, so a client that does not read holds all of
them up. Whoever closes the events closes every generation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import NamedTuple

from inferd.api.call import Call
from inferd.api.inference import Inference
from inferd.api.stream import aclose, event
from inferd.codecs.base import Decoded
from inferd.codecs.generation import COMPLETION_TOKENS, Growth
from inferd.codecs.openai import usage
from inferd.codecs.openai_answer import Kind, Stamp, Value
from inferd.codecs.openai_chat import Ask, Run
from inferd.core.errors import Cancelled
from inferd.core.message import Response
from inferd.core.tensor import Tensors
from inferd.routing.table import Version

AT_ONCE = 16
"""Choices of one request that are generated at a time."""

DONE = b"data: [DONE]\n\n"


class Event(NamedTuple):
    """New text of a choice (perhaps none); ``finish`` with the last one."""

    choice: int
    text: str
    finish: str | None = None


Events = AsyncGenerator[Event, None]


class Generation:
    """The choices of one request while they are generated."""

    def __init__(
        self, inference: Inference, version: Version, call: Call, ask: Ask, text: str
    ) -> None:
        self._inference = inference
        self._version = version
        self._call = call
        self._ask = ask
        signature = version.signature
        counted = signature is not None and signature.output(COMPLETION_TOKENS) is not None
        self._growths = [Growth(text, ask.stops, ask.limit, counted=counted) for _ in ask.runs]

    def events(self) -> Events:
        """Return what happens, in order; each choice ends with an event that has ``finish``.

        Raises what the model raises; that ends all choices.
        """
        choices = [self._choice(index, run) for index, run in enumerate(self._ask.runs)]
        return choices[0] if len(choices) == 1 else merged(choices, AT_ONCE)

    async def _choice(self, index: int, run: Run) -> Events:
        growth = self._growths[index]
        decoded = Decoded(run.inputs, parameters=run.parameters)
        response = await self._inference.ask(self._version, self._call, decoded)
        self._note(response)
        pieces = response.chunks if response.chunks is not None else _whole(response.outputs)
        text = run.echo
        try:
            async for piece in pieces:
                text += growth.feed(piece)
                if growth.finish is not None:
                    break
                yield Event(index, text)
                text = ""
        finally:
            await aclose(pieces)
        text += growth.end()
        yield Event(index, text, growth.finish)

    def _note(self, response: Response) -> None:
        """Tell logs and metrics how long what took: the first choice stands for all."""
        if self._call.timings is None:
            self._call.timings = response.timings
            response.timings.decode = self._call.decode

    def usage(self) -> dict[str, int]:
        """Return the tokens read and made; a prompt counts once, however many answers it has."""
        prompts: dict[int, int] = {}
        for run, growth in zip(self._ask.runs, self._growths, strict=True):
            counted = growth.prompt_tokens
            prompts.setdefault(run.prompt, run.tokens if counted is None else counted)
        return usage(sum(prompts.values()), sum(growth.tokens for growth in self._growths))

    async def whole(self) -> list[tuple[str, str]]:
        """Wait for the end; return text and finish reason of each choice."""
        texts: list[list[str]] = [[] for _ in self._growths]
        async with aclosing(self.events()) as events:
            async for index, text, _ in events:
                texts[index].append(text)
        return [
            ("".join(parts), growth.finish or "")
            for parts, growth in zip(texts, self._growths, strict=True)
        ]

    async def sent(
        self, first: Event | None, events: Events, kind: Kind, stamp: Stamp
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of a stream whose first event was taken already."""
        told = self._ask.usage
        begun: set[int] = set()
        async with aclosing(events):
            if first is not None:
                yield b"".join(_chunks(first, kind, stamp, begun, told=told))
            async for each in events:
                data = b"".join(_chunks(each, kind, stamp, begun, told=told))
                if data:
                    yield data
        if told:
            yield event(kind.usage_chunk(stamp, self.usage()))
        yield DONE


def _chunks(
    happened: Event, kind: Kind, stamp: Stamp, begun: set[int], *, told: bool
) -> Iterator[bytes]:
    """Yield the server-sent events that tell of one event."""

    def chunk(choice: Value) -> bytes:
        return event(kind.chunk(stamp, [choice], usage=told))

    index, text, finish = happened
    if index not in begun:
        begun.add(index)
        opening = kind.first(index)
        if opening is not None:
            yield chunk(opening)
    if text:
        yield chunk(kind.piece(index, text))
    if finish is not None:
        yield chunk(kind.last(index, finish))


async def _whole(outputs: Tensors) -> AsyncIterator[Tensors]:
    yield outputs


async def merged(choices: Sequence[Events], at_once: int) -> Events:
    """Yield the events of several choices as they come; the first failure ends all of them."""
    queue: asyncio.Queue[Event | Exception | None] = asyncio.Queue(at_once)
    waiting = iter(choices)

    async def work() -> None:
        try:
            for choice in waiting:
                async with aclosing(choice):
                    async for each in choice:
                        await queue.put(each)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            await queue.put(Cancelled("the generation was cancelled"))
        except Exception as error:  # told to whoever reads the queue
            await queue.put(error)
        else:
            await queue.put(None)

    tasks = [asyncio.create_task(work()) for _ in range(min(at_once, len(choices)))]
    left = len(tasks)
    try:
        while left:
            found = await queue.get()
            if found is None:
                left -= 1
            elif isinstance(found, Exception):
                raise found
            else:
                yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
