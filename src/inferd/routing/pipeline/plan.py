"""A pipeline ready to run, as data: what ``typing`` makes of a spec and ``run`` follows."""

from __future__ import annotations

from dataclasses import dataclass

from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature
from inferd.routing.pipeline.spec import Node, Outlet, PipelineSpec


@dataclass(frozen=True, slots=True)
class Callee:
    """What a step calls, as far as types go: its signature as served, and whether it streams.

    A Python function's and a transform's signature is not batched: its shapes are those of one example.
    ``uneven``: the inputs and outputs of a Python function that are lists of arrays which may differ in
    shape; ``fallback``: the signature of the model that stands in. ``plan``: how the model's requests share
    batches, where that is known.
    """

    signature: Signature
    streams: bool = False
    uneven: frozenset[str] = frozenset()
    fallback: Signature | None = None
    plan: BatchPlan | None = None

    @property
    def splits(self) -> bool:
        """Whether rows of one request may be answered in unequal shapes."""
        if self.plan is not None:
            return self.plan.split
        return self.signature.ragged or any(-1 in s.shape[1:] for s in self.signature.outputs)


@dataclass(frozen=True, slots=True)
class PipelinePlan:
    """``nodes`` in an order in which every step comes after those it needs.

    ``signature`` and ``batch`` are the external ones, batch on axis 0. ``streams``: the step
    whose answer goes out in pieces. ``straight``: every step is a batched model, none is mapped or has
    a condition, so requests of several rows go through as they are.
    """

    spec: PipelineSpec
    nodes: tuple[Node, ...]
    outlets: tuple[Outlet, ...]
    signature: Signature
    batch: BatchPlan
    streams: str | None = None
    straight: bool = False
