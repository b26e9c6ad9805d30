"""What an engine of the OpenAI dialect answers: events to pieces, vectors, models, refusals. Pure.

Engines differ. Counts may come with the last choice, after it or not at all; errors have four forms; a
model may be known by several names. Of what comes beside text (reasoning, tool calls, log
probabilities) nothing is read.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np

from inferd.codecs import json
from inferd.codecs.generation import COMPLETION_TOKENS, FINISH, PROMPT_TOKENS, STOP
from inferd.codecs.refusals import CLASSES, refusal
from inferd.core.errors import InferdError, InvalidInput, ModelFailed
from inferd.core.tensor import Tensors, lone
from inferd.routing.remote.openai_ask import TEXT

DONE = b"[DONE]"
SHOWN = 500
"""Characters of an engine's message that are passed on."""
_LATEST = ":latest"


class Refused(Exception):
    """What an engine says instead of an answer. ``status``: of HTTP, also where an event says it."""

    def __init__(self, error: InferdError, status: int) -> None:
        super().__init__(error.message)
        self.error = error
        self.status = status


class Reply:
    """One answer as its events come. ``tokens``: about how long the prompt is, should nobody say.

    ``finished``: the engine has said why it ended. ``done``: nothing more comes.
    """

    def __init__(self, tokens: int, wanted: tuple[str, ...] | None = None) -> None:
        self._wanted = wanted
        self._reason: str | None = None
        self._prompt, self._completion = tokens, 0
        self._counted = False
        self.done = False

    @property
    def finished(self) -> bool:
        """Whether the engine has said why it ended."""
        return self._reason is not None or self.done

    def feed(self, data: bytes) -> Tensors | None:
        """Take the data of an event; return the piece it is, if any.

        Raises ``Refused`` where it says an error, ``InvalidInput`` where it is no event.
        """
        if data.strip() == DONE:
            self.done = True
            return None
        return self.take(json.loads(data))

    def take(self, value: Any) -> Tensors | None:
        """Take one object of an answer, or all of it at once."""
        if not isinstance(value, dict):
            raise InvalidInput("an event is no object")
        raise_said(value)
        self._count(value.get("usage"))
        choices = value.get("choices")
        text = "".join(map(self._choice, choices)) if isinstance(choices, list) else ""
        if not text:
            return None
        if not self._counted:
            self._completion += 1  # a piece is a token, as far as is known
        return self._chosen({TEXT: lone(text.encode("utf-8", "replace"))})

    def _choice(self, choice: Any) -> str:
        if not isinstance(choice, dict) or choice.get("index") not in (0, None):
            return ""
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self._reason = reason
        said = choice.get("delta") or choice.get("message")
        text = said.get("content") if isinstance(said, dict) else choice.get(TEXT)
        return text if isinstance(text, str) else ""

    def _count(self, usage: Any) -> None:
        prompt, completion = _number(usage, PROMPT_TOKENS), _number(usage, COMPLETION_TOKENS)
        if prompt is not None:
            self._prompt = prompt
        if completion is not None:
            self._completion, self._counted = completion, True

    def end(self) -> Tensors:
        """Return the last piece: why it ended, and the counts."""
        return self._chosen(
            {
                TEXT: lone(b""),
                FINISH: lone((self._reason or STOP).encode("utf-8", "replace")),
                PROMPT_TOKENS: np.array([self._prompt], np.int64),
                COMPLETION_TOKENS: np.array([self._completion], np.int64),
            }
        )

    def _chosen(self, piece: Tensors) -> Tensors:
        wanted = self._wanted
        return piece if wanted is None else {k: v for k, v in piece.items() if k in wanted}


def _number(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and 0 <= value < 1 << 62 else None


# -- refusals ------------------------------------------------------------------------------------------


def raise_said(value: Mapping[str, Any]) -> None:
    """Raise ``Refused`` where an event says an error."""
    message = _message(value, whole=False)
    if message is None:
        return
    found = value.get("error")
    code = (found if isinstance(found, dict) else value).get("code")
    status = code if type(code) is int and 400 <= code < 600 else 500
    raise Refused(_error(status, message), status)


def refused(status: int, body: bytes) -> Refused:
    """Return what an answer that is no success says."""
    try:
        value = json.loads(body)
    except InferdError:
        value = None
    message = _message(value, whole=True) if isinstance(value, dict) else None
    return Refused(refusal(status, body) if message is None else _error(status, message), status)


def _error(status: int, message: str) -> InferdError:
    other = InvalidInput if status < 500 else ModelFailed
    return (other if status == 422 else CLASSES.get(status, other))(message)


def _message(value: Mapping[str, Any], *, whole: bool) -> str | None:
    """Return the message of an error; ``whole``: it surely is one."""
    found = value.get("error")
    if isinstance(found, dict):
        found = found.get("message") or found.get("type") or "it says no more"
    if found is None and (whole or value.get("object") == "error"):
        found = value.get("message") or value.get("detail")
    if isinstance(found, list):  # of a web framework: what is wrong with which field
        rows = [row for row in found if isinstance(row, dict)]
        found = "; ".join(f"{_place(row.get('loc'))}{row.get('msg')}" for row in rows)
    return str(found) if found else None


def _place(loc: Any) -> str:
    return ".".join(map(str, loc)) + ": " if isinstance(loc, list) else ""


# -- models --------------------------------------------------------------------------------------------


def listed(body: bytes) -> list[tuple[str, ...]]:
    """Return the names of each model that an engine lists; raises ``InvalidInput`` for no list."""
    value = json.loads(body)
    rows = value.get("data") if isinstance(value, dict) else None
    if rows is None and isinstance(value, dict) and "data" in value:
        rows = []  # Ollama, while it has none
    if not isinstance(rows, list):
        raise InvalidInput("its list of models is not understood")
    found = []
    for row in rows:
        if isinstance(row, dict) and isinstance(row.get("id"), str):
            more = row.get("aliases")
            aliases = more if isinstance(more, list) else []
            found.append((row["id"], *(a for a in aliases if isinstance(a, str))))
    return found


def named(models: list[tuple[str, ...]], given: str, service: str) -> str:
    """Return by which name the model is asked for; raises ``InvalidInput`` where there is none.

    ``given``: the name that it must have; where that is empty, the service's, or the only one listed.
    """
    name = given or service
    if any(name in names or name + _LATEST in names for names in models):
        return name
    if not given and len(models) == 1:
        return models[0][0]
    shown = ", ".join(repr(names[0][:80]) for names in models[:8])
    more = ", ..." if len(models) > 8 else ""
    said = f"it lists {shown}{more}" if models else "it lists no models"
    raise InvalidInput(f"it has no model {name!r}: {said}")


# -- vectors -------------------------------------------------------------------------------------------


def vectors(body: bytes, count: int) -> tuple[np.ndarray, int | None]:
    """Return the vectors of ``count`` texts, and the tokens read as far as the engine says.

    Raises ``InvalidInput`` where it is no such answer.
    """
    value = json.loads(body)
    rows = value.get("data") if isinstance(value, dict) else None
    if not isinstance(rows, list) or len(rows) != count:
        raise InvalidInput(f"it holds no {count} vectors")
    found: dict[int, np.ndarray] = {}
    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            raise InvalidInput("a vector is no object")
        index = row.get("index", at)
        found[index if type(index) is int else -1] = _vector(row.get("embedding"))
    if sorted(found) != list(range(count)):
        raise InvalidInput("its vectors are not numbered one by one")
    sizes = {vector.shape for vector in found.values()}
    if len(sizes) > 1 or (0,) in sizes:
        raise InvalidInput("its vectors are of unequal sizes, or empty")
    tokens = _number(value.get("usage"), PROMPT_TOKENS)
    return np.stack([found[i] for i in range(count)]), tokens


def _vector(given: Any) -> np.ndarray:
    try:
        if isinstance(given, str):
            return np.frombuffer(base64.b64decode(given, validate=True), "<f4").astype(np.float32)
        array = np.array(given if isinstance(given, list) else None, np.float32)
    except (binascii.Error, OverflowError, TypeError, ValueError):
        raise InvalidInput("a vector is neither numbers nor base64 of such") from None
    if array.ndim != 1:
        raise InvalidInput("a vector is not one row of numbers")
    return array


def shares(total: int, count: int) -> np.ndarray:
    """Return a number of tokens shared out among texts: of a batch, the sum alone is known."""
    found = np.full(count, total // max(1, count), np.int64)
    found[: total - int(found.sum())] += 1
    return found
