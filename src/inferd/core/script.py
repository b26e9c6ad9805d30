"""Models that read and write whole bodies: the tensors in which a body crosses to them and back.

Some code wants what the client sent as it was sent, and says itself what its answer is. To such a
model a request is three BYTES tensors (the body, its content type and the type wanted), an answer
two. Doors that know this pass bodies through; to all others it is a model of texts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, Tensors, as_bytes, lone

BODY = "body"
CONTENT_TYPE = "content_type"
ACCEPT = "accept"

WHOLE = "whole"
"""``TensorSpec.content`` of a body: it is what a client sent or is sent, whatever that means."""

INPUTS = (
    TensorSpec(BODY, BYTES, (-1,), content=WHOLE),
    TensorSpec(CONTENT_TYPE, BYTES, (-1,)),
    TensorSpec(ACCEPT, BYTES, (-1,)),
)
OUTPUTS = (TensorSpec(BODY, BYTES, (-1,), content=WHOLE), TensorSpec(CONTENT_TYPE, BYTES, (-1,)))
SIGNATURE = Signature(INPUTS, OUTPUTS, batched=True, max_batch=1)


MADE_UP = "hello world"
"""The content type of the request that proves a model before it is ready: that of no body."""


def reads_bodies(signature: Signature) -> bool:
    """Return whether a model takes and gives whole bodies."""
    return (
        tuple((s.name, s.content) for s in signature.inputs) == _names(INPUTS)
        and tuple((s.name, s.content) for s in signature.outputs) == _names(OUTPUTS)
    )  # fmt: skip


def _names(specs: tuple[TensorSpec, ...]) -> tuple[tuple[str, str | None], ...]:
    return tuple((s.name, s.content) for s in specs)


def request(body: bytes, content_type: str, accept: str) -> Tensors:
    """Return the inputs of one request."""
    return {
        BODY: lone(body), CONTENT_TYPE: lone(content_type.encode()), ACCEPT: lone(accept.encode()),
    }  # fmt: skip


def answers(rows: Sequence[tuple[bytes, str]]) -> Tensors:
    """Return the outputs for bodies and their content types."""
    outputs = {spec.name: np.empty(len(rows), object) for spec in OUTPUTS}
    for index, (body, media) in enumerate(rows):
        outputs[BODY][index] = body
        outputs[CONTENT_TYPE][index] = media.encode()
    return outputs


def answer(outputs: Tensors) -> tuple[bytes, str]:
    """Return body and content type of one answer."""
    media = as_bytes(outputs[CONTENT_TYPE].flat[0])
    return as_bytes(outputs[BODY].flat[0]), media.decode("latin-1")
