"""``inferd.AsyncClient``: the client for code on an event loop; it is ``inferd.Client`` with ``await``.

It carries out what ``flow`` decides: sends over httpx, waits, reads streams. A call that is cancelled
closes its connection, and the server stops working for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, Unpack

import httpx

from inferd.client.asking import UNSAID, question
from inferd.client.errors import failed
from inferd.client.events import Events
from inferd.client.exchange import Terms
from inferd.client.flow import Flow, ready_path, stats_path
from inferd.client.generate import prompted, text_of
from inferd.client.models import ModelMetadata
from inferd.client.options import ClientOptions, Options, lasting_headers
from inferd.client.pool import AsyncPool
from inferd.client.result import Result
from inferd.client.transfer import OutOfTime, bound, built, failure_of, lane
from inferd.client.wire import JSON, Answer, Failure, Pause, Send, Steps, T, model_path
from inferd.core.clock import monotonic


class AsyncClient:
    """Asks an inferd server, or any other server of the Open Inference Protocol, over HTTP.

    ``url`` is the server's address; the keyword arguments are those of
    ``inferd.client.options.Options``: ``timeout``, ``retries``, ``headers``, ``api_key``, ``verify``,
    ``ca``, ``cert``, ``binary``, ``compression``, ``timings``, ``connections``. Connections are kept
    open until ``aclose``; use it as a context manager.

    Every method raises ``InferdError``: what the server refused as the class that names the fault, with
    ``help``, ``status`` and ``request_id``.
    """

    def __init__(self, url: str, **options: Unpack[ClientOptions]) -> None:
        self._options = Options(url, **options)
        self._flow = Flow(self._options)
        self._headers = lasting_headers(self._options)
        arguments = lane(self._options)
        self._pool = AsyncPool(
            lambda: httpx.AsyncHTTPTransport(**arguments), self._options.connections
        )

    async def predict(
        self,
        model: Any = None,
        inputs: Any = UNSAID,
        *,
        version: str | int | None = None,
        outputs: str | Sequence[str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float | str | None = None,
        priority: str | None = None,
        request_id: str | None = None,
    ) -> Result:
        """Ask a model and return its answer.

        Args:
            model: its name; may be left out (``predict(inputs)``) where one model is served.
            inputs: ``{name: value}``, one value for a model of one input, a list of
                ``{name: value}`` (a batch), or a pandas DataFrame. A value is an array, a list, a
                number, a text, bytes, a pandas column, a PIL image, or the ``Path`` of a file.
            version: which version; the latest that is ready by default.
            outputs: the outputs wanted; all by default.
            parameters: texts, numbers and booleans for the model.
            timeout: seconds (or ``"500ms"``) for this call with all its repeats.
            priority: ``high`` or ``normal``.
            request_id: the id of logs, echoed in ``Result.id``; else one is made.
        """
        asked = question(model, inputs, version, outputs, parameters, timeout, priority, request_id)
        return await self._run(self._flow.predict(asked))

    async def stream(
        self,
        model: Any = None,
        inputs: Any = UNSAID,
        *,
        version: str | int | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float | str | None = None,
        priority: str | None = None,
        request_id: str | None = None,
    ) -> AsyncGenerator[Result]:
        """Ask a model that streams; yield pieces of its answer as they come.

        The arguments are those of ``predict``, for one example. A piece holds what is new of each
        output. Closing the iterator closes the connection, which stops the generation.
        """
        asked = question(model, inputs, version, None, parameters, timeout, priority, request_id)
        answer, pieces, terms = await self._run(self._flow.open(asked))
        async with aclosing(self._events(answer, terms)) as events:
            async for data in events:
                yield pieces.piece(data)

    async def generate(
        self,
        model: Any = None,
        prompt: Any = UNSAID,
        *,
        version: str | int | None = None,
        timeout: float | str | None = None,
        priority: str | None = None,
        request_id: str | None = None,
        **parameters: Any,
    ) -> AsyncGenerator[str]:
        """Yield the text that a model generates, as it comes: ``generate("m", "Once upon")``.

        Further keyword arguments are parameters of the model: ``max_tokens=100``.
        """
        asked = question(model, prompt, version, None, parameters, timeout, priority, request_id)
        metadata = await self._run(self._flow.known(asked))
        inputs = prompted(asked.inputs, metadata.signature)
        pieces = self.stream(
            asked.model or metadata.name, inputs, version=version, parameters=parameters,
            timeout=timeout, priority=priority, request_id=request_id,
        )  # fmt: skip
        async with aclosing(pieces):
            async for piece in pieces:
                text = text_of(piece, metadata.signature)
                if text:
                    yield text

    async def live(self) -> bool:
        """Return whether the server answers."""
        return await self._run(self._flow.probe("/v2/health/live", self._options.seconds)) is None

    async def ready(self, model: str | None = None, version: str | None = None) -> bool:
        """Return whether the server, or a model, is ready."""
        path = ready_path(model, version)
        return await self._run(self._flow.probe(path, self._options.seconds)) is None

    async def wait_until_ready(
        self, timeout: float | str = 60.0, model: str | None = None, version: str | None = None
    ) -> None:
        """Wait until the server, or a model, is ready; raises ``Unavailable`` with the reason."""
        await self._run(self._flow.wait_until_ready(timeout, model, version))

    async def models(self) -> list[str]:
        """Return the names of the models served."""
        return await self._run(self._flow.names(self._flow.terms()))

    async def metadata(self, model: str | None = None, version: str | None = None) -> ModelMetadata:
        """Return what a model takes and gives."""
        return await self._run(self._flow.metadata(model, version, self._flow.terms()))

    async def config(self, model: str, version: str | None = None) -> dict[str, Any]:
        """Return a model's configuration in Triton's form, where the server has it."""
        path = model_path(model, version, "config")
        found: dict[str, Any] = await self._run(self._flow.fetch(path, self._flow.terms()))
        return found

    async def stats(self, model: str | None = None, version: str | None = None) -> dict[str, Any]:
        """Return the statistics of all models, or of one, where the server has them."""
        path = stats_path(model, version)
        found: dict[str, Any] = await self._run(self._flow.fetch(path, self._flow.terms()))
        return found

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        media: str | None = None,
        accept: str = JSON,
        timeout: float | str | None = None,
        request_id: str | None = None,
    ) -> Answer:
        """Send any request below the server's address, under the same rules; return its answer.

        ``media``: the type of ``body``; ``accept``: the type wanted.
        """
        return await self._run(
            self._flow.ask(
                method, path, body=body, media=media, accept=accept, timeout=timeout,
                request_id=request_id,
            )
        )  # fmt: skip

    async def events(
        self,
        path: str,
        *,
        body: bytes,
        media: str,
        timeout: float | str | None = None,
        request_id: str | None = None,
    ) -> AsyncGenerator[bytes]:
        """Post any body below the server's address; yield the data of the events it is answered with."""
        terms = self._flow.terms(timeout, request_id)
        answer = await self._run(self._flow.events(path, body, media, terms))
        async with aclosing(self._events(answer, terms)) as events:
            async for data in events:
                yield data

    async def aclose(self) -> None:
        """Close all connections. Idempotent."""
        await self._pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        await self.aclose()

    # -- carrying out ------------------------------------------------------------------------------

    async def _run(self, steps: Steps[T]) -> T:
        got: Answer | Failure | None = None
        try:
            while True:
                step = steps.send(got)
                got = None
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                else:
                    got = await self._send(step)
        except StopIteration as done:
            result: T = done.value
            return result

    async def _send(self, step: Send) -> Answer | Failure:
        request = built(self._flow.url, self._headers, step, step.request.body)
        began = False
        try:
            async with asyncio.timeout(bound(step.seconds)):
                response = await self._pool.send(request)
                began = True
                if step.stream and response.is_success:
                    return Answer(response.status_code, response.headers, b"", response)
                body = bytearray()
                try:
                    async for chunk in response.aiter_bytes():
                        body += chunk
                finally:
                    await response.aclose()
        except (httpx.HTTPError, TimeoutError) as error:
            return failure_of(error, step.seconds, began=began)
        return Answer(response.status_code, response.headers, body)

    async def _events(self, answer: Answer, terms: Terms) -> AsyncGenerator[bytes]:
        """Yield the events of an open response, then close it; raises what breaks it off."""
        response: httpx.Response = answer.rest
        events = Events(answer)
        chunks = response.aiter_bytes()
        try:
            while not events.ended:
                # Not around the whole: the caller's own time between pieces is not to be interrupted.
                async with asyncio.timeout(bound(terms.deadline - monotonic())):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    break
                if monotonic() >= terms.deadline:
                    raise OutOfTime
                for data in events.feed(chunk):
                    yield data
            for data in events.end():
                yield data
        except (httpx.HTTPError, OutOfTime, TimeoutError) as error:
            failure = failure_of(error, terms.seconds, began=True)
            raise failed(failure, self._flow.url, terms.id, terms.seconds) from None
        finally:
            await response.aclose()
