"""A compiled chain: what a worker calls around each batch.

``prepare`` sees one example, ``collate`` and ``concatenate`` join examples, ``before`` and ``after``
see the whole batch. Nothing here decides anything: all was found out when the chain was compiled.
Whatever a step raises on a client's values becomes ``InvalidInput``, on a model's ``ModelFailed``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inferd.core.defaults import sampled
from inferd.core.errors import InferdError, InvalidInput, ModelFailed
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature
from inferd.core.tensor import BYTES, Tensors, is_uneven
from inferd.transforms.collate import Collated, Collator
from inferd.transforms.draft import Flow
from inferd.transforms.example import example
from inferd.transforms.operation import Apply

_RAISED = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError)
"""What numpy and Python raise on values that do not fit; a MemoryError stays what it is."""


@dataclass(frozen=True, slots=True)
class NamedApply:
    """One step's function and name.

    ``whole``: it takes arrays with a batch axis. ``ragged``: it must be given single rows.
    """

    name: str
    run: Apply
    whole: bool = True
    ragged: bool = False


@dataclass(frozen=True, slots=True)
class OutputStage:
    """Steps after the model; before number ``cut_at`` outputs are cut back.

    ``cuts``: for each output the (axis, pad unit) pairs that follow a padded length.
    """

    steps: tuple[NamedApply, ...] = ()
    cut_at: int = 0
    cuts: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)


class Chain:
    """The compiled chain of one model.

    ``external``: the signature clients see. ``plan``: how requests may share a batch. ``by_item``:
    ``prepare`` must be called for each example. ``identity``: inputs and outputs pass unchanged, so
    that none of the methods need be called. ``changes``: more than the steps of an item do.
    """

    def __init__(
        self,
        external: Signature,
        plan: BatchPlan,
        *,
        lifted: bool,
        item: tuple[NamedApply, ...],
        item_specs: Flow,
        collator: Collator,
        batch: tuple[NamedApply, ...],
        fixed: Mapping[str, tuple[int, ...]],
        order: tuple[str, ...],
        outputs: OutputStage,
        seen: Flow,
    ) -> None:
        self.external = external
        self.plan = plan
        self.by_item = bool(item)
        self.changes = bool(collator.units or batch or fixed or outputs.steps)
        self.identity = not (item or self.changes or plan.split)
        self._lifted = lifted
        self._item = item
        self._item_specs = item_specs
        self._collator = collator
        self._batch = batch
        self._fixed = fixed
        self._order = order
        self._outputs = outputs
        self._seen = seen

    def example(self) -> Tensors:
        """Return a request of one row that the steps can work on, for warm-up and readiness.

        Arrays have the batch on axis 0 (an unbatched model: whole tensors).
        """
        return sampled(example(self._seen, lifted=self._lifted), self.external)

    def prepare(self, row: Mapping[str, Any]) -> Tensors:
        """Run the item steps on one example (no batch axis).

        Raises ``InvalidInput``, naming the step, for values it cannot work on.
        """
        tensors = {name: _array(value) for name, value in row.items()}
        for step in self._item:
            with _blamed(step.name, InvalidInput):
                if step.whole:
                    _on_one(step.run, tensors)
                else:
                    step.run(tensors)
        self._check_example(tensors)
        return tensors

    def admit(self, block: Tensors) -> None:
        """Refuse a request (batch on axis 0) that cannot be padded, before it meets others.

        Raises ``InvalidInput``.
        """
        if not self._lifted:
            with _blamed("pad", InvalidInput):
                self._collator.admit(block)

    def collate(self, rows: Sequence[Mapping[str, Any]]) -> Collated:
        """Join examples (no batch axis) to a batch; ragged axes are padded where ``pad`` says.

        Raises ``InvalidInput`` where their shapes cannot meet.
        """
        arrays = [{name: _array(value) for name, value in row.items()} for row in rows]
        with _blamed("collate", InvalidInput):
            return self._whole(self._collator.collate(arrays))

    def concatenate(self, blocks: Sequence[Tensors]) -> Collated:
        """Join blocks that already have a batch axis (an unbatched model: whole tensors, one).

        Raises ``InvalidInput`` where their shapes cannot meet.
        """
        if self._lifted:
            return self.collate(blocks)
        with _blamed("collate", InvalidInput):
            return self._collator.concatenate(blocks)

    def before(self, inputs: Tensors) -> Tensors:
        """Run the batch steps on the whole batch and return what the model takes, in its order.

        Raises ``InvalidInput`` for values a step cannot work on.
        """
        tensors = _raised(inputs) if self._lifted else dict(inputs)
        for step in self._batch:
            with _blamed(step.name, InvalidInput):
                step.run(tensors)
        for name, wanted in self._fixed.items():
            shape = tensors[name].shape[1:]
            if any(need not in (-1, have) for have, need in zip(shape, wanted, strict=True)):
                raise InvalidInput(
                    f"an example becomes {list(shape)} for {name!r}; the model takes {list(wanted)}"
                )
        if all(name in tensors for name in self._order):  # a class's preprocess may rename them
            tensors = {name: tensors[name] for name in self._order}
        return _lowered(tensors) if self._lifted else tensors

    def after(self, outputs: Tensors, collated: Collated) -> list[Tensors] | Tensors:
        """Run the steps after the model.

        Returns arrays with the batch on axis 0 where all rows are of one shape, else a list of
        examples without batch axis. Raises ``ModelFailed`` where the model's outputs do not fit.
        """
        tensors = _raised(outputs) if self._lifted else dict(outputs)
        steps, cut_at = self._outputs.steps, self._outputs.cut_at
        rows: list[Tensors] | None = None
        if self.plan.split and any(map(is_uneven, tensors.values())):
            rows = _rows(tensors, collated.rows)
        for step in steps[:cut_at]:
            _run(step, [tensors] if rows is None else rows)
        with _blamed("unpad", ModelFailed):
            rows = self._cut(tensors, rows, collated)
        for step in steps[cut_at:]:
            if rows is None and step.ragged:
                with _blamed("outputs", ModelFailed):
                    rows = _rows(tensors, collated.rows)
            _run(step, [tensors] if rows is None else rows)
        if rows is None:
            tensors = self._in_order(tensors)
            return _lowered(tensors) if self._lifted else tensors
        singles = [_lowered(self._in_order(row)) for row in rows]
        return singles[0] if self._lifted else singles

    def _in_order(self, tensors: Tensors) -> Tensors:
        names = [spec.name for spec in self.external.outputs if spec.name in tensors]
        return {n: tensors[n] for n in (*names, *(n for n in tensors if n not in names))}

    def _whole(self, collated: Collated) -> Collated:
        if self._lifted:
            if collated.rows != 1:
                raise InvalidInput("this model takes one example at a time")
            collated.inputs = _lowered(collated.inputs)
        return collated

    def _check_example(self, tensors: Tensors) -> None:
        for name, draft in self._item_specs.items():
            array = tensors.get(name)
            if array is None:
                raise InvalidInput(f"input {name!r} is missing")
            wanted = draft.shape[1:]
            fits = len(wanted) == array.ndim and all(
                need in (-1, have) for have, need in zip(array.shape, wanted, strict=True)
            )
            if not fits or (array.dtype != draft.dtype.numpy and draft.dtype is not BYTES):
                raise InvalidInput(
                    f"an example becomes {array.dtype} {list(array.shape)} for {name!r}; "
                    f"{draft.dtype.name} {list(wanted)} is taken"
                )

    def _cut(
        self, tensors: Tensors, rows: list[Tensors] | None, collated: Collated
    ) -> list[Tensors] | None:
        """Cut outputs to their rows' own lengths; ``None`` where all rows stay of one shape.

        ``rows``: the outputs where they are apart already.
        """
        lengths = collated.lengths
        there = tensors if rows is None else rows[0]
        cuts = {n: axes for n, axes in self._outputs.cuts.items() if n in there}
        if lengths is None or not cuts:
            return rows
        used = {unit for axes in cuts.values() for _, unit in axes}
        uneven = any(n.size and (n != n[0]).any() for n in (lengths[unit] for unit in used))
        if uneven or rows is not None:
            rows = _rows(tensors, collated.rows) if rows is None else rows
            for i, row in enumerate(rows):
                _trim(row, cuts, [int(n[i]) for n in lengths], collated.padded)
            return rows
        _trim(tensors, cuts, [int(n[0]) if n.size else 0 for n in lengths], collated.padded)
        return None


def _trim(
    tensors: Tensors,
    cuts: Mapping[str, tuple[tuple[int, int], ...]],
    lengths: Sequence[int],
    padded: Sequence[int],
) -> None:
    for name, axes in cuts.items():
        array = tensors[name]
        window = [slice(None)] * array.ndim
        for axis, unit in axes:
            # an output that only shares the name of the axis is left alone
            if axis < array.ndim and array.shape[axis] == padded[unit]:
                window[axis] = slice(0, lengths[unit])
        tensors[name] = array[tuple(window)]


def _rows(tensors: Tensors, count: int) -> list[Tensors]:
    for name, array in tensors.items():
        if not array.ndim or array.shape[0] != count:
            raise ModelFailed(
                f"the model answered {name!r} as {list(array.shape)} for {count} examples"
            )
    apart = {n for n, a in tensors.items() if is_uneven(a)}
    return [
        {n: a[i][None] if n in apart else a[i : i + 1] for n, a in tensors.items()}
        for i in range(count)
    ]


def _array(value: Any) -> np.ndarray:
    """Return one element as an array; ``bytes`` must not become numpy's own kind of text."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, np.generic) and value.dtype.kind not in "SU":
        return np.asarray(value)
    out = np.empty((), object)
    out[()] = value
    return out


def _on_one(run: Apply, tensors: Tensors) -> None:
    whole = _raised(tensors)
    run(whole)
    tensors.clear()
    tensors.update(_lowered(whole))


def _raised(tensors: Mapping[str, np.ndarray]) -> Tensors:
    return {name: array[None] for name, array in tensors.items()}


def _lowered(tensors: Tensors) -> Tensors:
    # reshape, for indexing would give the element itself where an example is one number or text
    return {name: array.reshape(array.shape[1:]) for name, array in tensors.items()}


def _run(step: NamedApply, blocks: Sequence[Tensors]) -> None:
    with _blamed(step.name, ModelFailed):
        for tensors in blocks:
            step.run(tensors)


@contextmanager
def _blamed(step: str, error: type[InferdError]) -> Iterator[None]:
    try:
        yield
    except InferdError as known:
        if error is ModelFailed and isinstance(known, InvalidInput):
            raise ModelFailed(f"{step}: {known.message}", help=known.help) from None
        raise
    except _RAISED as unknown:
        text = str(unknown) or type(unknown).__name__
        raise error(f"{step}: {text}") from unknown
