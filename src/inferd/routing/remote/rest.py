"""A replica over HTTP: the Open Inference Protocol in its binary form.

Tensors go out as they lie in memory, and answers are views of the bytes received. Texts
are the exception: each becomes an object, so many of them are read and written off the loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from inferd.codecs import json
from inferd.codecs.oip_client import decode_response, encode_parts
from inferd.codecs.oip_described import Described, describe
from inferd.core.errors import InferdError
from inferd.core.tensor import Tensors
from inferd.routing.remote import failure
from inferd.routing.remote.events import Events, Said, piece, question
from inferd.routing.remote.failure import Failure
from inferd.routing.remote.http import HTTPReplica
from inferd.routing.remote.spec import Endpoint, ServiceSpec
from inferd.routing.remote.wire import (
    SLOW_BYTES,
    Answered,
    Asked,
    rows_of,
    slow,
    tells_texts,
    timings_of,
)
from inferd.transport.outgoing import Pool
from inferd.transport.outgoing_connection import AnswerStream, Buffer, HTTPAnswer, NoAnswer


class RestWire(HTTPReplica):
    """One replica of a service over HTTP."""

    def __init__(self, spec: ServiceSpec, endpoint: Endpoint, pool: Pool) -> None:
        super().__init__(spec, endpoint, pool)
        path = f"{endpoint.path}/v2/models/{quote(spec.model, safe='')}"
        if spec.version is not None:
            path += f"/versions/{quote(spec.version, safe='')}"
        self._root, self._path = endpoint.path, path
        self._infer = f"POST {path}/infer HTTP/1.1\r\n".encode() + self._fixed
        self._stream = f"POST {path}/generate_stream HTTP/1.1\r\n".encode() + self._fixed

    # -- what it is --------------------------------------------------------------------------------

    async def describe(self, seconds: float) -> Described:
        end = time.monotonic() + seconds
        metadata = await self._get(self._path, seconds)
        server = await self._get(f"{self._root}/v2", end - time.monotonic(), optional=True)
        config = await self._get(f"{self._path}/config", end - time.monotonic(), optional=True)
        try:
            return describe(metadata, config, server)
        except InferdError as error:
            raise self._garbled(error.message) from None

    async def ready(self, seconds: float) -> bool:
        try:
            answer = await self._ask(self._head(f"{self._root}/v2/health/ready"), seconds)
        except Failure:
            return False
        return answer.status == 200

    async def model_ready(self, seconds: float) -> bool:
        answer = await self._ask(self._head(f"{self._path}/ready"), seconds)
        if answer.status == 404:  # the refusal says what is not there
            raise self._refused(answer)
        return answer.status == 200

    async def _get(self, path: str, seconds: float, *, optional: bool = False) -> Any:
        answer = await self._ask(self._head(path), seconds)
        if answer.status != 200:
            if optional and answer.status in (400, 403, 404, 405, 501):
                return None
            raise self._refused(answer)
        try:
            return json.loads(bytes(answer.body))
        except InferdError as error:
            raise self._garbled(error.message) from None

    # -- asking ------------------------------------------------------------------------------------

    async def infer(self, asked: Asked, model: Described, seconds: float) -> Answered:
        begin = time.monotonic()
        if slow(asked.inputs):
            parts, size = await asyncio.to_thread(self._encode, asked, model)
        else:
            parts, size = self._encode(asked, model)
        length = sum(map(len, parts))
        lines = [f"Content-Length: {length}\r\n"]
        if size is None:
            lines.append("Content-Type: application/json\r\n")
        else:
            lines.append(
                f"Content-Type: application/octet-stream\r\nInference-Header-Content-Length: {size}\r\n"
            )
        lines += [f"{name}: {value}\r\n" for name, value in asked.headers]
        lines.append("\r\n")
        message = [self._infer + "".join(lines).encode(), *parts]
        answer = await self._ask(message, seconds - (time.monotonic() - begin))
        if answer.status != 200:
            raise self._refused(answer)
        return await self._read(answer, asked, model, begin)

    def _encode(self, asked: Asked, model: Described) -> tuple[list[Buffer], int | None]:
        try:
            return encode_parts(
                asked.inputs, asked.outputs, None, asked.parameters, binary=model.binary,
                dtypes=model.dtypes,
            )  # fmt: skip
        except InferdError as error:
            raise Failure(error) from None

    async def _read(
        self, answer: HTTPAnswer, asked: Asked, model: Described, begin: float
    ) -> Answered:
        size = answer.headers.get(b"inference-header-content-length")
        try:
            json_bytes = None if size is None else int(size)
            if len(answer.body) > SLOW_BYTES and (size is None or tells_texts(model.signature)):
                outputs, rest = await asyncio.to_thread(decode_response, answer.body, json_bytes)
            else:
                outputs, rest = decode_response(answer.body, json_bytes)
        except (InferdError, ValueError) as error:
            reason = error.message if isinstance(error, InferdError) else str(error)
            raise self._garbled(f"its answer is not understood: {reason}") from None
        timed = answer.headers.get(b"server-timing")
        timings = timings_of(
            None if timed is None else timed.decode("latin-1"), time.monotonic() - begin,
            rows_of(asked.inputs, model.signature) or 1,
        )  # fmt: skip
        return Answered(outputs, timings, str(rest.get("model_version") or ""))

    async def stream(
        self, asked: Asked, model: Described, seconds: float
    ) -> AsyncIterator[Tensors]:
        begin = time.monotonic()
        if slow(asked.inputs):
            body = await asyncio.to_thread(self._question, asked, model)
        else:
            body = self._question(asked, model)
        lines = "".join(f"{name}: {value}\r\n" for name, value in asked.headers)
        head = (
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"Accept: text/event-stream\r\n{lines}\r\n"
        )
        left = seconds - (time.monotonic() - begin)
        answer = await self._open([self._stream + head.encode(), body], left)
        if isinstance(answer, HTTPAnswer):
            raise self._refused(answer)
        try:
            async for found in self._pieces(answer, asked, model):
                yield found
        except NoAnswer as error:
            raise self._failed(error) from None
        except Said as error:
            raise failure.refused(self._service, error.error) from None
        except InferdError as error:
            raise self._garbled(f"a piece of its answer: {error.message}") from None
        finally:
            await answer.aclose()

    def _question(self, asked: Asked, model: Described) -> bytes:
        try:
            return question(asked.inputs, model.signature, asked.parameters, b64=model.b64)
        except InferdError as error:
            raise Failure(error) from None

    async def _pieces(
        self, answer: AnswerStream, asked: Asked, model: Described
    ) -> AsyncIterator[Tensors]:
        events = Events()
        async for chunk in answer:
            for data in events.feed(chunk):
                found = piece(data, model.signature, asked.outputs)
                if found:
                    yield found
