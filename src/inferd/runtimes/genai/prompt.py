"""What a request says to the model: a prompt as it is, or a conversation through the chat template."""

from __future__ import annotations

import json
from typing import Any

from inferd.core.errors import InvalidInput
from inferd.core.tensor import Tensors, as_bytes

PROMPT = "prompt"
MESSAGES = "messages"
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
MAX_MESSAGES = 8192


def asked(inputs: Tensors) -> tuple[str | None, list[dict[str, str]]]:
    """Return the prompt of a request of one row, or ``None`` and its conversation.

    Raises ``InvalidInput`` where there is neither, or both.
    """
    prompt, messages = (_text(inputs, name) for name in (PROMPT, MESSAGES))
    if prompt and messages:
        raise InvalidInput("prompt and messages are both given", help="send one of them")
    if prompt:
        return prompt, []
    if not messages:
        raise InvalidInput(
            "the request says nothing: prompt and messages are empty",
            help='send a prompt, or messages: [{"role": "user", "content": "Hello!"}] as JSON text',
        )
    return None, conversation(messages)


def _text(inputs: Tensors, name: str) -> str:
    array = inputs.get(name)
    data = b"" if array is None else b"".join(map(as_bytes, array.flat))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name} is not UTF-8: byte {error.start} begins no character") from None
    if "\0" in text:
        raise InvalidInput(f"{name} holds a NUL character, which no tokenizer takes")
    return text


def conversation(text: str) -> list[dict[str, str]]:
    """Return the messages of a conversation, each with ``role`` and ``content``, all of them texts."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"messages is not valid JSON: {error}",
            help='write [{"role": "user", "content": "..."}]',
        ) from None
    if not isinstance(given, list) or not given:
        raise InvalidInput("messages must be a list of at least one message")
    if len(given) > MAX_MESSAGES:
        raise InvalidInput(f"messages holds {len(given)}; at most {MAX_MESSAGES} are accepted")
    return [_message(row, f"messages of index {index}") for index, row in enumerate(given)]


def _message(row: Any, where: str) -> dict[str, str]:
    role = row.get("role") if isinstance(row, dict) else None
    if role not in ROLES:
        raise InvalidInput(f"{where} must be an object whose role is one of {', '.join(ROLES)}")
    content = _content(row.get("content"), where)
    if "\0" in content:  # written as an escape, which the text of the input does not show
        raise InvalidInput(f"{where} holds a NUL character, which no tokenizer takes")
    return {"role": "system" if role == "developer" else role, "content": content}


def _content(content: Any, where: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return _whole(content, where)
    if not isinstance(content, list):
        raise InvalidInput(f"{where} must have a content: a text, or a list of parts")
    texts: list[str] = []
    for part in content:
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        if not isinstance(text, str):
            raise InvalidInput(f"{where} has a part that is no text; this model takes text alone")
        texts.append(_whole(text, where))
    return "".join(texts)


def _whole(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{where} holds half of a surrogate pair, which is no text") from None
    return text
