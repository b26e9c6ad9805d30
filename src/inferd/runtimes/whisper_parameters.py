"""What ``model.yaml`` lays down for a speech model, and what one request may ask of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from inferd.core.errors import InvalidInput, InvalidParameter, ModelFileError, nearest
from inferd.core.message import Parameters
from inferd.runtimes.whisper_windows import RATE

NAMES = ("language", "task", "prompt", "temperature")
"""All parameters that a request may have."""

TASKS = ("transcribe", "translate")
WARMER = (0.0, 0.4, 0.8)
"""Temperatures tried in turn while an answer is unlikely or repeats itself; so many decodings at most."""


@dataclass(frozen=True, slots=True)
class Settings:
    """``parameters:`` of ``model.yaml``."""

    compute_type: str = "int8"
    beam_size: int = 5
    language: str = ""
    condition_on_previous_text: bool = False
    max_seconds: int = 3600

    @staticmethod
    def of(given: dict[str, Any], place: str) -> Settings:
        """Read them; raises ``ModelFileError`` naming the one that is wrong."""
        known: dict[str, Any] = {f.name: f for f in fields(Settings)}
        for name, value in given.items():
            if name not in known:
                raise ModelFileError(
                    f"{place}: model.yaml: parameters: unknown {name!r}", help=nearest(name, known)
                )
            wanted = type(known[name].default)
            if type(value) is not wanted or (wanted is int and value < 1):
                raise ModelFileError(
                    f"{place}: model.yaml: parameters: {name}: {value!r} is no {_KINDS[wanted]}"
                )
        return Settings(**given)


_KINDS = {int: "whole number over 0", str: "text", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one request asks for. ``language``: empty where the model is to find out."""

    language: str = ""
    task: str = "transcribe"
    prompt: str = ""
    temperatures: tuple[float, ...] = WARMER

    @staticmethod
    def of(parameters: Parameters, languages: Sequence[str], settings: Settings) -> Wanted:
        """Read a request's parameters; raises ``InvalidParameter``.

        ``languages``: the codes that the model knows.
        """
        for name in parameters:
            if name not in NAMES:
                raise InvalidParameter(
                    f"unknown parameter {name[:64]!r}", help=nearest(name, NAMES)
                )
        language = str(parameters.get("language") or settings.language).strip()
        language = language.lower() if language.lower() in languages else language
        check_language(language, languages, InvalidParameter)
        task = str(parameters.get("task") or "transcribe")
        if task not in TASKS:
            raise InvalidParameter(f"no task {task!r}", help=nearest(task, TASKS))
        if task == "translate" and len(languages) == 1:
            raise InvalidParameter(f"the model knows only {languages[0]!r}, and translates nothing")
        prompt = parameters.get("prompt") or ""
        if not isinstance(prompt, str):
            raise InvalidParameter(f"prompt: must be text, not {prompt!r}")
        heat = parameters.get("temperature") or 0.0
        if isinstance(heat, (str, bool)) or not (math.isfinite(heat) and 0 <= heat <= 1):
            raise InvalidParameter(f"temperature: must be a number from 0 to 1, not {heat!r}")
        return Wanted(language, task, prompt, (float(heat),) if heat else WARMER)


def check_language(
    language: str,
    known: Sequence[str],
    error: type[InvalidParameter | ModelFileError],
    place: str = "",
) -> None:
    """Raise ``error`` where ``language``, named at ``place``, is not known, with those that are."""
    if language and language not in known:
        raise error(
            f"{place}language: the model does not know {language!r}",
            help=f"it knows {', '.join(sorted(known))}",
        )


def checked(audio: np.ndarray, most: int) -> np.ndarray:
    """Return the samples of one recording; raises ``InvalidInput`` where it is too long or is no sound."""
    samples = audio.reshape(-1)
    if len(samples) > most * RATE:
        raise InvalidInput(
            f"the recording lasts {len(samples) / RATE:.0f} s; this model takes {most} s at most",
            help="send it in parts",
        )
    if not np.isfinite(samples).all():
        raise InvalidInput("the recording holds values that are no numbers")
    return samples
