"""Requests that differ from an earlier one in nothing but the bytes of their one raw tensor.

A client that asks one model again and again sends messages of one beginning. Where that was read
before, the rest is the tensor: the beginning ends with the tag and the length of
``raw_input_contents``, which is the last field that clients write, so whatever follows it in a
message of the same size can only be that field's bytes. Reading a small message takes longer than
all else that is done for it here, hence the short way.
"""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeVar

from inferd.codecs.oip_tensor import WIRE
from inferd.codecs.protobuf.messages import inference
from inferd.codecs.protobuf.wire import tag, varint
from inferd.codecs.rawtensor import from_raw
from inferd.core.tensor import BYTES, DType, Tensors

Whom = TypeVar("Whom")
REQUEST = inference("ModelInferRequest")
_RAW = tag(7)
_REMEMBERED = 256


class Head(NamedTuple, Generic[Whom]):
    """The beginning of a message, what its tensor is, and whatever else followed from it."""

    head: bytes
    name: str
    dtype: DType
    shape: tuple[int, ...]
    whom: Whom

    def tensors(self, body: bytes) -> Tensors:
        """Return the tensor of a message that begins so."""
        raw = body[len(self.head) :]  # a copy lies as numbers want to, the message itself need not
        return {self.name: from_raw(raw, self.dtype, self.shape, self.name)}


class Heads(Generic[Whom]):
    """Beginnings by the size of their messages, the latest of each size."""

    def __init__(self) -> None:
        self._known: dict[int, Head[Whom]] = {}

    def find(self, body: bytes) -> Head[Whom] | None:
        """Return the beginning of ``body``, where it is known."""
        known = self._known.get(len(body))
        return known if known is not None and body.startswith(known.head) else None

    def remember(self, body: bytes, message: Any, shape: tuple[int, ...], whom: Whom) -> None:
        """Remember a message's beginning, where the message is of the plain kind.

        ``shape``: that of its one tensor.
        """
        raw = message.raw_input_contents
        if len(raw) != 1 or not raw[0] or message.id or message.parameters or message.outputs:
            return
        entry = message.inputs[0]
        dtype = WIRE.get(entry.datatype)
        if dtype is None or dtype is BYTES or entry.parameters or not _ends(body, raw[0]):
            return
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        head = body[: len(body) - len(raw[0])]
        self._known[len(body)] = Head(head, entry.name, dtype, shape, whom)

    def forget(self) -> None:
        """Forget all."""
        self._known.clear()


def _ends(body: bytes, raw: bytes) -> bool:
    """Whether a message ends with its raw tensor: other bytes in their place are another tensor."""
    if not body.endswith(_RAW + varint(len(raw)) + raw):
        return False
    other = bytes(len(raw)) if any(raw) else b"\1" * len(raw)
    found = REQUEST.FromString(body[: -len(raw)] + other).raw_input_contents
    return len(found) == 1 and bool(found[0] == other)
