"""``Accept``: which of the content types on offer a client would rather have.

A type on offer has the weight of the most precise range that covers it; the heaviest is chosen, and
of equals the one that the client names first, then the one offered first.

Source: RFC 9110, 12.5.1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

_WEIGHT = re.compile(r"\s*q\s*=\s*([0-9.]{1,8})\s*", re.IGNORECASE)
_MOST = 32


class Range(NamedTuple):
    """One item of the header: ``text/csv``, ``text/*`` or ``*/*``, in lower case, and its weight."""

    media: str
    weight: float

    def precision(self, media: str) -> int:
        """Return how precisely this covers ``media``: 3 by name, 2 by kind, 1 at all, 0 not."""
        if self.media == media:
            return 3
        if self.media == "*/*":
            return 1
        return 2 * (self.media.endswith("/*") and media.startswith(self.media[:-1]))


@lru_cache(256)
def ranges(accept: str) -> tuple[Range, ...]:
    """Return the items of a header in its order; what is no media range is passed over."""
    found: list[Range] = []
    for item in accept.lower().split(",")[:_MOST]:
        name, *parameters = item.split(";")
        name = {"*": "*/*"}.get(name.strip(), name.strip())
        if "/" not in name:
            continue
        weight = 1.0
        for parameter in parameters:
            if told := _WEIGHT.fullmatch(parameter):
                weight = _number(told[1])
        found.append(Range(name, weight))
    return tuple(found)


def _number(text: str) -> float:
    try:
        return min(1.0, float(text))
    except ValueError:
        return 0.0


def choose(accept: str, offers: Sequence[str]) -> str | None:
    """Return the type to answer in, or ``None`` where none of ``offers`` will do.

    An empty header, or one without any range, takes the first.
    """
    items = ranges(accept)
    if not items:
        return offers[0]
    best: tuple[float, int, int] | None = None
    chosen = None
    for place, media in enumerate(offers):
        covering = [(r.precision(media), -i, r) for i, r in enumerate(items)]
        precision, order, found = max(covering, key=lambda c: c[:2])
        if not precision or not found.weight:
            continue
        rank = (found.weight, order, -place)
        if best is None or rank > best:
            best, chosen = rank, media
    return chosen


def first(accept: str, default: str) -> str:
    """Return the type a client would like best whatever is on offer; ``default`` for any."""
    named = [r for r in ranges(accept) if r.weight and "*" not in r.media]
    return max(named, key=lambda r: r.weight).media if named else default
