"""What a request may ask of a generation, and what ``model.yaml`` lays down for all of them.

One table of numbers serves both: a request's ``parameters`` and the defaults beneath ``parameters:``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from inferd.core.errors import InvalidParameter, ModelFileError, nearest
from inferd.core.message import Parameters

MAX_STOPS = 16
MAX_STOP = 256  # characters
MOST = 1 << 31
_SEED = 1 << 63

_NUMBERS: dict[str, tuple[type, float, float]] = {
    "max_tokens": (int, 1, MOST),
    "min_tokens": (int, 0, MOST),
    "temperature": (float, 0, 10),
    "top_p": (float, 0, 1),
    "top_k": (int, -1, MOST),
    "repetition_penalty": (float, 0.01, 100),
    "presence_penalty": (float, -10, 10),
    "frequency_penalty": (float, -10, 10),
    "seed": (int, -_SEED, _SEED - 1),
}
"""Kind, least and most of each."""

_ALIASES = {"max_completion_tokens": "max_tokens", "max_new_tokens": "max_tokens"}
_ELSEWHERE = ("text_input", "inputs", "input", "text")
"""What the prompt is called on other servers."""
_PROMPT = "the text to go on from is the input 'prompt'"
_SILENT = ("user", "safety_identifier", "prompt_cache_key")
"""Said for whoever reads logs."""

NAMES = (*_NUMBERS, "stop", *_ALIASES, *_SILENT)
"""All parameters that a request may have."""

_LAID_DOWN = {
    "default_max_tokens": (1, MOST), "max_tokens": (1, MOST), "max_prompt_tokens": (1, MOST),
    "context": (16, 1 << 24), "sequences": (1, 256), "prefill_tokens": (16, 1 << 16),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one answer is generated. ``temperature`` 0 takes the most likely token."""

    max_tokens: int = 256
    min_tokens: int = 0
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What ``parameters:`` of ``model.yaml`` lays down, beside the defaults of sampling.

    ``context``: tokens of prompt and answer together. ``prefill``: tokens of prompts that are read
    between two steps of those who are being answered.
    """

    context: int
    prompt: int
    tokens: int | None
    sequences: int
    prefill: int
    sampling: Sampling


DEFAULT_CONTEXT = 4096
SEQUENCES = 8
PREFILL = 128


def read_limits(
    options: Mapping[str, Any], search: Mapping[str, Any], context: int, place: str
) -> Limits:
    """Read ``parameters:`` of ``model.yaml``. Raises ``ModelFileError`` naming ``place``.

    ``search``: what the model's own files suggest; ``context``: tokens that it was made for.
    """
    given = dict(options.get("parameters") or {})
    numbers: dict[str, int] = {}
    for name, (low, high) in _LAID_DOWN.items():
        value = given.pop(name, None)
        if value is not None:
            if type(value) is not int or not low <= value <= high:
                raise ModelFileError(
                    f"{place}: model.yaml: parameters.{name} is {value!r}, and must be a whole "
                    f"number from {low} to {high}"
                )
            numbers[name] = value
    try:
        base = _suggested(search)
        sampling = _sampling(given, base, allowed=(*_NUMBERS, "stop", *_LAID_DOWN))
    except InvalidParameter as error:
        raise ModelFileError(
            f"{place}: model.yaml: parameters: {error.message}", help=error.help
        ) from None
    wide = numbers.get("context", min(context, DEFAULT_CONTEXT))
    if wide > context:
        raise ModelFileError(
            f"{place}: model.yaml: parameters.context is {wide}, and the model was made for "
            f"{context} tokens"
        )
    least = min(wide - 1, numbers.get("max_prompt_tokens", wide - 1))
    tokens = numbers.get("max_tokens")
    usual = numbers.get("default_max_tokens", sampling.max_tokens)
    sampling = replace(sampling, max_tokens=usual if tokens is None else min(usual, tokens))
    return Limits(
        wide, least, tokens, int(options.get("sequences") or numbers.get("sequences", SEQUENCES)),
        numbers.get("prefill_tokens", PREFILL), sampling,
    )  # fmt: skip


def _suggested(search: Mapping[str, Any]) -> Sampling:
    """Return the defaults that the model's files suggest; nonsense in them is passed over."""

    def number(name: str, default: float, low: float, high: float) -> float:
        value = search.get(name)
        fits = type(value) in (int, float) and low <= value <= high  # type: ignore[operator]
        return float(value) if fits else default  # type: ignore[arg-type]

    warm = search.get("do_sample") is True
    return Sampling(
        temperature=number("temperature", 1.0, 0, 10) if warm else 0.0,
        top_p=number("top_p", 1.0, 0, 1),
        top_k=int(number("top_k", 0, 0, MOST)),
        repetition_penalty=number("repetition_penalty", 1.0, 0.01, 100),
    )


def read_sampling(parameters: Parameters, limits: Limits) -> Sampling:
    """Return how a request wants its answer. Raises ``InvalidParameter``."""
    wanted = _sampling(dict(parameters), limits.sampling, allowed=(*_NUMBERS, "stop", *_ALIASES))
    if limits.tokens is not None and wanted.max_tokens > limits.tokens:
        wanted = replace(wanted, max_tokens=limits.tokens)
    return wanted


def _sampling(given: dict[str, Any], base: Sampling, allowed: tuple[str, ...]) -> Sampling:
    found: dict[str, Any] = {}
    for name, value in given.items():
        field = _ALIASES.get(name, name)
        if name in _SILENT:
            continue
        if name not in allowed:
            hint = _PROMPT if name in _ELSEWHERE else nearest(name, allowed)
            raise InvalidParameter(f"unknown parameter {name[:64]!r}", help=hint)
        read = _stops(value) if field == "stop" else _number(name, value)
        # Of several names of one, the strictest counts.
        found[field] = min(found[field], read) if field in found else read
    return replace(base, **found)


def _number(name: str, value: Any) -> float | int:
    kind, low, high = _NUMBERS[_ALIASES.get(name, name)]
    whole = type(value) is int or (type(value) is float and value.is_integer())
    fits = whole if kind is int else type(value) in (int, float) and math.isfinite(value)
    if not fits or not low <= value <= high:
        what = "a whole number" if kind is int else "a number"
        shown = (
            repr(value)[:40]
            if type(value) in (int, float, bool, str)
            else f"a {type(value).__name__}"
        )
        raise InvalidParameter(f"{name} must be {what} from {low} to {high}, got {shown}")
    return kind(value)  # type: ignore[no-any-return]


def _stops(value: Any) -> tuple[str, ...]:
    """Return stop texts: a text, or a list of texts (which parameters carry as JSON)."""
    found = value
    if isinstance(value, str) and value.startswith("["):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            found = value  # a text that begins like a list
    stops = [found] if isinstance(found, str) else found
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise InvalidParameter("stop must be a text, or a JSON list of texts")
    if len(stops) > MAX_STOPS or not all(0 < len(stop) <= MAX_STOP for stop in stops):
        raise InvalidParameter(
            f"stop must be at most {MAX_STOPS} texts of 1 to {MAX_STOP} characters each"
        )
    return tuple(stops)
