"""Models that generate text: which of their tensors mean what, and how pieces become text.

A model needs no declaration but names. Inputs, all BYTES: ``prompt`` (or ``text``, ``text_input``, or
the only one) takes the text to go on from; ``messages`` takes a conversation as JSON. Outputs:
``text`` (or ``text_output``, ``output``, or the first of BYTES) is what is new in each piece; with it
may come ``finish_reason`` (BYTES; ``stop`` or ``length``) and the integers ``prompt_tokens`` and
``completion_tokens``, which say how many there are so far. Where a model does not count, a piece
is a token. An input that has a default is given only what a request is about: of ``prompt`` and
``messages`` that both have one, a completion gives the first and a chat the second.

``Growth`` makes text of pieces. Bytes that end in the middle of a character wait for the rest of it.
A stop text ends the answer before it, wherever pieces are cut: what might be the beginning of one is
held back until it is known.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inferd.codecs import json
from inferd.core.errors import InvalidInput, Unsupported
from inferd.core.signature import Signature, TensorSpec, is_text
from inferd.core.stops import StopCutter
from inferd.core.tensor import BYTES, Tensors, as_bytes

PROMPTS = ("prompt", "text", "text_input")
TEXTS = ("text", "text_output", "output")
MESSAGES = "messages"
FINISH = "finish_reason"
PROMPT_TOKENS = "prompt_tokens"
COMPLETION_TOKENS = "completion_tokens"

STOP = "stop"
LENGTH = "length"


@dataclass(frozen=True, slots=True)
class Roles:
    """Which tensors of a model are what: its prompt, its conversation, its text."""

    prompt: TensorSpec | None
    messages: TensorSpec | None
    text: str
    batched: bool

    def inputs(self, prompt: bytes, messages: Sequence[Any], *, chat: bool = False) -> Tensors:
        """Return the inputs of one request, whose conversation is ``messages``.

        ``chat``: it came as a conversation, so that is what an optional input is given.
        """
        found: Tensors = {}
        spared = self.messages if self.prompt is not None and not chat else None
        if chat and self.messages is not None:
            spared = self.prompt
        if spared is not None and spared.default is None:
            spared = None
        if self.prompt is not None and spared is not self.prompt:
            found[self.prompt.name] = _one(self.prompt, prompt)
        if self.messages is not None and spared is not self.messages:
            try:
                found[self.messages.name] = _one(self.messages, json.dumps(messages))
            except Unsupported as error:  # half of a surrogate pair, an integer of 100 digits
                raise InvalidInput(f'"{MESSAGES}" cannot be passed on: {error.message}') from None
        return found


def _one(spec: TensorSpec, element: bytes) -> np.ndarray:
    array = np.empty((1,) * len(spec.shape), object)
    array[...] = element
    return array


def roles(signature: Signature) -> Roles:
    """Return the roles of a model's tensors; raises ``InvalidInput`` where it does not fit.

    The message begins with ``"model"``, the field that named the model.
    """
    texts = {s.name: s for s in signature.inputs if is_text(s) and _holds_one(s, signature)}
    messages = texts.pop(MESSAGES, None)
    named = next((texts[name] for name in PROMPTS if name in texts), None)
    prompt = named or _only(list(texts.values())) or _only(
        [spec for spec in texts.values() if spec.default is None]
    )  # fmt: skip
    other = [
        s.name for s in signature.inputs
        if s is not prompt and s is not messages and s.default is None
    ]  # fmt: skip
    if prompt is None and messages is None:
        raise InvalidInput(
            f'"model" does not generate from text: it has no BYTES input {PROMPTS[0]!r}'
        )
    if other:
        raise InvalidInput(
            f'"model" has an input {other[0]!r}, for which requests of this kind have no value',
            help="ask it by another dialect",
        )
    outputs = {s.name: s for s in signature.outputs if s.dtype is BYTES and s.name != FINISH}
    text = next((name for name in TEXTS if name in outputs), next(iter(outputs), None))
    if text is None:
        raise InvalidInput('"model" does not generate text: it has no BYTES output')
    return Roles(prompt, messages, text, signature.batched)


def _only(specs: Sequence[TensorSpec]) -> TensorSpec | None:
    return specs[0] if len(specs) == 1 else None


def _holds_one(spec: TensorSpec, signature: Signature) -> bool:
    row = spec.shape[1:] if signature.batched else spec.shape
    return all(n in (1, -1) for n in row)


class Growth:
    """One answer as it grows out of pieces.

    ``finish`` is set once nothing more is wanted: the generation is to be stopped then. ``tokens``
    counts those generated, ``prompt_tokens`` is what the model reports of its prompt, if it does.
    ``counted``: the model counts by itself, so it alone knows when ``limit`` is reached: pieces say
    little of tokens, and who is stopped before its last piece never tells its counts.
    """

    __slots__ = (
        "_cutter", "_decoder", "_exact", "_limit", "_reason", "_text", "finish", "prompt_tokens", "tokens",
    )  # fmt: skip

    def __init__(
        self, text: str, stops: Sequence[str] = (), limit: int | None = None, *,
        counted: bool = False,
    ) -> None:  # fmt: skip
        self._text = text
        self._limit = limit
        self._exact = not counted
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._cutter = StopCutter(stops)
        self._reason: str | None = None
        self.finish: str | None = None
        self.tokens = 0
        self.prompt_tokens: int | None = None

    def feed(self, piece: Tensors) -> str:
        """Take a piece; return the text that may be sent."""
        data = _bytes(piece.get(self._text))
        before = self._reason
        self._count(piece, bool(data))
        ended = before is None and self._reason is not None  # by itself: there is nothing to stop
        text = self._cutter.feed(self._decoder.decode(data))
        if self._cutter.stopped:
            self.finish = STOP
        elif self._limit is not None and self._exact and self.tokens >= self._limit and not ended:
            self.finish = self._reason or LENGTH
        return text

    def _count(self, piece: Tensors, grew: bool) -> None:
        reason = _bytes(piece.get(FINISH))
        if reason:
            self._reason = reason.decode("utf-8", "replace")
        prompt, completion = _number(piece, PROMPT_TOKENS), _number(piece, COMPLETION_TOKENS)
        if prompt is not None:
            self.prompt_tokens = prompt
        if completion is not None:
            self.tokens, self._exact = completion, True
        elif COMPLETION_TOKENS not in piece:
            self.tokens += grew

    def end(self) -> str:
        """Nothing more comes: return what was held back, and settle ``finish``.

        A character that a limit cut in two is left out; one that the model left incomplete is
        replaced (U+FFFD).
        """
        tail = ""
        if self.finish is None:
            tail = self._cutter.feed(self._decoder.decode(b"", final=True))
            self.finish = STOP if self._cutter.stopped else self._reason or STOP
        return tail + self._cutter.end()


def _bytes(array: np.ndarray | None) -> bytes:
    if array is None or not array.dtype.hasobject:
        return b""
    return b"".join(as_bytes(element) for element in array.flat)


def _number(piece: Tensors, name: str) -> int | None:
    array = piece.get(name)
    if array is None or array.dtype.kind not in "iu" or not array.size:
        return None
    return int(array.flat[array.size - 1])
