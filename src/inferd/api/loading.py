"""Loading and unloading at a client's request: the seam between the doors and who does it.

No door loads a model by itself. One that offers it is given a ``Loading``; a server that does not
want it gives none, and the door answers "not allowed".
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Present(NamedTuple):
    """One model that was loaded at a client's request, and the path it was loaded from."""

    name: str
    path: str


class AlreadyLoaded(Exception):
    """A model of that name is loaded or being loaded."""


class NoMemory(Exception):
    """There is not enough memory for the model beside those that are loaded."""


class Loading(Protocol):
    """Loads models from paths that a client names, and unloads them.

    Paths are confined by whoever implements this: a client's word never reaches a file elsewhere.
    """

    async def load(self, name: str, path: str) -> None:
        """Load the model at ``path`` and serve it as ``name``.

        Raises ``AlreadyLoaded``, ``NoMemory``, ``InvalidInput`` for a path or a model that will not
        do, ``NotFound`` for a path that is not there, ``Overloaded`` when too many are being loaded.
        """
        ...

    async def unload(self, name: str) -> None:
        """Take a model out of service; raises ``NotFound``."""
        ...

    def present(self) -> list[Present]:
        """Return what is loaded, in order of name."""
        ...
