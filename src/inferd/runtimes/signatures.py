"""Signatures as they come about: read from an artifact, declared, or learned from a trial run.

Whatever the source, one rule holds: what is declared may narrow or name what the artifact leaves
open, and may never contradict it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from inferd.core.errors import InferdError, ModelFileError
from inferd.core.signature import Signature, TensorSpec, infer_batching
from inferd.core.tensor import BOOL, BYTES, Tensors, dtype_of

EXAMPLE = """write into model.yaml, with your own names, datatypes and sizes:
signature:
  inputs:  [{name: x, dtype: float32, shape: [-1, 4]}]
  outputs: [{name: y, dtype: float32, shape: [-1, 3]}]"""

FREE = 8
"""Size a free axis is given in a trial run."""

OTHER = 64
"""Size it is given in a second one: longer, so that what follows a length differs."""


def declared(options: Mapping[str, Any], place: str) -> Signature | None:
    """Return the signature that ``model.yaml`` declares, shapes as written, or ``None``.

    Raises ``ModelFileError`` naming ``place``.
    """
    row = options.get("signature")
    if not row:
        return None
    try:
        return Signature.from_json(row)
    except InferdError as error:
        raise ModelFileError(f"{place}: signature: {error.message}", help=error.help) from None


def settle(found: Signature, options: Mapping[str, Any]) -> Signature:
    """Decide batching of a signature whose shapes are as the artifact or the user states them."""
    row = options.get("signature") or {}
    if row.get("batched") is False:
        return replace(found, batched=False, max_batch=None)
    settled = infer_batching(found)
    if row.get("batched") is None and _crossed(settled):
        return replace(found, batched=False, max_batch=None)
    wanted = row.get("max_batch")
    if settled.batched and wanted is not None:
        limit = wanted if settled.max_batch is None else min(wanted, settled.max_batch)
        settled = replace(settled, max_batch=limit)
    return settled


def _crossed(signature: Signature) -> bool:
    """Whether axis 0 of an output has the name of another axis of an input: it is no batch then.

    Other names alone tell nothing: exporters invent one for each output.
    """
    rows = {s.symbols[0] for s in signature.inputs if s.symbols}
    others = {n for s in signature.inputs for n in s.symbols[1:] if n} - rows
    return any(s.symbols and s.symbols[0] in others for s in signature.outputs)


def reconcile(found: Signature, options: Mapping[str, Any], place: str) -> Signature:
    """Join what an artifact says with what is declared, then decide batching.

    Raises ``ModelFileError`` where the two contradict each other.
    """
    wanted = declared(options, place)
    if wanted is not None:
        found = replace(
            found,
            inputs=_side(found.inputs, wanted.inputs, "input", place),
            outputs=_side(found.outputs, wanted.outputs, "output", place),
        )
    return settle(found, options)


def _side(
    found: tuple[TensorSpec, ...], wanted: tuple[TensorSpec, ...], kind: str, place: str
) -> tuple[TensorSpec, ...]:
    if not wanted:
        return found
    mine = {s.name: s for s in found}
    theirs = {s.name: s for s in wanted}
    if mine.keys() != theirs.keys():
        raise ModelFileError(
            f"{place}: model.yaml declares the {kind}s {_names(wanted)}, and the file has "
            f"{_names(found)}"
        )
    return tuple(_joined(spec, theirs[spec.name], kind, place) for spec in found)


def _joined(spec: TensorSpec, wanted: TensorSpec, kind: str, place: str) -> TensorSpec:
    agree = len(spec.shape) == len(wanted.shape) and all(
        a == b or -1 in {a, b} for a, b in zip(spec.shape, wanted.shape, strict=True)
    )
    if spec.dtype is not wanted.dtype or not agree:
        raise ModelFileError(
            f"{place}: model.yaml declares the {kind} {wanted.name!r} as {wanted.dtype} "
            f"{list(wanted.shape)}, and the file says {spec.dtype} {list(spec.shape)}"
        )
    shape = tuple(max(a, b) for a, b in zip(spec.shape, wanted.shape, strict=True))
    return replace(
        spec, shape=shape, content=wanted.content, symbols=spec.symbols or wanted.symbols,
        default=wanted.default,
    )  # fmt: skip


def _names(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(s.name for s in specs) or "none"


def trial_inputs(signature: Signature, rows: int = 2, *, other: bool = False) -> Tensors:
    """Return made-up inputs for a trial run: ``rows`` rows where axis 0 is free.

    ``other``: of other values and lengths.
    """
    text, whole, real = (b"hi", 0, 0.25) if other else (b"hello world", 1, 0.5)
    out: Tensors = {}
    for spec in signature.inputs:
        shape = [(OTHER if other else FREE) if n < 0 else n for n in spec.shape]
        if spec.shape and spec.shape[0] == -1:
            shape[0] = rows
        if spec.dtype is BYTES:
            array = np.empty(shape, dtype=object)
            array[...] = text
        elif spec.dtype is BOOL or spec.dtype.numpy.kind in "iu":
            array = np.full(shape, whole, dtype=spec.dtype.numpy)
        else:
            array = np.full(shape, real, dtype=spec.dtype.numpy)
        out[spec.name] = array
    return out


def fix_ones(
    run: Callable[[Tensors], Tensors], found: Signature, ran: Tensors | None = None
) -> Signature:
    """Give the size 1 to free axes of outputs that no input explains and two trial runs show so.

    Exporters leave sizes out that are constant. Whether an answer is one value or a list must not
    hang on that, nor on what one request holds; so it is settled here, once. The axis of the batch
    and axes named like an input's stay free, and so does everything where a run fails. ``ran``: the
    outputs of the first run, where there was one.
    """
    named = {symbol for spec in found.inputs for symbol in spec.symbols if symbol}
    first = 1 if any(spec.shape[:1] == (-1,) for spec in found.inputs) else 0
    loose = [
        (spec.name, axis)
        for spec in found.outputs
        for axis, size in enumerate(spec.shape)
        if size < 0 and axis >= first and not (spec.symbols and spec.symbols[axis] in named)
    ]
    most = found.max_batch or 3
    ones = set(loose)
    try:
        for rows, other in ((2, False), (3, True)):
            if not ones:
                return found
            if other or ran is None:
                ran = run(trial_inputs(found, min(rows, most), other=other))
            ones = {pair for pair in ones if _size(ran, *pair) == 1}
    except Exception:  # foreign code on inputs it may rightly refuse
        return found

    def fixed(spec: TensorSpec) -> TensorSpec:
        shape = (1 if (spec.name, i) in ones else n for i, n in enumerate(spec.shape))
        return replace(spec, shape=tuple(shape))

    return replace(found, outputs=tuple(map(fixed, found.outputs)))


def _size(ran: Tensors, name: str, axis: int) -> int:
    array = ran.get(name)
    return array.shape[axis] if array is not None and axis < array.ndim else -1


def learn_outputs(
    run: Callable[[Tensors], Tensors], signature: Signature, place: str
) -> tuple[TensorSpec, ...]:
    """Learn names, datatypes and ranks of the outputs from one trial run on made-up inputs.

    Sizes are left free, for one run cannot tell a constant from a coincidence; but see
    ``fix_ones``. Raises ``ModelFileError`` asking for a declaration where the run fails.
    """
    inputs = trial_inputs(signature)
    given = ", ".join(f"{name} {list(array.shape)}" for name, array in inputs.items())
    try:
        outputs = run(inputs)
        learned = tuple(
            TensorSpec(name, dtype_of(array), (-1,) * array.ndim) for name, array in outputs.items()
        )
    except Exception as error:  # foreign code on inputs it may rightly refuse
        text = error.message if isinstance(error, InferdError) else str(error)
        raise ModelFileError(
            f"{place}: its outputs are not declared, and a trial run on made-up inputs failed: "
            f"{type(error).__name__}: {text[:300]} (the inputs were {given})",
            help=EXAMPLE,
        ) from error
    return fix_ones(run, replace(signature, outputs=learned), outputs).outputs
