"""Whom a message asks, and the codec that belongs to it: made once for each version, and remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from inferd.api.call import Call
from inferd.core.errors import Unavailable
from inferd.routing.table import READY, RouteTable, Version

Codec = TypeVar("Codec")
_REMEMBERED = 256


class Aims(Generic[Codec]):
    """Finds versions by the names that messages carry, and their codecs.

    ``make`` makes the codec of a version that has a signature. What was found for a name holds until
    the table changes.
    """

    def __init__(self, table: RouteTable, make: Callable[[Version], Codec]) -> None:
        self._table = table
        self._make = make
        self._found: dict[tuple[str, str], tuple[Version, Codec]] = {}
        self._generation = -1

    def find(self, call: Call, name: str, number: str) -> tuple[Version, Codec]:
        """Return the version that answers now, and its codec; empty texts name none.

        Raises ``NotFound``, ``Unavailable``, ``InvalidInput`` where no model is named and several
        are served.
        """
        generation = self._table.generation
        if generation != self._generation or len(self._found) >= _REMEMBERED:
            self._generation = generation
            self._found.clear()
        found = self._found.get((name, number))
        if found is None or found[0].state != READY:
            version = self.known(call, name, number)
            self._table.resolve(version.model, version.version)
            if version.signature is None:
                raise Unavailable(f"model {version.model!r} has no signature yet", retry_after=1.0)
            found = self._found[name, number] = (version, self._make(version))
        version = found[0]
        call.model, call.version = version.model, version.version
        return found

    def known(self, call: Call, name: str, number: str) -> Version:
        """Return the version of that name in any state; raises ``NotFound``."""
        version = self._table.find(name or None, number or None)
        call.model, call.version = version.model, version.version
        return version
