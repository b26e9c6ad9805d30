"""From a decoded body to an encoded answer: what the predicting doors share.

The codecs of a version are made once and kept with its signature. A request is one entry for the
version's servable, or, where its rows cannot share one (unequal lengths, a model that answers rows
in unequal shapes), one request for each row, a bounded number at a time; the first failure ends
the others and is the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from inferd.api.call import Call
from inferd.api.coding import compressed, expanded, worth
from inferd.api.offload import Inline, Offload
from inferd.api.settings import ApiSettings
from inferd.codecs.base import Codec, Decoded, Decoder, Encoded, Encoder
from inferd.codecs.media import JSON, media_codec
from inferd.codecs.oip import OIPCodec
from inferd.codecs.registry import answered_as, json_codec, lingers, offloaded
from inferd.codecs.simple import SimpleCodec
from inferd.core.clock import Clock
from inferd.core.errors import InvalidInput, ModelFailed, Unavailable
from inferd.core.message import Request, Response, Timings, collected, completed
from inferd.core.plan import BatchPlan
from inferd.core.servable import answer_all
from inferd.core.signature import Signature
from inferd.core.tensor import Tensors
from inferd.routing.table import READY, RouteTable, Version
from inferd.transport.message import HTTPRequest, HTTPResponse

_REMEMBERED = 512
_TEXT_BYTES = 64  # a BYTES element weighs more than the pointer an array holds


class Target(NamedTuple):
    """Whom a request asks and in which form.

    ``door``: the name in the registry of the codec that can do this elsewhere; any other name is
    always decoded where it arrives.
    """

    version: Version
    door: str
    decoder: Decoder
    encoder: Encoder


Aim = Callable[[HTTPRequest, Call], Target]
"""Finds the target of a request on a door that predicts; raises the refusal."""


class VersionCodecs:
    """The codecs of one signature and plan."""

    __slots__ = ("_dialects", "_max_depth", "_media", "oip", "plan", "signature", "simple")

    def __init__(
        self, signature: Signature, plan: BatchPlan, max_depth: int, classes: tuple[str, ...] = ()
    ) -> None:
        self.signature = signature
        self.plan = plan
        self.simple = SimpleCodec(signature, plan, max_depth)
        self.oip = OIPCodec(signature, plan, max_depth, classes)
        self._media: dict[str, Decoder] = {JSON: self.simple}
        self._dialects: dict[str, Codec] = {}
        self._max_depth = max_depth

    def dialect(self, name: str) -> Codec:
        """Return the codec of a dialect of ``registry.JSON_DOORS``."""
        found = self._dialects.get(name)
        if found is None:
            found = json_codec(name, self.signature, self.plan, self._max_depth)
            self._dialects[name] = found
        return found

    def media(self, media: str) -> Decoder:
        """Return the decoder of a content type; raises ``UnsupportedMedia``."""
        found = self._media.get(media)
        if found is None:
            found = self._media[media] = media_codec(media, self.signature, self.plan)
        return found


class Inference:
    """Runs requests of all dialects."""

    def __init__(
        self, table: RouteTable, settings: ApiSettings, clock: Clock, offload: Offload | None = None
    ) -> None:
        self.table = table
        self._settings = settings
        self._clock = clock
        self._offload: Offload = offload or Inline()
        self._codecs: dict[int, VersionCodecs] = {}
        self._offload_bytes = settings.offload_bytes
        self._few = settings.offload_bytes // _TEXT_BYTES

    def codecs(self, version: Version) -> VersionCodecs:
        """Return the codecs of a loaded version, made once."""
        signature = version.signature
        found = self._codecs.get(id(signature))
        # The entry holds its signature, so an id cannot come to mean another one.
        if found is not None and found.plan is version.plan:
            return found
        if signature is None:
            raise Unavailable(f"model {version.model!r} has no signature yet", retry_after=1.0)
        if len(self._codecs) >= _REMEMBERED:
            self._codecs.clear()
        found = VersionCodecs(signature, version.plan, self._settings.json_depth, version.classes)
        self._codecs[id(signature)] = found
        return found

    async def answer(self, request: HTTPRequest, call: Call, target: Target) -> HTTPResponse:
        """Decode the body, ask the version, encode the answer."""
        version = target.version
        decoded = call.decoded
        if decoded is None:
            decoded = await self.read(request, call, target)
        outputs, timings = await self.run(version, call, decoded)
        if self.is_long(decoded, outputs):
            response = await self.encode_elsewhere(call, target, decoded, outputs, timings)
        else:
            response = self.encode(call, target, decoded, outputs, timings)
        wish = call.terms.wish
        if wish is not None and worth(response, wish):
            return await compressed(response, wish.coding)
        return response

    async def read(self, request: HTTPRequest, call: Call, target: Target) -> Decoded:
        """Decode the body, off the loop where it is large, and heed what it asks for."""
        begin = self._clock()
        body = await self.body(request, call)
        decoded = await self._decode(body, call, target)
        call.decode = self._clock() - begin
        self.heed(decoded, request, call)
        return decoded

    async def body(self, request: HTTPRequest, call: Call) -> bytes:
        """Return the body without its coding."""
        if call.terms.coding is None:
            return request.body
        return await expanded(request.body, call.terms.coding, call.terms.limit)

    async def run(
        self, version: Version, call: Call, decoded: Decoded
    ) -> tuple[Tensors | list[Tensors], Timings]:
        """Ask the version: its outputs, or those of each row where rows are run one by one."""
        if decoded.inputs is None or version.servable is None:
            return await self._run_rows(version, call, decoded)
        response = await self.ask(version, call, decoded)
        return await _outputs(response, decoded, version), response.timings

    async def ask(self, version: Version, call: Call, decoded: Decoded) -> Response:
        """Ask the version for a request that is one entry; its answer may be streamed.

        Raises ``InvalidInput`` for a request of several rows that are run one by one.
        """
        servable, inputs = version.servable, decoded.inputs
        if servable is None:
            raise Unavailable(f"model {version.model!r} is {version.state}", retry_after=1.0)
        if inputs is None:
            raise InvalidInput(
                "several examples cannot be answered in one stream", help="send one example"
            )
        return await servable(_entry(version, call, decoded, inputs))

    @property
    def max_depth(self) -> int:
        """How deep JSON may nest."""
        return self._settings.json_depth

    def is_long_body(self, body: bytes) -> bool:
        """Whether reading a body as JSON would hold the loop for long."""
        return len(body) > self._offload_bytes

    def takes(self, target: Target, body: bytes) -> bool:
        """Whether a body is read here, on the loop: it is not too large for that."""
        if not self.is_long_body(body):
            return True
        signature = target.version.signature
        assert signature is not None
        return not (offloaded(target.door) or lingers(target.door, body, signature))

    async def _decode(self, body: bytes, call: Call, target: Target) -> Decoded:
        if self.takes(target, body):
            return target.decoder.decode(body)
        version = target.version
        assert version.signature is not None
        if not offloaded(target.door):
            return await asyncio.to_thread(target.decoder.decode, body)
        return await self._offload.decode(
            target.door, body, version.signature, version.plan, call.deadline
        )

    def heed(self, decoded: Decoded, request: HTTPRequest, call: Call) -> None:
        """Take over what a body asks for besides its tensors: its own, shorter deadline."""
        if decoded.timeout is not None:
            start = request.received or self._clock()
            call.deadline = min(call.deadline, start + decoded.timeout)

    def encode(
        self,
        call: Call,
        target: Target,
        decoded: Decoded,
        outputs: Tensors | list[Tensors],
        timings: Timings,
    ) -> HTTPResponse:
        """Return the response that carries ``outputs``."""
        version, begin = target.version, self._clock()
        answer = target.encoder.encode(
            outputs, decoded.single, decoded.id, version.model, version.version, decoded.form
        )
        return self.response(call, answer, timings, begin)

    async def encode_elsewhere(
        self,
        call: Call,
        target: Target,
        decoded: Decoded,
        outputs: Tensors | list[Tensors],
        timings: Timings,
    ) -> HTTPResponse:
        """Return the response that carries outputs that are large, written off the loop."""
        version, begin = target.version, self._clock()
        assert version.signature is not None
        answer = await self._offload.encode(
            answered_as(target.door), outputs, version.signature, version.plan, decoded,
            version.model, version.version, call.deadline,
        )  # fmt: skip
        return self.response(call, answer, timings, begin)

    def response(
        self, call: Call, answer: bytes | Encoded, timings: Timings, begin: float
    ) -> HTTPResponse:
        """Return the response that carries a written answer; ``begin``: when writing it began."""
        timings.decode = call.decode
        timings.encode = self._clock() - begin
        call.timings = timings
        headers = [*call.headers, server_timing(timings)] if call.timed else call.headers
        if type(answer) is bytes:
            return HTTPResponse(200, answer, b"application/json", headers)
        body, media, more = cast("Encoded", answer)
        return HTTPResponse(200, body, media, [*headers, *more] if more else headers)

    def is_long(self, decoded: Decoded, outputs: Tensors | list[Tensors]) -> bool:
        """Whether writing ``outputs`` would hold the loop for long."""
        if decoded.raw and not _has_texts(outputs):
            return False
        # Few elements are never large, whatever they are: no weighing for small models.
        if type(outputs) is dict and len(outputs) == 1:
            for array in outputs.values():
                if array.size <= self._few:
                    return False
        return _size(outputs) > self._offload_bytes

    async def _run_rows(
        self, version: Version, call: Call, decoded: Decoded
    ) -> tuple[list[Tensors], Timings]:
        servable = version.servable
        if servable is None:
            raise Unavailable(f"model {version.model!r} is {version.state}", retry_after=1.0)
        requests = [_entry(version, call, decoded, inputs) for inputs in decoded.rows or ()]
        responses = await answer_all(servable, requests, self._settings.rows_at_once)
        return [await _outputs(r, decoded, version) for r in responses], _longest(responses)


def _entry(version: Version, call: Call, decoded: Decoded, inputs: Tensors) -> Request:
    """Return the request to a servable for ``inputs``, all or one row of a request's."""
    priority = call.priority if decoded.priority is None else decoded.priority
    return Request(
        version.model, inputs, version.version, decoded.outputs, decoded.parameters,
        call.id, call.deadline, priority, call.trace,
    )  # fmt: skip


def begin_of(version: Version, call: Call) -> Any | None:
    """Return how a version is asked without a coroutine (``core.servable.Direct``), where it can be.

    That way carries no trace, which who asks others has to pass on.
    """
    if version.parts and call.trace is not None:
        return None
    return getattr(version.servable, "begin", None)


def carried(version: Version, decoded: Decoded) -> bool:
    """Return whether that way carries all that a body asks for: inputs, and no choice of outputs.

    Parameters are for who generates, which of what is asked so only a step of a pipeline may do.
    """
    if decoded.inputs is None or decoded.outputs is not None:
        return False
    return not (decoded.parameters and version.parts)


def resolve(table: RouteTable, call: Call) -> Version:
    """Return the version that the path's free segments name, noted in ``call``.

    Raises ``NotFound``, ``Unavailable`` where it does not serve, ``InvalidInput`` where the path
    names no model and several are served.
    """
    values = call.values
    name = values[0] if values else None
    number = values[1] if len(values) > 1 else None
    found = table.find(name, number)
    call.model, call.version = found.model, found.version
    if found.state == READY and found.servable is not None:
        return found
    return table.resolve(name, number)


async def _outputs(response: Response, decoded: Decoded, version: Version) -> Tensors:
    outputs = response.outputs
    if response.chunks is not None:
        outputs = await collected(response)
    if version.streams and version.signature is not None:
        outputs = completed(outputs, version.signature, decoded.outputs)
    if decoded.outputs is None:
        return outputs
    missing = [name for name in decoded.outputs if name not in outputs]
    if missing:
        raise ModelFailed(f"the model answered without its output {missing[0]!r}")
    return {name: outputs[name] for name in decoded.outputs}


def _has_texts(outputs: Tensors | list[Tensors]) -> bool:
    row = outputs if isinstance(outputs, dict) else outputs[0] if outputs else {}
    return any(array.dtype.hasobject for array in row.values())


def _size(outputs: Tensors | list[Tensors]) -> int:
    """Return about how many bytes the values weigh."""
    if isinstance(outputs, list):
        return sum(_size(row) for row in outputs)
    total = 0
    for array in outputs.values():
        total += array.size * _TEXT_BYTES if array.dtype.hasobject else array.nbytes
    return total


def _longest(responses: list[Response]) -> Timings:
    """Return the timings of rows that ran side by side: the longest of each stage, and all steps."""
    timings = Timings(
        steps=tuple(step for response in responses for step in response.timings.steps),
        began=min((r.timings.began for r in responses), default=0.0),
    )
    for response in responses:
        row = response.timings
        timings.queue = max(timings.queue, row.queue)
        timings.batch = max(timings.batch, row.batch)
        timings.run = max(timings.run, row.run)
        timings.batch_size = max(timings.batch_size, row.batch_size)
    return timings


def server_timing(timings: Timings) -> tuple[bytes, bytes]:
    """Return the ``Server-Timing`` header: every stage, and step of a pipeline, in milliseconds.

    A step that ran for several rows counts with the longest; one that was skipped is left out.
    """
    stages = ("decode", "queue", "batch", "run", "encode")
    spent = {stage: getattr(timings, stage) for stage in stages}
    for step in timings.steps:
        if not step.skipped:
            name = f"step-{step.name.replace('!', '-')}"
            spent[name] = max(spent.get(name, 0.0), step.end - step.start)
    text = ", ".join(f"{name};dur={seconds * 1e3:.3f}" for name, seconds in spent.items())
    return b"Server-Timing", text.encode()
