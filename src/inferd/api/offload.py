"""Coding large bodies off the loop: the seam, and an implementation that does not.

A JSON body of some megabytes keeps a CPU busy for tens of milliseconds, in which no other request
moves. Bodies above a limit are therefore handed to an ``Offload``; the server gives one that is a
process of its own. ``Inline`` codes where it is called, for tests and embedding.
"""

from __future__ import annotations

from typing import Protocol

from inferd.codecs.base import Decoded, Encoded
from inferd.codecs.registry import decoder, encoder
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature
from inferd.core.tensor import Tensors


class Offload(Protocol):
    """Decodes and encodes elsewhere; raises what the codec raises.

    ``door`` is a name of ``codecs.registry``; ``deadline`` is in monotonic seconds.
    """

    async def decode(
        self, door: str, body: bytes, signature: Signature, plan: BatchPlan, deadline: float
    ) -> Decoded:
        """Decode a request body."""
        ...

    async def encode(
        self,
        door: str,
        outputs: Tensors | list[Tensors],
        signature: Signature,
        plan: BatchPlan,
        decoded: Decoded,
        model: str,
        version: str,
        deadline: float,
    ) -> bytes | Encoded:
        """Encode the answer to the request that ``decoded`` came from."""
        ...


class Inline:
    """Codes in the caller's thread."""

    async def decode(
        self, door: str, body: bytes, signature: Signature, plan: BatchPlan, deadline: float
    ) -> Decoded:
        return decoder(door, signature, plan).decode(body)

    async def encode(
        self,
        door: str,
        outputs: Tensors | list[Tensors],
        signature: Signature,
        plan: BatchPlan,
        decoded: Decoded,
        model: str,
        version: str,
        deadline: float,
    ) -> bytes | Encoded:
        return encoder(door, signature).encode(
            outputs, decoded.single, decoded.id, model, version, decoded.form
        )
