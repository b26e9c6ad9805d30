"""What every codec gives and takes: the decoded request, and the two verbs.

A codec is made once per loaded version from its external signature and its batch plan, does all
analysis then, and afterwards only turns bytes into tensors and tensors into bytes. It does no I/O,
so the doors, a codec process, the client and the fuzzers use the same code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from inferd.core.errors import TooLarge
from inferd.core.message import Parameters
from inferd.core.tensor import Tensors


@dataclass(slots=True)
class Decoded:
    """One decoded request.

    ``inputs``: arrays with the batch on axis 0 (where the model is batched), or ``None`` when
    ``rows`` holds the examples one by one, each with a batch axis of one: rows of unequal length,
    or a model whose plan says ``split``. ``single``: the client sent one example and wants one
    result. ``id``: the id in the body, to be echoed. ``priority`` and ``timeout`` (seconds) are
    what the body asks for, ``None`` where it does not. ``form``: what the codec's own encoder has to
    know of the request to answer in kind (JSON values only: it may cross to another process).
    ``raw``: the answer is the bytes of its tensors, so writing numbers is quick at any size.
    """

    inputs: Tensors | None
    rows: list[Tensors] | None = None
    single: bool = False
    outputs: tuple[str, ...] | None = None
    parameters: Parameters = field(default_factory=dict)
    id: str | None = None
    priority: int | None = None
    timeout: float | None = None
    form: Any = None
    raw: bool = False


class Encoded(NamedTuple):
    """An answer that is not plain JSON: its body, content type and further headers."""

    body: bytes
    media: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


MAX_ROWS = 16384
"""Rows that one request may hold where each becomes a request of its own inside."""


def check_rows(size: int) -> None:
    """Refuse a request of more than ``MAX_ROWS`` rows that are run one by one."""
    if size > MAX_ROWS:
        raise TooLarge(
            f"the batch holds {size} examples that are run one by one; at most {MAX_ROWS} "
            "are accepted",
            help="send them in several requests",
        )


def split_rows(inputs: Tensors, size: int) -> list[Tensors]:
    """Return the rows of a batch, each with a batch axis of one; raises ``TooLarge``."""
    check_rows(size)
    return [{name: array[i : i + 1] for name, array in inputs.items()} for i in range(size)]


class Decoder(Protocol):
    """Bytes to tensors, for one signature."""

    def decode(self, body: bytes) -> Decoded:
        """Decode a request body; raises ``InvalidInput`` (or a subclass) or ``Unsupported``."""
        ...


class Encoder(Protocol):
    """Tensors to bytes, for one signature."""

    def encode(
        self,
        outputs: Tensors | list[Tensors],
        single: bool,
        id: str | None = None,
        model: str = "",
        version: str = "",
        form: Any = None,
    ) -> bytes | Encoded:
        """Encode a response body: ``outputs`` as a batch, or one ``Tensors`` for each row.

        ``single``, ``id`` and ``form`` are those of the request's ``Decoded``. Bytes are JSON. Raises
        ``Unsupported`` where the dialect has no form for the outputs.
        """
        ...


class Codec(Decoder, Encoder, Protocol):
    """Both directions."""
