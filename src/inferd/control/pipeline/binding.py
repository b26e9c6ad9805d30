"""Who answers each step of a pipeline now: versions of the route table, and the pipeline's own steps.

Found once for each generation of the table, so that a request pays one comparison.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping

from inferd.control.pipeline.parts import found
from inferd.core.errors import Unavailable
from inferd.core.message import Request, Response
from inferd.core.servable import Servable
from inferd.routing.pipeline.execute.step import FALLBACK
from inferd.routing.pipeline.spec import ModelCall, PipelineSpec
from inferd.routing.table import RouteTable

RETRY_AFTER = 1.0
REMEMBERED = 64
"""Former bindings that are kept in mind before those are left out that no request has any more."""


class Refusing:
    """Stands where nobody answers, for a step that has a fallback."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def __call__(self, request: Request) -> Response:
        """Raise ``Unavailable``."""
        raise Unavailable(self._reason, retry_after=RETRY_AFTER)


class Bound(dict[str, Servable]):
    """Who answered each step when a request began: it lives as long as the request does."""

    __slots__ = ("__weakref__",)


class Binding:
    """Gives the servable of every step (``routing.pipeline.run.Bind``). ``own``: of its own steps."""

    def __init__(self, table: RouteTable, spec: PipelineSpec, own: Mapping[str, Servable]) -> None:
        self._table = table
        self._spec = spec
        self._own = own
        self._generation = -1
        self._bound = Bound()
        self._before: list[weakref.ref[Bound]] = []
        self._refusal: str | None = None

    def __call__(self) -> Mapping[str, Servable]:
        """Return who answers each step; raises ``Unavailable`` naming the step."""
        self._renew()
        if self._refusal is not None:
            raise Unavailable(self._refusal, retry_after=RETRY_AFTER)
        return self._bound

    def uses(self, servable: Servable) -> bool:
        """Whether a request may still ask ``servable``: it answers a step, or did when one began."""
        self._renew()
        self._before = [one for one in self._before if one() is not None]
        kept = [self._bound, *(one() or Bound() for one in self._before)]
        return any(servable is one for bound in kept for one in bound.values())

    def _renew(self) -> None:
        generation = self._table.generation
        if generation != self._generation:
            self._before.append(weakref.ref(self._bound))
            self._bind()
            self._generation = generation

    def _bind(self) -> None:
        if len(self._before) > REMEMBERED:
            self._before = [one for one in self._before if one() is not None]
        bound = Bound(self._own)
        self._refusal = None
        for step in self._spec.steps:
            if not isinstance(step.call, ModelCall):
                continue
            servable = self._servable(step.call)
            if isinstance(servable, str):
                if step.fallback is None:
                    self._refusal = self._refusal or f"step {step.name!r}: {servable}"
                    continue
                servable = Refusing(servable)
            bound[step.name] = servable
            if step.fallback is not None and step.fallback.call is not None:
                other = self._servable(step.fallback.call)
                bound[step.name + FALLBACK] = Refusing(other) if isinstance(other, str) else other
        self._bound = bound

    def _servable(self, call: ModelCall) -> Servable | str:
        """Return who answers, or why nobody does."""
        version = found(self._table, call)
        if isinstance(version, str):
            return version
        if not version.ready or version.servable is None:
            return f"model {version.model!r} version {version.version} is {version.state}: {version.reason}"
        return version.servable
