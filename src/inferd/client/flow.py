"""What a client asks a server, once for both clients: of its models, and questions to them.

Generators of steps, as in ``exchange``.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from inferd.client.asking import Question, infer_request, result_of, stream_request
from inferd.client.events import Pieces
from inferd.client.exchange import Exchanges, Terms
from inferd.client.given import Given, to_tensors
from inferd.client.models import Known, ModelMetadata, Models, read_metadata
from inferd.client.options import Options
from inferd.client.result import Result
from inferd.client.wire import JSON, Answer, Failure, Outgoing, Pause, Send, Steps, model_path
from inferd.codecs.refusals import explained
from inferd.core.clock import Clock, monotonic
from inferd.core.errors import (
    InferdError,
    InvalidInput,
    NotAllowed,
    NotFound,
    Unavailable,
    Unsupported,
)

FRESH = 1.0
"""Seconds for which metadata are not doubted, whatever is refused."""

UNOFFERED = (NotFound, InvalidInput, NotAllowed, Unsupported)
"""What a server answers that has no such route."""

_LONGEST_PROBE = 5.0
_SLOWEST_POLL = 1.0


class Opened(NamedTuple):
    """A stream that has begun: its open response, the maker of its pieces, and its terms."""

    answer: Answer
    pieces: Pieces
    terms: Terms


Build = Callable[[str, Given, ModelMetadata], Outgoing]
"""Makes the request of a question: of the model's name, the tensors, and what is known of it."""


class Flow(Exchanges):
    """The questions of one client, and what it remembers of the server."""

    def __init__(
        self,
        options: Options,
        clock: Clock = monotonic,
        draw: Callable[[], float] = random.random,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(options, clock, draw, wall)
        self._models = Models()
        self._extensions: frozenset[str] | None = None
        self._lone: str | None = None

    # -- what the server tells of itself -----------------------------------------------------------

    def fetch(self, path: str, terms: Terms, method: str = "GET", body: bytes = b"") -> Steps[Any]:
        """Return the JSON at a path."""
        headers = {"Accept": JSON, "Content-Type": JSON} if body else {"Accept": JSON}
        answer = yield from self.exchange(Outgoing(method, path, headers, body), terms)
        try:
            return answer.json()
        except InferdError as error:
            raise Unavailable(
                f"{self.url}{path}: the answer cannot be read: {error.message}",
                help="does the server speak the Open Inference Protocol?",
            ) from None

    def probe(self, path: str, seconds: float) -> Steps[str | None]:
        """Ask once whether something is well; return why it is not, ``None`` where it is."""
        request = Outgoing("GET", path, {"Accept": JSON})
        got = yield Send(request, min(seconds, _LONGEST_PROBE))
        if isinstance(got, Failure):
            return got.reason
        assert got is not None
        return _unready(got)

    def wait_until_ready(
        self, timeout: float | str, model: str | None, version: str | None
    ) -> Steps[None]:
        """Ask again and again until the server (or a model) is ready; raises ``Unavailable``."""
        terms = self.terms(timeout)
        pause = 0.05
        while True:
            left = terms.deadline - self.clock()
            reason = yield from self.probe(ready_path(model, version), left)
            if reason is None:
                return
            if terms.deadline - self.clock() <= pause:
                raise Unavailable(
                    f"{self.url}: {_whom(model)} is not ready after {terms.seconds:g} s: {reason}"
                )
            yield Pause(pause)
            pause = min(_SLOWEST_POLL, pause * 1.5)

    def names(self, terms: Terms) -> Steps[list[str]]:
        """Return the names of the models served."""
        names, _ = yield from self._listed(terms)
        return names

    def _listed(self, terms: Terms) -> Steps[tuple[list[str], str | None]]:
        """Return the names of the models served, and the one that needs no name where that is said."""
        try:
            listed = yield from self.fetch("/v2/models", terms)
        except UNOFFERED:
            # Triton lists its models only here.
            listed = yield from self.fetch("/v2/repository/index", terms, "POST", b"{}")
        found = listed.get("models") if isinstance(listed, dict) else listed
        rows = found if isinstance(found, list) else []
        names = [row["name"] if isinstance(row, dict) and "name" in row else row for row in rows]
        default = listed.get("default") if isinstance(listed, dict) else None
        return (
            list(dict.fromkeys(str(name) for name in names)),
            default if isinstance(default, str) else None,
        )

    def only(self, terms: Terms) -> Steps[str]:
        """Return the name of the one model served, or of the pipeline that the others are parts of.

        Raises ``InvalidInput`` where it is not one.
        """
        if self._lone is None:
            names, default = yield from self._listed(terms)
            if default is not None:
                names = [default]
            if len(names) != 1:
                raise InvalidInput(
                    f"{self.url} serves {len(names)} models; a name is needed",
                    help="name one of: " + ", ".join(names) if names else None,
                )
            self._lone = names[0]
        return self._lone

    def metadata(
        self, model: str | None, version: str | None, terms: Terms
    ) -> Steps[ModelMetadata]:
        """Fetch the metadata of a model, and keep them."""
        name = model if model is not None else (yield from self.only(terms))
        row = yield from self.fetch(model_path(name, version), terms)
        found = read_metadata(row, name)
        self._models.put(name, version, Known(found, self.clock()))
        return found

    def extensions(self, terms: Terms) -> Steps[frozenset[str]]:
        """Return the extensions that the server offers, asked for once."""
        if self._extensions is None:
            try:
                row = yield from self.fetch("/v2", terms)
            except UNOFFERED:  # a server that does not describe itself has none
                row = None
            listed = row.get("extensions") if isinstance(row, dict) else None
            self._extensions = frozenset(map(str, listed or ()))
        return self._extensions

    def known(self, asked: Question) -> Steps[ModelMetadata]:
        """Return the metadata of the model that a question is for, fetched where not known."""
        terms = self.terms(asked.timeout)
        name = asked.model if asked.model is not None else (yield from self.only(terms))
        known = self._models.get(name, asked.version)
        return known.metadata if known else (yield from self.metadata(name, asked.version, terms))

    # -- questions to models -----------------------------------------------------------------------

    def predict(self, asked: Question) -> Steps[Result]:
        """Ask a model, and read its answer whole."""
        terms = self.terms(asked.timeout, asked.request_id)
        extensions = yield from self.extensions(terms)
        binary = self.options.binary
        if binary is None:
            binary = "binary_tensor_data" in extensions
        schedules = "schedule_policy" in extensions

        def build(name: str, given: Given, metadata: ModelMetadata) -> Outgoing:
            return infer_request(
                asked, name, given, binary=binary, schedules=schedules,
                coding=self.options.compression,
            )  # fmt: skip

        answer, given, _ = yield from self._put(asked, terms, build, stream=False)
        return result_of(answer, given, self.url)

    def open(self, asked: Question) -> Steps[Opened]:
        """Ask a model for an answer in pieces; returns once it begins."""
        terms = self.terms(asked.timeout, asked.request_id)

        def build(name: str, given: Given, metadata: ModelMetadata) -> Outgoing:
            return stream_request(
                asked, name, given, batched=metadata.signature.batched,
                coding=self.options.compression,
            )  # fmt: skip

        answer, _, metadata = yield from self._put(asked, terms, build, stream=True)
        return Opened(answer, Pieces(answer, metadata.signature), terms)

    def _put(
        self, asked: Question, terms: Terms, build: Build, *, stream: bool
    ) -> Steps[tuple[Answer, Given, ModelMetadata]]:
        """Put a question with the metadata known; where it is refused, with new ones if they differ."""
        name = asked.model if asked.model is not None else (yield from self.only(terms))

        def put(metadata: ModelMetadata) -> Steps[tuple[Answer, Given, ModelMetadata]]:
            given = to_tensors(asked.inputs, metadata.signature)
            request = build(name, given, metadata)
            answer = yield from self.exchange(request, terms, stream=stream)
            return answer, given, metadata

        known = self._models.get(name, asked.version)
        if known is None:
            return (yield from put((yield from self.metadata(name, asked.version, terms))))
        try:
            return (yield from put(known.metadata))
        except (InvalidInput, NotFound):
            self._lone = None
            if self.clock() - known.at < FRESH:
                raise
            metadata = yield from self.metadata(name, asked.version, terms)
            if metadata.signature == known.metadata.signature:
                raise
        return (yield from put(metadata))


def ready_path(model: str | None, version: str | None = None) -> str:
    """Return where a server, or a model, says whether it is ready."""
    return "/v2/health/ready" if model is None else model_path(model, version, "ready")


def stats_path(model: str | None, version: str | None = None) -> str:
    """Return where the statistics of all models, or of one, are."""
    return "/v2/models/stats" if model is None else model_path(model, version, "stats")


def _whom(model: str | None) -> str:
    return "the server" if model is None else f"model {model!r}"


def _unready(answer: Answer) -> str | None:
    """Return why an answer says "not ready", ``None`` where it says "ready"."""
    try:
        value = answer.json() if answer.body else None
    except InferdError:
        value = None
    row = value if isinstance(value, dict) else {}
    if answer.status == 200 and row.get("ready") is not False:
        return None
    reasons = row.get("reasons") or row.get("reason")
    if isinstance(reasons, list):
        reasons = "; ".join(map(str, reasons))
    said = explained(row)
    return str(reasons or (said[0] if said else f"the server answered {answer.status}"))
