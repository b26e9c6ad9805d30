"""inferd: turns a trained model file into a production service.

Importing the package loads nothing: the public names below are fetched from their modules when
they are first used, so that ``inferd --help`` and every worker start fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from inferd.client.aio import AsyncClient as AsyncClient
    from inferd.client.sync import Client as Client
    from inferd.core.model import Model as Model
    from inferd.embed import load as load
    from inferd.mounted import asgi as asgi

_HOMES = {
    "AsyncClient": "inferd.client.aio",
    "Client": "inferd.client.sync",
    "Model": "inferd.core.model",
    "asgi": "inferd.mounted",
    "load": "inferd.embed",
}

__all__ = ["AsyncClient", "Client", "Model", "__version__", "asgi", "load"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'inferd' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
