"""The request seam: anything that answers one request.

A batched model, a cache, a traffic split, a fallback, a pipeline, a remote server: all are
servables and wrap each other. Raises only ``InferdError`` subclasses.
"""

from __future__ import annotations

from typing import Protocol

from inferd.core.message import Request, Response


class Servable(Protocol):
    """Answers one request, or raises an ``InferdError``."""

    async def __call__(self, request: Request) -> Response:
        """Answer ``request``."""
        ...
