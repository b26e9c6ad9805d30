"""``inferd.Client``: the client for ordinary code. It may be used by any number of threads.

It carries out what ``flow`` decides: sends over httpx, sleeps, reads streams.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
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
from inferd.client.pool import Pool
from inferd.client.result import Result
from inferd.client.transfer import PART, OutOfTime, bound, built, failure_of, joined, lane, parts
from inferd.client.wire import JSON, Answer, Failure, Pause, Send, Steps, T, model_path
from inferd.core.clock import monotonic


class Client:
    """Asks an inferd server, or any other server of the Open Inference Protocol, over HTTP.

    ``url`` is the server's address; the keyword arguments are those of
    ``inferd.client.options.Options``: ``timeout``, ``retries``, ``headers``, ``api_key``, ``verify``,
    ``ca``, ``cert``, ``binary``, ``compression``, ``timings``, ``connections``. Connections are kept
    open until ``close``; use it as a context manager.

    Every method raises ``InferdError``: what the server refused as the class that names the fault, with
    ``help``, ``status`` and ``request_id``.
    """

    def __init__(self, url: str, **options: Unpack[ClientOptions]) -> None:
        self._options = Options(url, **options)
        self._flow = Flow(self._options)
        self._headers = lasting_headers(self._options)
        arguments = lane(self._options)
        self._pool = Pool(lambda: httpx.HTTPTransport(**arguments), self._options.connections)

    def predict(
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
            parameters: texts, numbers, booleans and lists of them for the model.
            timeout: seconds (or ``"500ms"``) for this call with all its repeats.
            priority: ``high`` or ``normal``.
            request_id: the id of logs, echoed in ``Result.id``; else one is made.
        """
        asked = question(model, inputs, version, outputs, parameters, timeout, priority, request_id)
        return self._run(self._flow.predict(asked))

    def stream(
        self,
        model: Any = None,
        inputs: Any = UNSAID,
        *,
        version: str | int | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float | str | None = None,
        priority: str | None = None,
        request_id: str | None = None,
    ) -> Generator[Result, None, None]:
        """Ask a model that streams; yield pieces of its answer as they come.

        The arguments are those of ``predict``, for one example. A piece holds what is new of each
        output. Closing the iterator closes the connection, which stops the generation.
        """
        asked = question(model, inputs, version, None, parameters, timeout, priority, request_id)
        answer, pieces, terms = self._run(self._flow.open(asked))
        with closing(self._events(answer, terms)) as events:
            for data in events:
                yield pieces.piece(data)

    def generate(
        self,
        model: Any = None,
        prompt: Any = UNSAID,
        *,
        version: str | int | None = None,
        timeout: float | str | None = None,
        priority: str | None = None,
        request_id: str | None = None,
        **parameters: Any,
    ) -> Generator[str, None, None]:
        """Yield the text that a model generates, as it comes: ``generate("m", "Once upon")``.

        Further keyword arguments are parameters of the model: ``max_tokens=100``.
        """
        asked = question(model, prompt, version, None, parameters, timeout, priority, request_id)
        metadata = self._run(self._flow.known(asked))
        inputs = prompted(asked.inputs, metadata.signature)
        pieces = self.stream(
            asked.model or metadata.name, inputs, version=version, parameters=parameters,
            timeout=timeout, priority=priority, request_id=request_id,
        )  # fmt: skip
        with closing(pieces):
            for piece in pieces:
                text = text_of(piece, metadata.signature)
                if text:
                    yield text

    def live(self) -> bool:
        """Return whether the server answers."""
        return self._run(self._flow.probe("/v2/health/live", self._options.seconds)) is None

    def ready(self, model: str | None = None, version: str | None = None) -> bool:
        """Return whether the server, or a model, is ready."""
        path = ready_path(model, version)
        return self._run(self._flow.probe(path, self._options.seconds)) is None

    def wait_until_ready(
        self, timeout: float | str = 60.0, model: str | None = None, version: str | None = None
    ) -> None:
        """Wait until the server, or a model, is ready; raises ``Unavailable`` with the reason."""
        self._run(self._flow.wait_until_ready(timeout, model, version))

    def models(self) -> list[str]:
        """Return the names of the models served."""
        return self._run(self._flow.names(self._flow.terms()))

    def metadata(self, model: str | None = None, version: str | None = None) -> ModelMetadata:
        """Return what a model takes and gives."""
        return self._run(self._flow.metadata(model, version, self._flow.terms()))

    def config(self, model: str, version: str | None = None) -> dict[str, Any]:
        """Return a model's configuration in Triton's form, where the server has it."""
        path = model_path(model, version, "config")
        found: dict[str, Any] = self._run(self._flow.fetch(path, self._flow.terms()))
        return found

    def stats(self, model: str | None = None, version: str | None = None) -> dict[str, Any]:
        """Return the statistics of all models, or of one, where the server has them."""
        path = stats_path(model, version)
        found: dict[str, Any] = self._run(self._flow.fetch(path, self._flow.terms()))
        return found

    def ask(
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
        return self._run(
            self._flow.ask(
                method, path, body=body, media=media, accept=accept, timeout=timeout,
                request_id=request_id,
            )
        )  # fmt: skip

    def events(
        self,
        path: str,
        *,
        body: bytes,
        media: str,
        timeout: float | str | None = None,
        request_id: str | None = None,
    ) -> Generator[bytes, None, None]:
        """Post any body below the server's address; yield the data of the events it is answered with."""
        terms = self._flow.terms(timeout, request_id)
        answer = self._run(self._flow.events(path, body, media, terms))
        yield from self._events(answer, terms)

    def close(self) -> None:
        """Close all connections. Idempotent."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    # -- carrying out ------------------------------------------------------------------------------

    def _run(self, steps: Steps[T]) -> T:
        got: Answer | Failure | None = None
        try:
            while True:
                step = steps.send(got)
                got = None
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                else:
                    got = self._send(step)
        except StopIteration as done:
            result: T = done.value
            return result

    def _send(self, step: Send) -> Answer | Failure:
        deadline = monotonic() + step.seconds
        body = step.request.body
        content = parts(body, deadline, monotonic) if len(body) > PART else body
        request = built(self._flow.url, self._headers, step, content)
        began = False
        try:
            response = self._pool.send(request, bound(step.seconds))
            began = True
            request.extensions["timeout"]["read"] = bound(max(deadline - monotonic(), 0.001))
            if step.stream and response.is_success:
                return Answer(response.status_code, response.headers, b"", response)
            try:
                read = joined(response.iter_bytes(), deadline, monotonic)
            finally:
                response.close()
        except (httpx.HTTPError, OutOfTime) as error:
            return failure_of(error, step.seconds, began=began)
        return Answer(response.status_code, response.headers, read)

    def _events(self, answer: Answer, terms: Terms) -> Generator[bytes, None, None]:
        """Yield the events of an open response, then close it; raises what breaks it off."""
        response: httpx.Response = answer.rest
        events = Events(answer)
        try:
            for chunk in response.iter_bytes():
                if monotonic() >= terms.deadline:
                    raise OutOfTime
                yield from events.feed(chunk)
                if events.ended:
                    return
            yield from events.end()
        except (httpx.HTTPError, OutOfTime) as error:
            failure = failure_of(error, terms.seconds, began=True)
            raise failed(failure, self._flow.url, terms.id, terms.seconds) from None
        finally:
            response.close()
