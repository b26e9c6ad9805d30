"""OpenAI completions as JSON values: whole answers, and the chunks of a stream.

Two kinds have one shape of answer: ``CHAT`` with messages and deltas, ``TEXT`` (legacy) with plain
text. All chunks of one answer share id, time and model. A chat stream begins each choice with its
role; the last chunk of a choice has its ``finish_reason``. Where usage was asked for, every chunk has
``usage: null``, and one more at the end has the numbers and no choice.

Source: openai/openai-openapi, openapi.yaml 2.3.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Value = dict[str, Any]


class Stamp(NamedTuple):
    """What all parts of one answer share. ``fingerprint``: which version of the model answered."""

    id: str
    created: int
    model: str
    fingerprint: str


class Kind:
    """One kind of answer. ``prefix`` leads its ids."""

    prefix = "cmpl-"
    whole_object = "text_completion"
    chunk_object = "text_completion"

    def whole(self, stamp: Stamp, answers: Sequence[tuple[str, str]], usage: Value) -> Value:
        """Return a whole answer of (text, finish reason) for each choice."""
        choices = [
            {"index": index, **self.message(text), "logprobs": None, "finish_reason": finish}
            for index, (text, finish) in enumerate(answers)
        ]
        return {**_head(self.whole_object, stamp), "choices": choices, "usage": usage}

    def chunk(self, stamp: Stamp, choices: list[Value], *, usage: bool) -> Value:
        """Return a chunk; ``usage``: the last one will tell the usage."""
        chunk = {**_head(self.chunk_object, stamp), "choices": choices}
        return {**chunk, "usage": None} if usage else chunk

    def usage_chunk(self, stamp: Stamp, usage: Value) -> Value:
        """Return the chunk that tells the usage."""
        return {**_head(self.chunk_object, stamp), "choices": [], "usage": usage}

    def first(self, index: int) -> Value | None:
        """Return the choice that begins one, where there is such."""
        return None

    def piece(self, index: int, text: str) -> Value:
        """Return a choice that carries new text."""
        return self._choice(index, self.delta(text), None)

    def last(self, index: int, finish: str) -> Value:
        """Return the choice that ends one."""
        return self._choice(index, self.delta(""), finish)

    def _choice(self, index: int, delta: Value, finish: str | None) -> Value:
        return {"index": index, **delta, "logprobs": None, "finish_reason": finish}

    def message(self, text: str) -> Value:
        """Return a whole text as part of a choice."""
        return {"text": text}

    def delta(self, text: str) -> Value:
        """Return new text as part of a choice."""
        return {"text": text}


class ChatKind(Kind):
    """Chat completions."""

    prefix = "chatcmpl-"
    whole_object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def first(self, index: int) -> Value | None:
        return self._choice(index, {"delta": {"role": "assistant", "content": ""}}, None)

    def message(self, text: str) -> Value:
        return {"message": {"role": "assistant", "content": text, "refusal": None}}

    def delta(self, text: str) -> Value:
        return {"delta": {"content": text} if text else {}}


TEXT: Kind = Kind()
CHAT: Kind = ChatKind()


def _head(object: str, stamp: Stamp) -> Value:
    return {
        "id": stamp.id,
        "object": object,
        "created": stamp.created,
        "model": stamp.model,
        "system_fingerprint": stamp.fingerprint,
    }
