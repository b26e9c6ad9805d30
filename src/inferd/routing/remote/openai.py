"""A replica that speaks the OpenAI dialect: vLLM, llama.cpp, Ollama, another inferd.

Answers are always asked for in pieces, so that whoever goes away stops the engine. An engine that
refuses a field which others need (``stream_options``, ``encoding_format``) is asked without it from then on.

Ready is who says so at ``/health``, where there is one, and lists the model. The dialect carries no
deadlines; an engine's time is up when its connection closes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import numpy as np

from inferd.codecs import json
from inferd.codecs.generation import PROMPT_TOKENS
from inferd.codecs.oip_described import Described
from inferd.config.secret import MASK
from inferd.core.errors import InferdError, InvalidInput, ModelFailed, Unavailable
from inferd.core.message import Timings
from inferd.core.tensor import Tensors
from inferd.routing.remote import failure, openai_ask, openai_read
from inferd.routing.remote.events import Events
from inferd.routing.remote.failure import Failure
from inferd.routing.remote.http import HTTPReplica
from inferd.routing.remote.openai_ask import EMBEDDING, Question
from inferd.routing.remote.openai_read import Refused, Reply
from inferd.routing.remote.spec import AUTHORIZATION, GENERATE, Endpoint, ServiceSpec
from inferd.routing.remote.wire import SLOW_BYTES, Answered, Asked, slow
from inferd.transport.outgoing import Pool
from inferd.transport.outgoing_connection import AnswerStream, Buffer, HTTPAnswer, NoAnswer, Whole

MOST_EVENT = 4 << 20
MOST_ANSWER = 64 << 20
"""Bytes of one event, and of all events of one answer, that are read."""

LAST_SECONDS = 0.2
"""How long the end of an answer is waited for once all of it is there, to keep its connection."""

ABSENT = (401, 403, 404, 405, 501)
"""What who has no ``/health`` says."""

PROBE = "size"
"""The text whose vector tells the size of all."""


class OpenAIWire(HTTPReplica):
    """One engine."""

    def __init__(self, spec: ServiceSpec, endpoint: Endpoint, pool: Pool) -> None:
        super().__init__(spec, endpoint, pool)
        self._task = spec.task
        self._given = spec.model
        self._secrets = [
            value.rpartition(" ")[2]
            for name, value in spec.sent
            if name.lower() == AUTHORIZATION.lower()
        ]
        self._base = endpoint.path
        self._root = endpoint.path.removesuffix("/v1")
        self._model: str | None = spec.model or None
        self._healthy = True  # whether there is a /health
        self._counting = self._packed = True

    # -- what it is --------------------------------------------------------------------------------

    async def describe(self, seconds: float) -> Described:
        if self._task == GENERATE:
            return openai_ask.generator()
        text = np.array([PROBE], object)
        vectors, _ = await self._embed(Asked({openai_ask.TEXT: text}, None, {}, ()), seconds)
        return openai_ask.embedder(vectors.shape[1])

    async def ready(self, seconds: float) -> bool:
        try:
            return await self.model_ready(seconds)
        except Failure:
            return False

    async def model_ready(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        if self._healthy:
            answer = await self._ask(self._head(f"{self._root}/health"), seconds)
            self._healthy = answer.status not in ABSENT
            if self._healthy and answer.status >= 300:
                said = openai_read.refused(answer.status, bytes(answer.body))
                raise self._unready(f"it is not ready: {self._masked(said.error.message)}")
        self._model = await self._named(end - time.monotonic())
        return True

    async def _named(self, seconds: float) -> str:
        """Return the model's name at this engine."""
        answer = await self._ask(self._head(f"{self._base}/models"), seconds)
        if answer.status in (404, 405, 501):  # it lists none: believed, and told by its answers
            return self._given or self._service
        if answer.status != 200:
            raise self._said(answer)
        try:
            models = openai_read.listed(bytes(answer.body))
            return openai_read.named(models, self._given, self._service)
        except InvalidInput as error:
            raise self._unready(error.message) from None

    def _unready(self, reason: str) -> Failure:
        error = Unavailable(
            f"service {self._service!r} at {self._where}: {reason}", retry_after=1.0
        )
        return Failure(error, again=True)

    # -- asking ------------------------------------------------------------------------------------

    async def infer(self, asked: Asked, model: Described, seconds: float) -> Answered:
        """Return vectors; who generates is asked for pieces."""
        begin = time.monotonic()
        vectors, tokens = await self._embed(asked, seconds)
        rows = len(vectors)
        if not rows:  # nothing was asked
            size = model.signature.outputs[0].shape[1]
            vectors = np.zeros((0, max(0, size)), np.float32)
        outputs = {EMBEDDING: vectors, PROMPT_TOKENS: openai_read.shares(tokens, rows)}
        return Answered(outputs, Timings(run=time.monotonic() - begin, batch_size=rows))

    async def _embed(self, asked: Asked, seconds: float) -> tuple[np.ndarray, int]:
        """Return the vectors of texts, and how many tokens they are."""
        end = time.monotonic() + seconds
        question = await self._question(openai_ask.embedding, asked)
        count = len(question.body["input"])
        if not count:
            return np.zeros((0, 0), np.float32), 0
        answer = await self._send(question, asked, end, streams=False)
        assert isinstance(answer, HTTPAnswer)
        body = bytes(answer.body)
        try:
            if len(body) > SLOW_BYTES:
                found, tokens = await asyncio.to_thread(openai_read.vectors, body, count)
            else:
                found, tokens = openai_read.vectors(body, count)
        except InvalidInput as error:
            raise self._garbled(f"its answer is not understood: {error.message}") from None
        return found, question.tokens if tokens is None else tokens

    async def stream(
        self, asked: Asked, model: Described, seconds: float
    ) -> AsyncIterator[Tensors]:
        end = time.monotonic() + seconds
        question = await self._question(openai_ask.generation, asked)
        answer = await self._send(question, asked, end, streams=True)
        assert isinstance(answer, AnswerStream)
        reply = Reply(question.tokens, asked.outputs)
        try:
            async with aclosing(self._pieces(answer, reply)) as pieces:
                async for piece in pieces:
                    if piece:
                        yield piece
            await _ended(answer)
            last = reply.end()
            if last:
                yield last
        except NoAnswer as error:
            raise self._failed(error) from None
        except Refused as error:
            raise self._failure(error) from None
        except InferdError as error:
            raise self._garbled(f"a piece of its answer: {error.message}") from None
        finally:
            await answer.aclose()

    async def _pieces(self, answer: AnswerStream, reply: Reply) -> AsyncGenerator[Tensors | None]:
        kind = answer.headers.get(b"content-type", b"").lower()
        if kind.startswith(b"application/json"):  # it does not stream
            yield reply.take(json.loads(await _whole(answer)))
            return
        events, size = Events(MOST_EVENT), 0
        try:
            async for chunk in answer:
                size += len(chunk)
                if size > MOST_ANSWER:
                    raise InvalidInput(f"it is longer than {MOST_ANSWER} bytes")
                for data in events.feed(chunk):
                    yield reply.feed(data)
                    if reply.done:
                        return
        except NoAnswer:
            if not reply.finished:  # of what is whole, nothing is missing but counts
                raise
        if not reply.finished:
            raise InvalidInput("it broke off before its end")

    async def _question(self, make: Any, asked: Asked) -> Question:
        """Return what is asked, written off the loop where it is long."""
        try:
            if slow(asked.inputs):
                found: Question = await asyncio.to_thread(make, asked.inputs, asked.parameters)
            else:
                found = make(asked.inputs, asked.parameters)
        except InferdError as error:
            raise Failure(error) from None
        return found

    async def _send(self, question: Question, asked: Asked, end: float, *, streams: bool) -> Whole:
        """Return a good answer to a question; ``streams``: as it comes."""
        if self._model is None:
            self._model = await self._named(end - time.monotonic())
        while True:
            body = {**question.body, "model": self._model}
            optional = "stream_options" if streams else "encoding_format"
            if streams and self._counting:
                body[optional] = {"include_usage": True}
            elif not streams and self._packed:
                body[optional] = "base64"
            message = self._message(question.path, json.dumps(body), asked)
            left = end - time.monotonic()
            answer = await (self._open(message, left) if streams else self._ask(message, left))
            if 200 <= answer.status < 300:
                return answer
            assert isinstance(answer, HTTPAnswer)
            if optional in body and _minds(answer, optional):
                if streams:
                    self._counting = False
                else:
                    self._packed = False
                continue
            found = self._said(answer)
            if answer.status == 404:
                found.again = found.blame = await self._lost(end - time.monotonic())
            raise found

    async def _lost(self, seconds: float) -> bool:
        """Return whether the engine has the model no more, which another may.

        An engine without the route says 404 as well: that is nothing to blame it for.
        """
        try:
            self._model = await self._named(seconds)
        except Failure:
            return True
        return False

    def _message(self, path: str, body: bytes, asked: Asked) -> list[Buffer]:
        lines = "".join(f"{name}: {value}\r\n" for name, value in asked.headers)
        head = (
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"Accept: text/event-stream, application/json\r\n{lines}\r\n"
        )
        begin = f"POST {self._base}{path} HTTP/1.1\r\n".encode()
        return [begin + self._fixed + head.encode(), body]

    # -- failing -----------------------------------------------------------------------------------

    def _said(self, answer: HTTPAnswer) -> Failure:
        """Return the failure that an answer which is no success is."""
        if answer.status < 400:
            return self._garbled(f"it answered {answer.status}, no result")
        said = openai_read.refused(answer.status, bytes(answer.body))
        self._timed(said.error, answer)
        return self._failure(said)

    def _failure(self, said: Refused) -> Failure:
        error = said.error
        error.message = self._masked(error.message)
        found = failure.refused(self._service, error)
        if said.status == 401:  # no client sends the key
            found.again = found.blame = True
        elif isinstance(found.error, ModelFailed):  # an engine that dies answers 500
            found.again = True
        return found

    def _masked(self, message: str) -> str:
        """Return the beginning of what an engine says, without the key, should it repeat that."""
        for secret in filter(None, self._secrets):
            message = message.replace(secret, MASK)
        return message[: openai_read.SHOWN]


def _minds(answer: HTTPAnswer, name: str) -> bool:
    """Return whether a refusal is about a field."""
    return answer.status in (400, 422) and name.encode() in bytes(answer.body)


async def _whole(answer: AnswerStream) -> bytes:
    parts, size = [], 0
    async for chunk in answer:
        parts.append(chunk)
        size += len(chunk)
        if size > MOST_ANSWER:
            raise InvalidInput(f"it is longer than {MOST_ANSWER} bytes")
    return b"".join(parts)


async def _ended(answer: AnswerStream) -> None:
    """Read what follows the last event; give up soon, and with that the connection."""
    try:
        async with asyncio.timeout(LAST_SECONDS):
            async for _ in answer:
                pass
    except (TimeoutError, NoAnswer):
        pass
