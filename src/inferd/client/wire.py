"""What goes between the client's decisions and the network: four plain values.

The decisions (``flow``) are generators that yield ``Send`` or ``Pause`` and are given back an
``Answer`` or a ``Failure``; they know neither sockets nor event loops. ``sync`` and ``aio`` carry the
yielded steps out, each in its own way, so every rule of the client exists once.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from inferd.codecs.json import loads

T = TypeVar("T")

BINARY_HEADER = "Inference-Header-Content-Length"
REQUEST_ID = "X-Request-Id"
JSON = "application/json"
OCTETS = "application/octet-stream"
EVENTS = "text/event-stream"


class Outgoing(NamedTuple):
    """A request: ``path`` is below the server's address, percent-encoded, with its query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. ``headers`` ignore case; ``rest`` is the open response of a stream."""

    status: int
    headers: Mapping[str, str]
    body: bytes | bytearray = b""
    rest: Any = None

    def json(self) -> Any:
        """Return the JSON in the body; raises ``InvalidInput``."""
        return loads(bytes(self.body))


class Failure(NamedTuple):
    """No response: ``began`` says that one had begun to arrive, ``late`` that time ran out."""

    reason: str
    began: bool = False
    late: bool = False


class Send(NamedTuple):
    """Step: send a request and wait ``seconds`` at most (``inf``: as long as it takes).

    ``stream``: a good response is given back open, its body still to be read.
    """

    request: Outgoing
    seconds: float
    stream: bool = False


class Pause(NamedTuple):
    """Step: wait."""

    seconds: float


Steps = Generator[Send | Pause, Answer | Failure | None, T]
"""Decisions that yield steps and return a ``T``."""


def model_path(model: str, version: str | None = None, verb: str = "") -> str:
    """Return the path of a model, or of one version of it, in the Open Inference Protocol."""
    path = f"/v2/models/{quote(model, safe='')}"
    if version is not None:
        path += f"/versions/{quote(version, safe='')}"
    return f"{path}/{verb}" if verb else path
