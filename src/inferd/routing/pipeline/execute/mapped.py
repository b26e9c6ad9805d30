"""A step that is asked for every element of a list.

Elements of one shape are one request of as many rows to a batched model: an array is given as it is, a
list is stacked, which is the one copy. Others are a request each, ``AT_ONCE`` at a time, so that they
share batches where they can. An empty list asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from inferd.core.errors import ModelFailed
from inferd.core.message import Timings
from inferd.core.servable import Servable
from inferd.core.tensor import Tensors
from inferd.routing.pipeline.execute.ask import Ask, Terms
from inferd.routing.pipeline.execute.values import (
    element,
    even,
    fitted,
    gathered,
    repeated,
    stacked,
    taken,
)
from inferd.routing.pipeline.execute.wiring import Line, Source

AT_ONCE = 32
"""Elements that are asked for at once: enough to fill a batch, and no flood."""


class Owner(Protocol):
    """Whose step it is."""

    def mapped(self, values: list[np.ndarray], timings: Timings) -> None:
        """Hear of the lists, in the order of the line's outputs."""
        ...

    def unmapped(self, error: Exception) -> None:
        """Hear why there are none."""
        ...

    def broke(self, error: Exception) -> None:
        """Hear of a bug here."""
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be asked. ``whole``: one request of ``count`` rows, without batch axis to be added."""

    count: int
    shared: Tensors
    lists: Tensors
    whole: bool


def work(line: Line, shared: Tensors, lists: Tensors, *, batched: bool) -> Work:
    """Decide how a step is asked. Raises ``ModelFailed`` for lists of unequal length."""
    count = _length(lists)
    if count and batched and not line.node.alone:
        rows = {name: even(array) for name, array in lists.items()}
        whole = {name: array for name, array in rows.items() if array is not None}
        if len(whole) == len(lists):
            return Work(count, shared, whole, whole=True)
    return Work(count, shared, lists, whole=False)


def _length(lists: Mapping[str, np.ndarray]) -> int:
    lengths: dict[str, int] = {}
    for name, array in lists.items():
        if not array.ndim:
            raise ModelFailed(f"it is mapped over {name!r}, which is a single value")
        lengths[name] = array.shape[0]
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name!r} has {n}" for name, n in lengths.items())
        raise ModelFailed(f"the lists that it is mapped over are of unequal length: {told}")
    return next(iter(lengths.values()))


class Mapped:
    """The questions for one list, asked as there is room. An ``ask.Asker``."""

    __slots__ = (
        "_answers", "_asking", "_asks", "_batched", "_left", "_line", "_next", "_owner", "_servable", "_terms", "_work",
        "timings",
    )  # fmt: skip

    def __init__(
        self,
        owner: Owner,
        line: Line,
        servable: Servable,
        terms: Terms,
        todo: Work,
        *,
        batched: bool,
    ) -> None:
        self.timings = Timings()
        self._owner: Owner | None = owner
        self._line = line
        self._servable = servable
        self._terms = terms
        self._work = todo
        self._batched = batched
        self._answers: list[list[np.ndarray]] = []
        self._asks: set[Ask] = set()
        self._asking = False
        self._next = 0
        self._left = 0

    def start(self) -> None:
        """Ask for what there is room for; the owner may be told before this returns."""
        todo, line = self._work, self._line
        if not todo.count:
            self._end([_empty(slot.shape, slot.dtype.numpy) for slot in line.outputs])
        elif todo.whole:
            inputs = {name: repeated(array, todo.count) for name, array in todo.shared.items()}
            for source in line.mapped:
                inputs[source.name] = _fitted(todo.lists[source.name], source, 1)
            self._left = 1
            self._ask(0, inputs)
        else:
            self._left = todo.count
            self._answers = [[] for _ in range(todo.count)]
            self._more()

    def _more(self) -> None:
        if self._asking:  # an answer that came at once: the loop below goes on
            return
        self._asking = True
        while self._next < self._work.count and len(self._asks) < AT_ONCE and self._owner:
            index = self._next
            self._next += 1
            self._ask(index, self._element(index))
        self._asking = False

    def _element(self, index: int) -> Tensors:
        todo = self._work
        inputs = dict(todo.shared)
        for source in self._line.mapped:
            inputs[source.name] = _fitted(element(todo.lists[source.name], index), source, 0)
        if self._batched:
            return {name: array[None] for name, array in inputs.items()}
        return inputs

    def _ask(self, index: int, inputs: Tensors) -> None:
        ask = Ask(self, index)
        self._asks.add(ask)
        ask.start(self._servable, inputs, self._terms)

    def answered(self, ask: Ask, outputs: Tensors) -> None:
        """Keep an answer; the last one ends the step."""
        self._asks.discard(ask)
        if self._owner is None:
            return
        add(self.timings, ask.timings)
        if ask.timings is not None and ask.timings.steps:
            self.timings.steps += ask.timings.steps
        todo, slots = self._work, self._line.outputs
        try:
            if todo.whole:
                self._end(taken(outputs, slots, todo.count))
                return
            self._answers[ask.index] = taken(outputs, slots, 1 if self._batched else None)
        except ModelFailed as error:
            self.refused(ask, error)
            return
        self._left -= 1
        if self._left:
            self._more()
            return
        join = gathered if self._batched else stacked
        self._end([join(list(column)) for column in zip(*self._answers, strict=True)])

    def refused(self, ask: Ask, error: Exception) -> None:
        """The first failure ends the step."""
        self._asks.discard(ask)
        owner = self._owner
        self.drop()
        if owner is not None:
            owner.unmapped(error)

    def broke(self, error: Exception) -> None:
        """Hand on."""
        owner = self._owner
        self.drop()
        if owner is not None:
            owner.broke(error)

    def _end(self, values: list[np.ndarray]) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.mapped(values, self.timings)

    def drop(self) -> None:
        """Nobody waits any more."""
        self._owner = None
        asks, self._asks = self._asks, set()
        for ask in asks:
            ask.drop()


def add(total: Timings, part: Timings | None) -> None:
    """Add the stages of one answer to a sum."""
    if part is not None:
        if not total.began or 0.0 < part.began < total.began:
            total.began = part.began
        total.queue += part.queue
        total.batch += part.batch
        total.run += part.run
        total.batch_size = max(total.batch_size, part.batch_size)


def _fitted(array: np.ndarray, source: Source, lead: int) -> np.ndarray:
    return array if source.rank is None else fitted(array, source.rank + lead)


def _empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.empty((0, *(max(size, 0) for size in shape)), dtype)
