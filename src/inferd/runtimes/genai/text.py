"""The tokenizer: texts to tokens and back, and conversations through the model's chat template."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read while the library is imported

import onnxruntime_genai as og

from inferd.core.errors import InvalidInput, ModelFailed, ModelFileError

og.disable_telemetry_events()  # nothing of ours tells anybody
os.environ.pop("ORT_LIB_PATH", None)  # set by the import, for itself; others would inherit it

BYTES_PER_TOKEN = 32
"""Longer prompts than so many bytes for each token that is accepted are refused before they are read."""


class Texts:
    """The tokenizer of a directory."""

    def __init__(self, directory: Path) -> None:
        try:
            self._tokenizer = og.Tokenizer(str(directory))
        except Exception as error:  # the library's own types
            raise ModelFileError(
                f"{directory}: its tokenizer cannot be loaded: {_told(error)}",
                help="copy the tokenizer's files again",
            ) from None
        self.chats = self._has_template()

    def _has_template(self) -> bool:
        try:
            return bool(self._applied([{"role": "user", "content": "hello"}]))
        except Exception:  # no template, or one that does not work
            return False

    def _applied(self, messages: list[dict[str, str]]) -> str:
        text = self._tokenizer.apply_chat_template(json.dumps(messages), add_generation_prompt=True)
        return str(text)

    def rendered(self, messages: list[dict[str, str]]) -> str:
        """Return a conversation as the model was taught to read it. Raises ``InvalidInput``."""
        if not self.chats:
            raise InvalidInput(
                "the model has no chat template, so it takes no messages", help="send a prompt"
            )
        try:
            text = self._applied(messages)
        except Exception as error:  # the template refuses this conversation
            raise InvalidInput(
                f"the chat template does not take messages: {_told(error)}"
            ) from None
        if not text:
            raise InvalidInput("the chat template makes nothing of messages")
        return text

    def encoded(self, text: str, most: int) -> np.ndarray:
        """Return the tokens of a prompt. Raises ``InvalidInput`` where there are more than ``most``."""
        size = len(text.encode())
        if size > most * BYTES_PER_TOKEN:
            raise InvalidInput(
                f"the prompt has {size} bytes, and the model reads at most {most} tokens",
                help="shorten the prompt or the conversation",
            )
        tokens = np.asarray(self._tokenizer.encode(text), np.int64)
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


def _told(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def version() -> str:
    """Return the library's version."""
    return str(og.__version__)
