"""Answers in pieces: server-sent events to results, as their bytes arrive. Pure.

Source: HTML standard, section 9.2 (the stream and its fields); Triton's generate extension (an
event's data is a JSON object of outputs by name, or ``{"error": text}``; an output of one value is
that value, whatever axes it has).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from inferd.client.errors import error_in
from inferd.client.result import Result, timings_of
from inferd.client.wire import EVENTS, REQUEST_ID, Answer
from inferd.codecs import json
from inferd.codecs.values import declared, depth_of, to_array
from inferd.core.errors import InferdError, InvalidInput, Unavailable
from inferd.core.signature import Signature
from inferd.core.tensor import BYTES, Tensors

MOST_BYTES = 64 << 20
"""The longest event that is read."""

_END = b"[DONE]"
_NO_OUTPUTS = ("model_name", "model_version", "id", "parameters")


class Events:
    """Cuts a response, as its bytes arrive, into the data of its events.

    ``ended``: the event that closes a stream has come. A response that is no stream has one event.
    """

    def __init__(self, answer: Answer) -> None:
        self._streams = answer.headers.get("content-type", "").startswith(EVENTS)
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._at_cr = False
        self.ended = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take bytes; yield the data of every event that they complete.

        Raises ``Unavailable`` for an event that does not end.
        """
        if self._at_cr:
            chunk = chunk.removeprefix(b"\n")  # the other half of a line's end
        if not self._streams or not chunk:
            self._rest += chunk
            return
        self._at_cr = chunk.endswith(b"\r")
        self._rest += chunk
        lines = bytes(self._rest).splitlines(keepends=True)
        self._rest = bytearray() if lines[-1].endswith((b"\n", b"\r")) else bytearray(lines.pop())
        for line in lines:
            data = self._line(line.rstrip(b"\r\n"))
            if data == _END:
                self.ended = True
            elif data is not None and not self.ended:
                yield data
        if len(self._rest) + sum(map(len, self._data)) > MOST_BYTES:
            raise Unavailable(f"an event of the stream is longer than {MOST_BYTES} bytes")

    def end(self) -> Iterator[bytes]:
        """The response is over: yield what it was, where it was no stream."""
        if not self._streams and self._rest:
            yield bytes(self._rest)

    def _line(self, line: bytes) -> bytes | None:
        """Take one line; return the event's data where the line ends one that has any."""
        if not line:
            data, self._data = self._data, []
            return b"\n".join(data) if data else None
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
        return None


class Pieces:
    """Makes the pieces of one answer out of the data of its events.

    A piece is a ``Result`` with what is new of the outputs; their axes are those that ``predict`` answers.
    """

    def __init__(self, answer: Answer, signature: Signature) -> None:
        self._headers = answer.headers
        self._specs = {spec.name: spec for spec in signature.outputs}
        self._batched = signature.batched

    def piece(self, data: bytes) -> Result:
        """Return one piece; raises the error that an event says, ``Unavailable`` for no event."""
        try:
            value = json.loads(data)
        except InferdError as error:
            raise Unavailable(f"an event of the stream cannot be read: {error.message}") from None
        if not isinstance(value, dict):
            raise Unavailable("an event of the stream is not an object")
        if "error" in value and "error" not in self._specs:
            raise error_in(value, self._headers.get(REQUEST_ID))
        return Result(
            self._outputs(value),
            model=str(value.get("model_name") or ""),
            version=str(value.get("model_version") or ""),
            id=value.get("id"),
            request_id=self._headers.get(REQUEST_ID),
            parameters=value.get("parameters"),
            timings=timings_of(self._headers.get("server-timing")),
            single=True,
        )

    def _outputs(self, value: Mapping[str, Any]) -> Tensors:
        outputs: Tensors = {}
        try:
            for name, item in value.items():
                spec = self._specs.get(name)
                if spec is not None:
                    outputs[name] = declared(item, spec, batched=self._batched)
                elif not self._specs and name not in _NO_OUTPUTS:
                    outputs[name] = _undeclared(item, name)
        except InferdError as error:
            raise Unavailable(f"an event of the stream cannot be read: {error.message}") from None
        return outputs


def _undeclared(item: Any, name: str) -> np.ndarray:
    first = item
    while isinstance(first, list) and first:
        first = first[0]
    if isinstance(first, str):
        return to_array(item, BYTES, depth_of(item), f"output {name!r}")
    try:
        return np.asarray(item)
    except ValueError as error:
        raise InvalidInput(f"output {name!r}: {error}") from None
