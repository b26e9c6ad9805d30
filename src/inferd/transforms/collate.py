"""Collation: examples, or blocks of examples, become one batch.

Blocks of equal shape are concatenated as they are; only where sizes differ along a padded axis is
a filled array allocated and every block copied into its corner, once, however many axes are padded.
Steps before ``pad`` run on the whole where all is of one shape, else on each block, so that what
fills the gaps is never itself transformed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inferd.core.errors import InvalidInput
from inferd.core.tensor import Tensors
from inferd.transforms.operation import Apply
from inferd.transforms.pad import PadUnit


@dataclass(slots=True)
class Collated:
    """One batch.

    ``inputs``: batch on axis 0. ``rows``: how many examples. ``lengths``: for each pad unit the real
    length of every row, and ``padded`` the common one; ``None`` where nothing is padded. ``fill``:
    real elements as a fraction of all, 1.0 where nothing had to be filled.
    """

    inputs: Tensors
    rows: int
    lengths: tuple[np.ndarray, ...] | None = None
    padded: tuple[int, ...] = ()
    fill: float = 1.0


@dataclass(frozen=True, slots=True)
class Collator:
    """Makes batches: ``steps`` run before padding, ``units`` say what is padded."""

    steps: tuple[Apply, ...] = ()
    units: tuple[PadUnit, ...] = ()

    def collate(self, rows: Sequence[Tensors]) -> Collated:
        """Stack examples without batch axis. Raises ``InvalidInput`` where shapes cannot meet."""
        if not rows:
            raise ValueError("a batch needs at least one row. This is a bug.")
        if len(rows) > 1 and all(_alike(rows[0], row) for row in rows[1:]):
            return self.concatenate([{k: np.stack([r[k] for r in rows]) for k in rows[0]}])
        return self.concatenate([{k: v[None] for k, v in row.items()} for row in rows])

    def concatenate(self, blocks: Sequence[Tensors]) -> Collated:
        """Join blocks that have a batch axis. Raises ``InvalidInput`` where shapes cannot meet."""
        if not blocks:
            raise ValueError("a batch needs at least one block. This is a bug.")
        if not self.units:
            return self._plain(blocks)
        if self._same(blocks):
            blocks = [_joined(blocks)]
        if self.steps:
            blocks = [dict(block) for block in blocks]
            for block in blocks:
                for step in self.steps:
                    step(block)
        return self._padded(blocks)

    def admit(self, block: Tensors) -> None:
        """Refuse, by itself, what could not stand alone in a batch. Raises ``InvalidInput``.

        A row of no elements would be answered or not by the length of its neighbours otherwise.
        Where steps run before padding, lengths are not known yet and only a batch can tell.
        """
        if not self.steps:
            for unit in self.units:
                unit.padded(_length(unit, block))

    def _plain(self, blocks: Sequence[Tensors]) -> Collated:
        inputs = _joined(blocks)
        return Collated(inputs, _rows(inputs))

    @staticmethod
    def _same(blocks: Sequence[Tensors]) -> bool:
        first = {k: v.shape[1:] for k, v in blocks[0].items()}
        return all(b.keys() == first.keys() and all(b[k].shape[1:] == s for k, s in first.items())
                   for b in blocks[1:])  # fmt: skip

    def _padded(self, blocks: Sequence[Tensors]) -> Collated:
        counts = [_rows(block) for block in blocks]
        sizes = [[_length(unit, block) for block in blocks] for unit in self.units]
        padded = tuple(u.padded(max(s)) for u, s in zip(self.units, sizes, strict=True))
        lengths = tuple(np.repeat(np.asarray(s, np.int64), counts) for s in sizes)
        inputs: Tensors = {}
        real = total = 0
        for name in blocks[0]:
            targets = {
                u.axis: n for u, n in zip(self.units, padded, strict=True) if name in u.values
            }
            arrays = [b[name] for b in blocks]
            if all(a.shape[axis] == n for a in arrays for axis, n in targets.items()):
                inputs[name] = _concatenated(name, arrays)
                if targets:
                    real += inputs[name].size
                    total += inputs[name].size
                continue
            value = next(u.values[name] for u in self.units if name in u.values)
            inputs[name] = _filled(name, arrays, targets, value)
            real += sum(a.size for a in arrays)
            total += inputs[name].size
        for unit, own, size in zip(self.units, lengths, padded, strict=True):
            inputs.update(unit.made(own, size))
        return Collated(inputs, sum(counts), lengths, padded, real / total if total else 1.0)


def _alike(a: Tensors, b: Tensors) -> bool:
    return a.keys() == b.keys() and all(v.shape == b[k].shape for k, v in a.items())


def _rows(block: Tensors) -> int:
    return int(next(iter(block.values())).shape[0]) if block else 0


def _joined(blocks: Sequence[Tensors]) -> Tensors:
    if len(blocks) == 1:
        return dict(blocks[0])
    try:
        return {name: _concatenated(name, [b[name] for b in blocks]) for name in blocks[0]}
    except KeyError as error:
        raise InvalidInput(f"input {error} is missing") from None


def _concatenated(name: str, arrays: list[np.ndarray]) -> np.ndarray:
    if len(arrays) == 1:
        return arrays[0]
    try:
        return np.concatenate(arrays)
    except ValueError:
        raise _unequal(name, arrays) from None


def _unequal(name: str, arrays: list[np.ndarray]) -> InvalidInput:
    shapes = sorted({str(list(a.shape[1:])) for a in arrays})
    return InvalidInput(
        f"examples of unequal shapes cannot share a batch: {name!r} is {' and '.join(shapes[:3])}"
    )


def _length(unit: PadUnit, block: Tensors) -> int:
    """Return the one length of a block's rows along the unit's axis."""
    found = {name: int(block[name].shape[unit.axis]) for name in unit.values}
    sizes = set(found.values())
    if len(sizes) != 1:
        text = ", ".join(f"{k} is {n}" for k, n in found.items())
        raise InvalidInput(f"inputs that are padded together differ in length: {text}")
    return sizes.pop()


def _filled(
    name: str, arrays: list[np.ndarray], targets: dict[int, int], value: np.ndarray
) -> np.ndarray:
    shape = list(arrays[0].shape)
    shape[0] = sum(len(a) for a in arrays)
    for axis, size in targets.items():
        shape[axis] = size
    out = np.full(shape, value, arrays[0].dtype)
    at = 0
    for array in arrays:
        if any(n != shape[i] for i, n in enumerate(array.shape) if i and i not in targets):
            raise _unequal(name, arrays)
        corner = tuple(slice(0, n) for n in array.shape[1:])
        out[(slice(at, at + len(array)), *corner)] = array
        at += len(array)
    return out
