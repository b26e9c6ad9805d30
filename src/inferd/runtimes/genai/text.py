"""The tokenizer: texts to tokens and back, and conversations through the model's chat template."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read while the library is imported

import onnxruntime_genai as og

from inferd.core.errors import InvalidInput, ModelFailed, ModelFileError
from inferd.runtimes.genai.config import TOKENIZER
from inferd.runtimes.genai.marks import Marks, added_tokens, marks_of, shown

og.disable_telemetry_events()  # nothing of ours tells anybody
os.environ.pop("ORT_LIB_PATH", None)  # set by the import, for itself; others would inherit it

BYTES_PER_TOKEN = 32
"""Longer prompts than so many bytes for each token that is accepted are refused before they are read."""


_PROBE = [{"role": role, "content": "hello"} for role in ("user", "assistant", "user")]


class Texts:
    """The tokenizer of a directory. ``chats``: it has a chat template."""

    def __init__(self, directory: Path) -> None:
        try:
            self._tokenizer = og.Tokenizer(str(directory))
        except Exception as error:  # the library's own types
            raise ModelFileError(
                f"{directory}: its tokenizer cannot be loaded: {_told(error)}",
                help="copy the tokenizer's files again",
            ) from None
        self._why = "it writes nothing"
        written = self._written(_PROBE[:1])
        self.chats = bool(written)
        self._marks = Marks(marks_of(_added(directory), written + self._written(_PROBE)))
        self._lead = len(self._tokenizer.encode(""))  # what begins every text, if anything does

    def _written(self, messages: list[dict[str, str]]) -> str:
        try:
            return self._applied(messages)
        except Exception as error:  # no template, or one that does not work
            self._why = _told(error).rstrip(".")
            return ""

    def _applied(self, messages: list[dict[str, str]]) -> str:
        text = self._tokenizer.apply_chat_template(json.dumps(messages), add_generation_prompt=True)
        return str(text)

    def rendered(self, messages: list[dict[str, str]], most: int) -> tuple[str, ...]:
        """Return a conversation as the model was taught to read it. Raises ``InvalidInput``.

        ``most``: how many tokens ``encoded`` will take. Every second part is a text that would be read as a
        mark of the template, and stays text.
        """
        if not self.chats:
            raise InvalidInput(
                f"the model has no chat template that works, so it takes no messages: {self._why}",
                help="send a prompt",
            )
        _check_size((row["content"] for row in messages), most)
        hidden, marks = self._marks.hidden(messages)
        try:
            text = self._applied(hidden)
        except Exception as error:  # the template refuses this conversation
            raise InvalidInput(
                f"the chat template does not take messages: {_told(error)}"
            ) from None
        if not text:
            raise InvalidInput("the chat template makes nothing of messages")
        return shown(text, marks)

    def encoded(self, parts: tuple[str, ...], most: int) -> np.ndarray:
        """Return the tokens of a prompt. Raises ``InvalidInput`` where there are more than ``most``."""
        _check_size(parts, most)
        texts = [parts[0]]
        for mark, text in zip(parts[1::2], parts[2::2], strict=True):
            texts += [*self._marks.pieces(mark), text]
        found = [np.asarray(self._tokenizer.encode(text), np.int64) for text in texts if text]
        tokens = np.concatenate([*found[:1], *(each[self._lead :] for each in found[1:]), _NONE])
        if len(tokens) > most:
            raise InvalidInput(
                f"the prompt has {len(tokens)} tokens, and the model reads at most {most}",
                help="shorten the prompt or the conversation",
            )
        if not len(tokens):
            raise InvalidInput("the prompt has no tokens")
        return tokens

    def stream(self) -> Stream:
        """Return what makes text of one answer's tokens."""
        return Stream(self._tokenizer.create_stream())


_NONE = np.empty(0, np.int64)


def _check_size(texts: Iterable[str], most: int) -> None:
    size = sum(len(text.encode()) for text in texts)
    if size > most * BYTES_PER_TOKEN:
        raise InvalidInput(
            f"the prompt has {size} bytes, and the model reads at most {most} tokens",
            help="shorten the prompt or the conversation",
        )


class Stream:
    """The text of one answer, token by token: whole characters only."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def text(self, token: int) -> str:
        """Return what a token adds, perhaps nothing yet. Raises ``ModelFailed``."""
        try:
            return str(self._stream.decode(token))
        except Exception as error:  # a token that the tokenizer does not know
            raise ModelFailed(
                f"the model gave token {token}, which is no text: {_told(error)}"
            ) from None


def _added(directory: Path) -> Mapping[str, bool]:
    try:
        return added_tokens(json.loads((directory / TOKENIZER).read_bytes()))
    except (OSError, ValueError, RecursionError):  # the library has read it, or takes another file
        return {}


def _told(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def version() -> str:
    """Return the library's version."""
    return str(og.__version__)
