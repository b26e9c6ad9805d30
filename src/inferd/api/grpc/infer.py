"""Asking a model: from a decoded message to its outputs, for every method that predicts.

A request that is one entry of a batch waits for a future and nothing else; whatever is more (rows
that are run one by one, a choice of outputs, a servable that wraps others) takes the way of
``api.inference``, which HTTP takes as well.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from inferd.api.call import Call
from inferd.api.grpc.aims import Aims
from inferd.api.inference import Inference, begin_of
from inferd.codecs.base import Decoded
from inferd.codecs.protobuf.heads import Heads
from inferd.codecs.protobuf.infer import REQUEST, InferCodec
from inferd.codecs.protobuf.messages import parse, read
from inferd.codecs.protobuf.weigh import MANY, is_intricate
from inferd.core.clock import Clock
from inferd.core.errors import InferdError
from inferd.core.message import Timings
from inferd.core.servable import Direct
from inferd.core.tensor import Tensors
from inferd.routing.table import READY, RouteTable, Version

Asked = tuple[Version, InferCodec, Decoded]


class Inferring:
    """Runs the requests of ``ModelInfer`` and ``ModelStreamInfer``.

    ``large``: bytes of a message from which on texts are read off the loop.
    """

    def __init__(self, table: RouteTable, inference: Inference, clock: Clock, large: int) -> None:
        self.inference = inference
        self.clock = clock
        self.large = large
        self._table = table
        self._aims = Aims(table, _codec)
        self._heads: Heads[tuple[Version, InferCodec]] = Heads()
        self._generation = -1

    async def infer(self, body: bytes, call: Call) -> bytes:
        """Answer one ``ModelInferRequest``."""
        version, codec, decoded = await self.read(body, call)
        outputs, timings = await self.run(version, call, decoded)
        return self.write(codec, call, decoded, outputs, timings)

    async def read(self, body: bytes, call: Call) -> Asked:
        """Return whom a message asks, and what."""
        begin = self.clock()
        asked = self.known(body, call)
        if asked is None:
            message = await parsed(REQUEST, body)
            version, codec = self.aim(message, call)
            if self.is_slow(codec, message, body):
                decoded = await asyncio.to_thread(codec.decode, message)
            else:
                decoded = self.decode(body, message, version, codec)
            asked = version, codec, decoded
        self.heed(asked[2], call, begin)
        return asked

    def known(self, body: bytes, call: Call) -> Asked | None:
        """Return what a message asks that begins like an earlier one; ``None`` where none did."""
        generation = self._table.generation
        if generation != self._generation:
            self._generation = generation
            self._heads.forget()
            return None
        head = self._heads.find(body)
        if head is None:
            return None
        version, codec = head.whom
        if version.state != READY:
            return None
        call.model, call.version = version.model, version.version
        return version, codec, Decoded(head.tensors(body), raw=True)

    def decode(
        self, body: bytes, message: Any, version: Version, codec: InferCodec
    ) -> Decoded:  # fmt: skip
        """Return what a message asks, and remember how it begins."""
        decoded = codec.decode(message)
        if decoded.inputs is not None and len(decoded.inputs) == 1:
            ((_, array),) = decoded.inputs.items()
            self._heads.remember(body, message, array.shape, (version, codec))
        return decoded

    def aim(self, message: Any, call: Call) -> tuple[Version, InferCodec]:
        """Return whom a message asks, and the codec for it."""
        return self._aims.find(call, message.model_name, message.model_version)

    def is_slow(self, codec: InferCodec, message: Any, body: bytes) -> bool:
        """Whether reading a message would hold the loop: large, and not plain raw numbers."""
        return len(body) > self.large and (codec.slow or not message.raw_input_contents)

    def heed(self, decoded: Decoded, call: Call, begin: float) -> None:
        """Take over what a message asks for besides its tensors; ``begin``: when it had arrived."""
        call.decode = self.clock() - begin
        if decoded.timeout is not None:
            call.deadline = min(call.deadline, begin + decoded.timeout)
        if decoded.priority is not None:
            call.priority = decoded.priority

    async def run(
        self, version: Version, call: Call, decoded: Decoded
    ) -> tuple[Tensors | list[Tensors], Timings]:
        """Ask the version: its outputs, or those of each row where rows are run one by one."""
        begin = begin_of(version, call)
        inputs = decoded.inputs
        if begin is None or inputs is None or decoded.outputs is not None or decoded.parameters:
            return await self.inference.run(version, call, decoded)
        future: asyncio.Future[Tensors] = asyncio.get_running_loop().create_future()
        handle = begin(inputs, future, call.deadline, call.priority, call.id)
        if handle is None:
            return await self.inference.run(version, call, decoded)
        servable = cast("Direct", version.servable)
        try:
            outputs = await future
        except asyncio.CancelledError:
            servable.abandon(handle)
            raise
        except InferdError:
            del handle, future  # the future holds the error, whose traceback holds this frame
            raise
        return outputs, servable.timings(handle)

    def write(
        self, codec: InferCodec, call: Call, decoded: Decoded, outputs: Tensors | list[Tensors],
        timings: Timings, *, streamed: bool = False,
    ) -> bytes:  # fmt: skip
        """Return the answer that holds ``outputs``."""
        begin = self.clock()
        form = decoded.form
        final = True if streamed and form is not None and form.get("final") else None
        answer = codec.encode(outputs, decoded.id, form, final=final, streamed=streamed)
        timings.decode = call.decode
        timings.encode = self.clock() - begin
        call.timings = timings
        return answer


async def parsed(cls: Any, body: bytes) -> Any:
    """Return the message in ``body``, off the loop where it has very many fields."""
    if is_intricate(cls, body):
        return await asyncio.to_thread(parse, cls, body, MANY)
    return read(cls, body)


def _codec(version: Version) -> InferCodec:
    assert version.signature is not None
    return InferCodec(
        version.signature, version.plan, version.model, version.version, version.classes
    )
