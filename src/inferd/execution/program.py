"""What runs a job: item transforms, collation, batch transforms, runtime, and back.

Used by the worker process and by the inline executor. A job comes as blocks (see ``blocks``).
Where nothing has to be done per request the blocks are the batch and go straight to the runtime;
otherwise they are taken apart into *units* (one request, or one row of it where its rows turn out
unequal), prepared one by one, so that a bad item fails alone, and grouped by shape.

A batch that raises is bisected: halves are run again until the bad entry stands alone and gets its
own error. The number of entries run again is bounded by the job's budget, so that a model that
always fails does not double its load.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from inferd.core.errors import DeadlineExceeded, InferdError, ModelFailed
from inferd.core.runtime import Runtime
from inferd.core.tensor import Tensors
from inferd.execution.blocks import Block, each
from inferd.execution.frames import FAILED, OK, Outcome
from inferd.transforms.chain import Chain
from inferd.transforms.collate import Collated

EXPIRED = "the deadline passed before the request ran"


@dataclass(slots=True)
class Unit:
    """Prepared tensors (batch on axis 0) of one entry, or of one of its rows."""

    entry: int
    tensors: Tensors
    result: Tensors | None = None
    error: InferdError | None = None


class _Run:
    """Timings and counters of one job while it runs."""

    __slots__ = ("budget", "deadlines", "fill", "reruns", "rows", "run")

    def __init__(self, budget: int, deadlines: Sequence[float]) -> None:
        self.deadlines = deadlines
        self.run = 0.0
        self.rows = 0
        self.reruns = 0
        self.budget = budget
        self.fill = 1.0


class Program:
    """One loaded model: a runtime and its compiled chain. ``run`` may be called from threads."""

    def __init__(self, runtime: Runtime, chain: Chain, label: str) -> None:
        self.runtime = runtime
        self.chain = chain
        self.label = label
        self._pre: Callable[[Tensors], Tensors] | None = getattr(runtime, "preprocess", None)
        self._post: Callable[[Tensors], Tensors] | None = getattr(runtime, "postprocess", None)
        plan = chain.plan
        self._batched = plan.batched
        self._by_unit = bool(
            chain.by_item or self._pre or self._post or plan.length or plan.split
            or not plan.batched
        )  # fmt: skip
        self._plain = not self._by_unit and chain.identity and not runtime.keeps_inputs
        self._last_trace = 0.0

    def run(
        self, blocks: list[Block], deadlines: Sequence[float], budget: int, shared: bool = False
    ) -> Outcome:
        """Run one job. ``shared``: the tensors are views of memory that is not this job's own."""
        if self._plain and len(blocks) == 1 and min(deadlines) > time.monotonic():
            return self._run_plain(blocks[0], deadlines, budget)
        start = time.perf_counter()
        state = _Run(budget, deadlines)
        if shared and self._pre is not None:
            blocks = [Block(b.count, {k: a.copy() for k, a in b.tensors.items()}) for b in blocks]
        if not self._by_unit and min(deadlines) > time.monotonic():
            outcome = self._run_whole(blocks, state)
        else:
            outcome = self._run_units(blocks, deadlines, state)
        outcome.run = state.run
        outcome.batch = max(0.0, time.perf_counter() - start - state.run)
        outcome.rows = state.rows
        outcome.reruns = state.reruns
        outcome.fill = state.fill
        return outcome

    def _run_plain(self, block: Block, deadlines: Sequence[float], budget: int) -> Outcome:
        """Run the usual job of a model without transforms: the block is the batch."""
        start, entries = time.perf_counter(), len(deadlines)
        try:
            outputs = self.runtime.run(block.tensors)
            taken = time.perf_counter() - start
            rows = block.rows()
            check_rows(outputs, rows)
        except BaseException as error:  # foreign code
            state = _Run(budget, deadlines)
            units = [Unit(i, t) for i, t in enumerate(each([block]))]
            self._isolate(units, self.told(error), state)
            outcome = _gather(units, entries)
            outcome.run, outcome.rows, outcome.reruns = state.run, state.rows, state.reruns
            return outcome
        return Outcome(bytes(entries), [Block(entries, outputs)], {}, 0.0, taken, 1.0, rows)

    def _run_whole(self, blocks: list[Block], state: _Run) -> Outcome:
        entries = sum(b.count for b in blocks)
        try:
            parts = self._execute([b.tensors for b in blocks], state)
        except BaseException as error:  # any failure of foreign code is the model's, told per entry
            units = [Unit(i, t) for i, t in enumerate(each(blocks))]
            self._isolate(units, self.told(error), state)
            return _gather(units, entries)
        out = [Block(b.count, p) for b, p in zip(blocks, parts, strict=True)]
        return Outcome(bytes(entries), out, {})

    def _run_units(self, blocks: list[Block], deadlines: Sequence[float], state: _Run) -> Outcome:
        units: list[Unit] = []
        now = time.monotonic()
        for i, tensors in enumerate(each(blocks)):
            if deadlines[i] <= now:
                units.append(Unit(i, {}, error=DeadlineExceeded(EXPIRED)))
                continue
            try:
                units.extend(Unit(i, t) for t in self._prepare(tensors))
            except BaseException as error:  # foreign code: a bad item fails alone
                units.append(Unit(i, {}, error=self.told(error)))
        groups: dict[object, list[Unit]] = {}
        for unit in units:
            if unit.error is None:
                groups.setdefault(self._group(unit), []).append(unit)
        for group in groups.values():
            self._attempt(group, state)
        return _gather(units, len(deadlines), self._post, self.told)

    def _group(self, unit: Unit) -> object:
        if not self._batched:
            return unit.entry
        if self.chain.plan.length is not None:
            return tuple((k, a.ndim, a.dtype) for k, a in unit.tensors.items())
        return tuple((k, a.shape[1:], a.dtype) for k, a in unit.tensors.items())

    def _prepare(self, tensors: Tensors) -> list[Tensors]:
        parts = [tensors]
        if self.chain.by_item:
            parts = self._prepare_rows(tensors)
        if self._pre is not None:
            parts = [self._pre(p) for p in parts]
        if self.chain.plan.length is not None:
            for part in parts:
                self.chain.admit(part)
        return parts

    def _prepare_rows(self, tensors: Tensors) -> list[Tensors]:
        prepare = self.chain.prepare
        if not self._batched:
            return [prepare(tensors)]
        count = min(a.shape[0] for a in tensors.values())
        rows = [prepare({k: a[i] for k, a in tensors.items()}) for i in range(count)]
        return [{k: np.asarray(a)[None] for k, a in row.items()} for row in rows]

    def _attempt(self, units: list[Unit], state: _Run) -> None:
        """Run units together, those out of time left out; where they fail, apart."""
        units = _in_time(units, state.deadlines)
        if not units:
            return
        try:
            parts = self._execute([u.tensors for u in units], state)
        except BaseException as error:  # foreign code
            self._isolate(units, self.told(error), state)
            return
        for unit, part in zip(units, parts, strict=True):
            unit.result = part

    def _isolate(self, units: list[Unit], error: InferdError, state: _Run) -> None:
        if len(units) == 1 or state.reruns + len(units) > state.budget:
            for unit in units:
                unit.error = error
            return
        state.reruns += len(units)
        middle = len(units) // 2
        self._attempt(units[:middle], state)
        self._attempt(units[middle:], state)

    def _execute(self, parts: list[Tensors], state: _Run) -> list[Tensors]:
        chain = self.chain
        if chain.identity and len(parts) == 1:
            inputs, collated = parts[0], None
        else:
            collated = chain.concatenate(parts)
            inputs = chain.before(collated.inputs)
            state.fill = min(state.fill, collated.fill)
        if (
            self.runtime.keeps_inputs and len(parts) == 1
        ):  # it may change them; failed batches rerun
            inputs = {k: a.copy() for k, a in inputs.items()}
        start = time.perf_counter()
        outputs = self.runtime.run(inputs)
        state.run += time.perf_counter() - start
        rows = [_rows(p) for p in parts] if self._batched else [1]
        total = sum(rows)
        state.rows += total
        if self._batched:
            check_rows(outputs, total)
        if chain.identity:
            return _slices(outputs, rows) if len(rows) > 1 else [outputs]
        after = chain.after(outputs, collated if collated is not None else chain.concatenate(parts))
        if isinstance(after, list):
            return _from_rows(after, rows) if self._batched else after
        return _slices(after, rows) if len(rows) > 1 else [after]

    def opened(self, tensors: Tensors) -> tuple[Tensors, Collated | None]:
        """Prepare a request of one row for an engine: what the engine takes, for ``piece``."""
        chain = self.chain
        (part,) = self._prepare(tensors)
        if not (chain.by_item or chain.changes):
            return part, None
        collated = chain.concatenate([part])
        return chain.before(collated.inputs), collated

    def piece(self, outputs: Tensors, collated: Collated | None) -> Tensors:
        """Apply what comes after the model to a piece of an answer of one row."""
        if collated is not None:
            after = self.chain.after(outputs, collated)
            outputs = _from_rows(after, [1])[0] if isinstance(after, list) else after
        return self._post(outputs) if self._post is not None else outputs

    def told(self, error: BaseException) -> InferdError:
        """Return what foreign code raised as an error of ours; its traceback goes to the log."""
        if isinstance(error, InferdError):
            return error
        now = time.monotonic()
        if now - self._last_trace > 1.0:  # an always-failing model must not flood the log
            self._last_trace = now
            traceback.print_exception(error, file=sys.stderr)
        text = str(error).strip()
        what = f"{type(error).__name__}: {text}" if text else type(error).__name__
        return ModelFailed(f"the model raised {what}")

    def warm(self, inputs: Tensors) -> InferdError | None:
        """Run one request; return its error, or ``None``."""
        outcome = self.run([Block(1, inputs)], [float("inf")], 0)
        return outcome.errors.get(0)

    def close(self) -> None:
        """Release the runtime."""
        self.runtime.close()


def _in_time(units: list[Unit], deadlines: Sequence[float]) -> list[Unit]:
    """Return the units whose deadline has not passed; the others get their error."""
    now = time.monotonic()
    late = [unit for unit in units if deadlines[unit.entry] <= now]
    if not late:
        return units
    for unit in late:
        unit.error = DeadlineExceeded(EXPIRED)
    return [unit for unit in units if unit.error is None]


def _rows(tensors: Tensors) -> int:
    for array in tensors.values():
        return int(array.shape[0])
    return 1


def check_rows(outputs: Tensors, rows: int) -> None:
    """Raise ``ModelFailed`` unless every output has ``rows`` rows."""
    for name, array in outputs.items():
        if not array.ndim or array.shape[0] != rows:
            raise ModelFailed(
                f"the model answered {array.shape[0] if array.ndim else 'a scalar'} for output "
                f"{name!r}, where a batch of {rows} needs {rows} rows"
            )


def _slices(outputs: Tensors, rows: list[int]) -> list[Tensors]:
    out = []
    start = 0
    for count in rows:
        out.append({k: a[start : start + count] for k, a in outputs.items()})
        start += count
    return out


def _from_rows(after: list[Tensors], rows: list[int]) -> list[Tensors]:
    out = []
    start = 0
    for count in rows:
        out.append(_stack(after[start : start + count]))
        start += count
    return out


def _stack(rows: list[Tensors]) -> Tensors:
    if len(rows) == 1:
        return {k: np.asarray(a)[None] for k, a in rows[0].items()}
    try:
        return {k: np.stack([r[k] for r in rows]) for k in rows[0]}
    except ValueError:
        raise ModelFailed(
            "rows of this request were answered in unequal shapes",
            help="send one example per request",
        ) from None


def _gather(
    units: list[Unit],
    entries: int,
    post: Callable[[Tensors], Tensors] | None = None,
    told: Callable[[BaseException], InferdError] | None = None,
) -> Outcome:
    """Put the units of each entry together again: outputs in order, errors by index."""
    parts: list[list[Unit]] = [[] for _ in range(entries)]
    for unit in units:
        parts[unit.entry].append(unit)
    blocks: list[Block] = []
    errors: dict[int, InferdError] = {}
    status = bytearray(entries)
    for i, mine in enumerate(parts):
        try:
            result = _joined(mine)
            blocks.append(Block(1, post(result) if post is not None else result))
            status[i] = OK
        except BaseException as error:  # foreign postprocess code
            status[i] = FAILED
            if isinstance(error, InferdError):
                errors[i] = error
            else:
                errors[i] = told(error) if told else ModelFailed(str(error))
    return Outcome(bytes(status), blocks, errors)


def _joined(units: list[Unit]) -> Tensors:
    for unit in units:
        if unit.error is not None:
            raise unit.error
    results = [u.result for u in units if u.result is not None]
    if len(results) == 1:
        return results[0]
    try:
        return {k: np.concatenate([r[k] for r in results]) for k in results[0]}
    except (ValueError, IndexError):
        raise ModelFailed(
            "rows of this request were answered in unequal shapes",
            help="send one example per request",
        ) from None
