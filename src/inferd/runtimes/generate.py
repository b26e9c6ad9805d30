"""Engines out of Python: a generator method, or a class that has the verbs of an engine.

A generator answers one request piece by piece; ``GeneratorEngine`` takes a step of each running one in
turn. A class that defines ``add``, ``step`` and ``cancel`` decides itself how requests share a step
(continuous batching); ``ModelEngine`` only turns what it answers into tensors.
"""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from inferd.core.message import Parameters, joined
from inferd.core.runtime import Engine, Step
from inferd.core.tensor import Tensors, uneven

Convert = Callable[[Any], Tensors]
VERBS = ("add", "step", "cancel")


def is_engine(cls: type) -> bool:
    """Return whether a class has the verbs of an engine."""
    return all(callable(getattr(cls, verb, None)) for verb in VERBS)


class GeneratorEngine:
    """Steps generators in turn. ``start`` makes the generator of one request."""

    def __init__(self, start: Callable[[Tensors, Parameters], Iterator[Tensors]]) -> None:
        self._start = start
        self._running: dict[int, Iterator[Tensors]] = {}
        self._held: set[int] = set()

    def add(self, key: int, inputs: Tensors, parameters: Parameters) -> None:
        """Make the generator; what its function raises before the first piece comes with a step."""
        self._running[key] = self._start(inputs, parameters)

    def step(self) -> list[Step]:
        """Ask each generator that is not held for its next piece."""
        return [self._next(key) for key in list(self._running) if key not in self._held]

    def _next(self, key: int) -> Step:
        try:
            return key, next(self._running[key]), False
        except StopIteration:
            self._forget(key)
            return key, {}, True
        except BaseException as error:  # foreign code: it fails this request only
            self._forget(key)
            return key, error, True

    def cancel(self, key: int) -> None:
        """Close the generator: its ``finally`` blocks run."""
        running = self._forget(key)
        close = getattr(running, "close", None)
        if close is not None:
            try:
                close()
            except Exception:  # foreign code; nobody waits for its answer
                traceback.print_exc()

    def hold(self, key: int, *, on: bool) -> None:
        """Leave a generator out of the steps for a while: its client does not keep up."""
        if on:
            self._held.add(key)
        else:
            self._held.discard(key)

    def _forget(self, key: int) -> Iterator[Tensors] | None:
        self._held.discard(key)
        return self._running.pop(key, None)


class ModelEngine:
    """A user's engine. ``convert`` makes tensors of what it gives for one row."""

    def __init__(self, model: Any, convert: Convert) -> None:
        self._model = model
        self._convert = convert

    def add(self, key: int, inputs: Tensors, parameters: Parameters) -> None:
        self._model.add(key, inputs, dict(parameters))

    def step(self) -> list[Step]:
        found: list[Step] = []
        for key, piece, last in self._model.step() or ():
            if isinstance(piece, BaseException):
                found.append((key, piece, True))
                continue
            try:
                found.append((key, self._convert(piece) if _holds(piece) else {}, bool(last)))
            except Exception as error:
                self._model.cancel(key)
                found.append((key, error, True))
        return found

    def cancel(self, key: int) -> None:
        self._model.cancel(key)


def _holds(piece: Any) -> bool:
    return piece is not None and not (isinstance(piece, Mapping) and not piece)


def with_batch(piece: Any, *, each: bool) -> Any:
    """Give what was yielded for one row its batch axis.

    A bare value always lacks it; an array or a list has it, unless the method is written for one
    example (``each``).
    """
    if isinstance(piece, Mapping):
        return {name: with_batch(value, each=each) for name, value in piece.items()}
    if each or isinstance(piece, (str, bytes, bool, int, float, np.generic)):
        return [piece]
    return piece


def answered(
    engine: Engine,
    rows: Sequence[Tensors],
    most: int | None = None,
    parameters: Parameters | None = None,
) -> Tensors:
    """Run requests to their end and return their answers as one batch.

    ``most``: stop each after so many pieces. ``parameters``: of each. Raises the first error.
    """
    keys = itertools.count(1)
    pieces: dict[int, list[Tensors]] = {}
    for row in rows:
        key = next(keys)
        engine.add(key, row, dict(parameters or {}))
        pieces[key] = []
    left = set(pieces)
    try:
        while left:
            for key, piece, last in engine.step():
                if isinstance(piece, BaseException):
                    left.discard(key)
                    raise piece
                if piece:
                    pieces[key].append(piece)
                if last:
                    left.discard(key)
                elif most is not None and len(pieces[key]) >= most:
                    engine.cancel(key)
                    left.discard(key)
    finally:
        for key in left:
            engine.cancel(key)
    return _stacked([joined(found) for found in pieces.values()])


def _stacked(rows: list[Tensors]) -> Tensors:
    out: Tensors = {}
    for name in rows[0] if rows else ():
        parts = [row[name] for row in rows if name in row]
        if len({part.shape[1:] for part in parts}) == 1:
            out[name] = np.concatenate(parts)
        else:
            out[name] = uneven([part[0] for part in parts])
    return out
