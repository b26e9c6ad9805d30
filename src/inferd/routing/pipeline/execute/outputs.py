"""What goes out of a pipeline: values that are there become outputs with a batch axis. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from inferd.core.errors import InvalidInput
from inferd.core.tensor import Tensors
from inferd.routing.pipeline.execute.values import Values, fitted, repeated
from inferd.routing.pipeline.execute.wiring import Exit, Wiring


def wanted(wiring: Wiring, names: tuple[str, ...] | None) -> Sequence[Exit]:
    """Return the outputs asked for; raises ``InvalidInput`` for a name that is none."""
    if names is None:
        return wiring.exits
    known = {exit_.name: exit_ for exit_ in wiring.exits}
    for name in names:
        if name not in known:
            raise InvalidInput(
                f"unknown output {str(name)[:80]!r}", help="outputs: " + ", ".join(sorted(known))
            )
    return [known[name] for name in names]


def outputs_of(exits: Iterable[Exit], values: Values, rows: int | None) -> Tensors:
    """Return the outputs; ``rows`` as in ``step.Way``. For each, a source or a default is there."""
    return {exit_.name: _given(exit_, values, rows) for exit_ in exits}


def _given(exit_: Exit, values: Values, rows: int | None) -> np.ndarray:
    for place in exit_.places:
        value = values[place]
        if value is not None:
            return _lifted(value, exit_.rank, rows)
    default = exit_.outlet.default
    if default is None:
        raise LookupError(f"output {exit_.name!r} has neither a source nor a default")
    return default[None] if rows is None else repeated(default, rows)


def _lifted(value: np.ndarray, rank: int, rows: int | None) -> np.ndarray:
    if rows is not None:
        return value if value.ndim == rank + 1 else fitted(value, rank + 1)
    return (value if value.ndim == rank else fitted(value, rank))[None]


def follows(exit_: Exit, values: Values, streams: int) -> str | None:
    """Return the output of the streaming step (its number) that an output is; ``None`` where it is none.

    All sources before it must have ended.
    """
    for place, step, name in zip(exit_.places, exit_.steps, exit_.outputs, strict=True):
        if step == streams:
            return name
        if values[place] is not None:
            return None
    return None


def before(exits: Iterable[Exit], streams: int) -> set[int]:
    """Return the steps that an output rather comes from than from the streaming one."""
    found: set[int] = set()
    for exit_ in exits:
        if streams in exit_.steps:
            found.update(s for s in exit_.steps[: exit_.steps.index(streams)] if s >= 0)
    return found


def settled(exit_: Exit, values: Values, ended: Sequence[bool]) -> bool:
    """Return whether it is known what an output is: no source that would come first still runs."""
    for place, step in zip(exit_.places, exit_.steps, strict=True):
        if step >= 0 and not ended[step]:
            return False
        if values[place] is not None:
            return True
    return True
