"""What the OpenAI-compatible routes share: fields of a body, names of models, usage, errors.

A refusal of one field begins with the field's name in double quotes (``"temperature" must be ...``);
that is where the ``param`` of an error body comes from, so it needs no channel of its own between the
place that refuses and the one that writes the answer.

Source: openai/openai-openapi, openapi.yaml 2.3.0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from inferd.codecs.values import shown
from inferd.core.errors import InvalidInput
from inferd.core.message import Parameters

BYTES_PER_TOKEN = 4
"""Of UTF-8, where a model does not report how many tokens there are: a common rule of thumb."""

MAX_PARAMETERS = 64 * 1024
"""Characters of all parameters of a request, names and texts: they wait with it for their turn."""

_PARAM = re.compile(r'"([A-Za-z_]\w{0,63})"')
_TYPES = {
    401: "authentication_error", 403: "permission_error", 408: "timeout_error",
    429: "rate_limit_error",
}  # fmt: skip
_CODES = {"overloaded": "rate_limit_exceeded"}
_INT64 = 1 << 63
_HEAD = re.compile(rb'\s*\{\s*"model"\s*:\s*"([^"\\]{1,256})"')
_TAIL = re.compile(
    rb'(?<!\\)"model"\s*:\s*"([^"\\]{1,256})"'
    rb'(?:\s*,\s*"[^"\\]{1,64}"\s*:\s*(?:"[^"\\]{0,256}"|[-+.\w]{1,32}))*\s*\}\s*\Z'
)
_ENDS = 4096  # bytes of a body's end in which a name is looked for


def error_form(status: int, kind: str, text: str) -> dict[str, Any]:
    """Return the body of an error: message, type, param and code, all four always there."""
    found = _PARAM.match(text) if 400 <= status < 500 else None
    param = found[1] if found else None
    code = _CODES.get(kind, kind)
    if kind == "not_found" and param == "model":
        code = "model_not_found"
    type_ = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": text, "type": type_, "param": param, "code": code}}


class Fields:
    """The fields of a body, taken one by one; ``null`` is as good as left out.

    All raise ``InvalidInput`` that begins with the field's name.
    """

    def __init__(self, body: Any) -> None:
        if type(body) is not dict:
            raise InvalidInput("the body must be an object")
        self._rest = {name: value for name, value in body.items() if value is not None}

    def take(self, name: str) -> Any:
        """Return a field as it is, ``None`` where it is missing."""
        return self._rest.pop(name, None)

    def need(self, name: str) -> Any:
        """Return a field that must be there."""
        if name not in self._rest:
            raise InvalidInput(f'"{name}" is missing')
        return self._rest.pop(name)

    def text(self, name: str) -> str | None:
        """Return a text."""
        value = self.take(name)
        if value is not None and type(value) is not str:
            raise InvalidInput(f'"{name}" must be a text')
        return value

    def flag(self, name: str) -> bool:
        """Return true or false; false where it is missing."""
        value = self.take(name)
        if value is not None and type(value) is not bool:
            raise InvalidInput(f'"{name}" must be true or false')
        return bool(value)

    def integer(self, name: str, low: int, high: int) -> int | None:
        """Return an integer of a range."""
        value = self.take(name)
        if value is None:
            return None
        if type(value) is not int or not low <= value <= high:
            raise InvalidInput(
                f'"{name}" must be an integer from {low} to {high}, got {_said(value)}'
            )
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """Return a number of a range, as it was sent."""
        value = self.take(name)
        if value is None:
            return None
        if type(value) not in (int, float) or not low <= value <= high:
            raise InvalidInput(
                f'"{name}" must be a number from {low} to {high}, got {_said(value)}'
            )
        return value  # type: ignore[no-any-return]

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """Return one of some words."""
        value = self.take(name)
        if value is None:
            return default
        if type(value) is not str or value not in allowed:
            raise InvalidInput(f'"{name}" must be one of {", ".join(allowed)}, got {_said(value)}')
        return value

    def refuse(self, name: str, why: str, *allowed: Any) -> None:
        """Refuse a field that is not offered; one that asks for nothing is as good as left out."""
        value = self.take(name)
        if value is None or (not value and type(value) in (list, dict, str, bool)):
            return
        if not any(type(value) is type(other) and value == other for other in allowed):
            raise InvalidInput(f'"{name}" is not offered: {why}')

    def ignore(self, *names: str) -> None:
        """Drop fields that mean nothing here."""
        for name in names:
            self._rest.pop(name, None)

    def scalars(self) -> Parameters:
        """Return what is left, for the model; raises where that is more than a scalar, or long."""
        size = 0
        for name, value in self._rest.items():
            kind = type(value)
            size += len(name) + (len(value) if kind is str else 0)
            if size > MAX_PARAMETERS:
                raise InvalidInput(
                    f'"{_quoted(name)}" is one too much: at most {MAX_PARAMETERS} characters of '
                    "parameters go to a model"
                )
            if kind is int and -_INT64 <= value < _INT64:
                continue
            if kind is float and math.isfinite(value):
                continue
            if kind is str or kind is bool:
                continue
            known = "a list or object" if kind in (list, dict) else _said(value)
            raise InvalidInput(
                f'"{_quoted(name)}" is {known}, which no model takes as a parameter',
                help="what is not known here goes to the model: texts, numbers and booleans",
            )
        return dict(self._rest)


def _quoted(name: str) -> str:
    return shown(name)[1:-1]


def _said(value: Any) -> str:
    if type(value) in (int, float, bool):
        return str(value)[:40]
    return shown(value) if type(value) is str else f"a {type(value).__name__}"


def model_of(body: Any) -> str:
    """Return what a body's ``model`` says."""
    name = Fields(body).need("model")
    if type(name) is not str or not name:
        raise InvalidInput('"model" must be the name of a model')
    return name


def peeked_model(body: bytes | memoryview) -> str | None:
    """Return the model that a large body names, without reading the body, or ``None``.

    It is found where clients write it: first, or last but for plain fields. A quote inside a JSON
    text is always escaped, so what is found is a field of the outermost object.
    """
    found = _HEAD.match(bytes(body[:_ENDS])) or _TAIL.search(bytes(body[-_ENDS:]))
    try:
        return found[1].decode() if found else None
    except UnicodeDecodeError:
        return None


def split_model(name: str) -> tuple[str, ...]:
    """Return (model) or (model, version): ``name`` or ``name@version``. No model's name has an @."""
    model, at, version = name.rpartition("@")
    return (model, version) if at else (name,)


def utf8(text: str, name: str) -> bytes:
    """Return a text of the field ``name`` as UTF-8."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f'"{name}" holds half of a surrogate pair, which is no text') from None


def estimated(texts: Iterable[bytes]) -> int:
    """Return about how many tokens texts are, at least one each."""
    return sum(max(1, -(-len(text) // BYTES_PER_TOKEN)) for text in texts)


def usage(prompt: int, completion: int | None = None) -> dict[str, int]:
    """Return ``usage``; without ``completion`` that of embeddings."""
    if completion is None:
        return {"prompt_tokens": prompt, "total_tokens": prompt}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def not_for(what: str, task: str | None, wanted: str) -> InvalidInput:
    """Return the refusal of a model that is for something else."""
    told = f"its task is {task!r}" if task else "it has no task"
    return InvalidInput(
        f'"model" does not {what}: {told}', help=f"write `task: {wanted}` into its model.yaml"
    )
