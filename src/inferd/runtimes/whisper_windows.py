"""What a transcription does with sound and tokens: pure functions, no model.

A recording is worked through in windows of at most 30 s, which is all that a Whisper network hears at once.
The tokens it answers hold times: ``<|0.00|> Hello.<|1.20|><|1.20|> How are you?<|2.40|>``. Where speech
goes on over a window's end, the next window begins where the last whole sentence ended.

Sources: the order of tokens is that of "Robust Speech Recognition via Large-Scale Weak Supervision".
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RATE = 16_000
WINDOW = 30 * RATE
"""Samples a network hears at once."""

TICK = 0.02
"""Seconds from one time token to the next."""

SILENT = 1e-4
"""No sample over it (-80 dB): nobody speaks, and a network that is asked anyway makes words up."""

_BLOCK = RATE // 10
_SHORTEST = 0.5


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech: its times in seconds from the window's beginning, and its tokens."""

    start: float
    end: float
    tokens: tuple[int, ...]


def next_sound(audio: np.ndarray, position: int) -> int | None:
    """Return where in ``audio`` [samples] the next sound begins, a tenth of a second early; ``None`` after the last."""
    for begin in range(position, len(audio), WINDOW):
        loud = np.abs(audio[begin : begin + WINDOW]) > SILENT
        if loud.any():
            return max(position, begin + int(loud.argmax()) - _BLOCK)
    return None


def segments(tokens: Sequence[int], first: int, seconds: float) -> tuple[list[Segment], float]:
    """Return the segments of a window's tokens, and how many seconds of the window they settle.

    ``first``: the number of the token that stands for the time 0; those below it are text.
    ``seconds``: the window's length. Text without an end lasts until the window's, unless a whole segment
    is before it: then it is left to the next window.
    """
    found: list[Segment] = []
    start = last = 0.0
    text: list[int] = []
    for token in tokens:
        if token < first:
            text.append(token)
            continue
        time = min((token - first) * TICK, seconds)
        if text:
            found.append(Segment(start, max(time, start), tuple(text)))
            text = []
            last = time
        start = time
    if text and not found:
        return [Segment(start, seconds, tuple(text))], seconds
    ends_in_two = len(tokens) > 1 and tokens[-1] >= first and tokens[-2] >= first
    goes_on = bool(text) or ends_in_two
    if goes_on and _SHORTEST < last < seconds - _SHORTEST:
        return found, last
    return found, seconds


def repetitive(text: str) -> float:
    """Return how often a text says the same, as the ratio by which it can be compressed."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0
