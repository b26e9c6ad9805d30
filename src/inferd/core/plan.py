"""How requests of one model may share a batch, as data.

The plan is made where the transform chain is compiled (in the worker) and used where batches are
formed (in the front), which therefore needs no transforms and no model framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inferd.core.tensor import Tensors, nbytes


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """What must agree, and what padding makes agree.

    ``key_axes``: (input, axis) pairs, free in the external signature and not filled by ``pad``,
    whose sizes must be equal within a batch. ``length``: the (input, axis) that ``pad`` fills, by
    which neighbours are chosen; for a BYTES input the payload size stands for the length.
    ``split``: rows may be answered in unequal shapes, so a request of several rows is run and
    answered row by row.
    """

    batched: bool = True
    max_batch: int | None = None
    key_axes: tuple[tuple[str, int], ...] = ()
    length: tuple[str, int] | None = None
    split: bool = False

    def key(self, inputs: Tensors) -> tuple[int, ...]:
        """Return the batch key: sizes of the axes that must agree."""
        return tuple(inputs[name].shape[axis] for name, axis in self.key_axes)

    def size(self, inputs: Tensors) -> int:
        """Return the request's length along the padded axis, 1 where nothing is padded."""
        if self.length is None:
            return 1
        name, axis = self.length
        array = inputs[name]
        if array.dtype.hasobject:
            return max(1, nbytes(array) // max(1, array.shape[0] if array.ndim else 1))
        return max(1, int(array.shape[axis]))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form used on the worker socket."""
        return {
            "batched": self.batched,
            "max_batch": self.max_batch,
            "key_axes": [list(pair) for pair in self.key_axes],
            "length": list(self.length) if self.length else None,
            "split": self.split,
        }

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> BatchPlan:
        """Build a plan from its JSON form."""
        length = row.get("length")
        return BatchPlan(
            bool(row["batched"]),
            row.get("max_batch"),
            tuple((str(n), int(a)) for n, a in row.get("key_axes") or ()),
            (str(length[0]), int(length[1])) if length else None,
            bool(row.get("split")),
        )
