"""Proving a loaded program: its golden requests are answered, and as its signature says.

The run that warms a model up is the first to show whether what was declared is true. A made-up input
may rightly be refused, and the message then says that it was made up. An output that is not what
``model.yaml`` or the class declares ends the load; where only the artifact itself says otherwise than
it does (ONNX files may), its own answer counts.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from inferd.core.errors import InferdError, ModelFileError
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import Tensors, dtype_of, is_uneven
from inferd.execution.blocks import Block
from inferd.execution.origin import Origin
from inferd.execution.program import Program


@dataclass(frozen=True, slots=True)
class Seen:
    """One run of the runtime: what it was given and what it answered."""

    inputs: Tensors
    outputs: Tensors


def prove(
    program: Program, golden: Sequence[Tensors], signature: Signature, origin: Origin, warmup: str | None
) -> tuple[Tensors, Signature]:  # fmt: skip
    """Run every golden request once through the whole program.

    ``signature``: the model's own. ``warmup``: the file the requests are from; ``None``: made up.
    Returns what the runtime was given first, and the signature with outputs as they are. Raises
    ``ModelFileError`` naming model and file, the output and where it is declared.
    """
    first: Tensors | None = None
    for number, inputs in enumerate(golden, 1):
        seen, answer, error = _observed(program, inputs)
        for run in seen:
            signature = _checked(program, run, signature, origin)
        if error is not None:
            raise _refused(error, inputs, number, origin, warmup) from error.__cause__
        if _finishes(program):
            signature = _agreed(program, answer, signature, origin)
        first = seen[0].inputs if first is None else first
    assert first is not None, "a program is proven on one request at least. This is a bug."
    return first, signature


def _observed(program: Program, request: Tensors) -> tuple[list[Seen], Tensors, InferdError | None]:
    """Run one request; return what the runtime saw, the answer, and the error if there is none."""
    seen: list[Seen] = []
    run = program.runtime.run

    def spy(inputs: Tensors) -> Tensors:
        kept = {k: np.array(a) for k, a in inputs.items()}
        outputs = run(inputs)
        seen.append(Seen(kept, outputs))
        return outputs

    program.runtime.run = spy  # type: ignore[method-assign]
    try:
        outcome = program.run([Block(1, request)], [inf], 0)
    finally:
        del program.runtime.run
    answer = outcome.blocks[0].tensors if outcome.blocks else {}
    return seen, answer, outcome.errors.get(0)


def _finishes(program: Program) -> bool:
    """Whether a verb of the class makes the outputs out of what the runtime answers."""
    return getattr(program.runtime, "postprocess", None) is not None


def _checked(program: Program, run: Seen, signature: Signature, origin: Origin) -> Signature:
    """Hold one answer of the runtime against its signature."""
    if not _finishes(program):
        signature = _agreed(program, run.outputs, signature, origin)
    if signature.batched:
        _check_batch(run, signature, origin)
    return signature


def _agreed(
    program: Program, outputs: Tensors, signature: Signature, origin: Origin
) -> Signature:  # fmt: skip
    """Return the signature with what nobody declared, and is not so, put right."""
    learned = getattr(program.runtime, "learned", False)
    specs = []
    for spec in signature.outputs:
        array = outputs.get(spec.name)
        place = None if learned else origin.output(spec.name)
        said = unlike(spec, array, "expected" if place is None else "declared")
        if said and (place is not None or array is None):
            raise ModelFileError(
                f"{origin}: output {spec.name!r} {said} (declared in {place or 'the file'})",
                help=_fix(spec, array, place, batched=signature.batched),
            )
        if said and array is not None:
            print(f"{origin}: output {spec.name!r} {said}; the answer counts", file=sys.stderr)
            spec = _as_answered(spec, array)
        specs.append(spec)
    return replace(signature, outputs=tuple(specs))


def unlike(spec: TensorSpec, array: np.ndarray | None, how: str = "declared") -> str:
    """Say how an answer differs from what is ``how`` of it; empty where it does not."""
    if array is None:
        return f"is {how}, and the model answered none of that name"
    if is_uneven(array):
        return ""  # rows of unequal shapes: the chain takes them apart
    shapes = list(spec.shape), list(array.shape)
    if len(array.shape) != len(spec.shape) or any(
        want not in {-1, n} for want, n in zip(*shapes, strict=True)
    ):
        return f"is {how} with shape {shapes[0]}, the model answered shape {shapes[1]}"
    if _named(array) != spec.dtype.name:
        return f"is {how} as {spec.dtype}, the model answered {_named(array)}"
    return ""


def _named(array: np.ndarray) -> str:
    try:
        return dtype_of(array).name
    except InferdError:
        return str(array.dtype)


def _as_answered(spec: TensorSpec, array: np.ndarray) -> TensorSpec:
    """Free what the answer shows to vary; keep what it confirms."""
    shape = tuple(array.shape)
    if len(shape) != len(spec.shape):
        return TensorSpec(spec.name, dtype_of(array), (-1,) * len(shape), (), spec.content)
    free = tuple(want if want == n else -1 for want, n in zip(spec.shape, shape, strict=True))
    return replace(spec, dtype=dtype_of(array), shape=free)


def _fix(spec: TensorSpec, array: np.ndarray | None, place: str | None, *, batched: bool) -> str:
    if array is None or (batched and not array.ndim):
        return "answer every output that is declared, one row for each row of the batch"
    sizes = list(array.shape)
    if len(sizes) == len(spec.shape):
        sizes = [-1 if want < 0 else n for want, n in zip(spec.shape, sizes, strict=True)]
    elif batched:
        sizes[0] = -1
    kind = "bytes" if array.dtype.kind in "SUO" else array.dtype.name
    if "model.yaml" not in (place or ""):
        return f'if the model is right, declare it as "{spec.name}": ("{kind}", {sizes})'
    what = f"{{name: {spec.name}, dtype: {kind}, shape: {sizes}}}"
    return f"if the model is right, write into signature.outputs: {what}"


def _check_batch(run: Seen, signature: Signature, origin: Origin) -> None:
    """Refuse a model that gives another number of rows than it takes: its axis 0 is no batch."""
    rows = next((a.shape[0] for a in run.inputs.values() if a.ndim), None)
    for name, array in run.outputs.items():
        if array.ndim and array.shape[0] == rows:
            continue
        count = "1 row" if rows == 1 else f"{rows} rows"
        raise ModelFileError(
            f"{origin}: axis 0 is taken for the batch{_symbols(name, signature)}, and {count} of"
            f" {_shapes(run.inputs)} gave {_shapes({name: array})}",
            help="where axis 0 of inputs and outputs is no common batch, write into model.yaml: "
            "signature: {batched: false}",
        )


def _symbols(name: str, signature: Signature) -> str:
    """Return what the artifact calls axis 0 of the inputs and of an output, where it differs."""
    output = signature.output(name)
    theirs = output.symbols[0] if output is not None and output.symbols else None
    mine = [s.symbols[0] for s in signature.inputs if s.symbols and s.symbols[0]]
    if theirs is None or not mine or theirs in mine:
        return ""
    return f" (the file calls it {mine[0]!r} in the input, {theirs!r} in {name!r})"


def _refused(
    error: InferdError, inputs: Tensors, number: int, origin: Origin, warmup: str | None
) -> ModelFileError:
    if warmup is not None:
        return ModelFileError(
            f"{origin}: golden request {number} of {warmup} was refused: {error.message}",
            help=error.help or "correct the sample, or what the model does with it",
        )
    declared = origin.inputs()
    source = f", from the signature at {declared}," if declared else ""
    ways = ["give samples the model accepts: `warmup: samples.json` in model.yaml"]
    if declared:
        ways.append(f"correct {declared}, if the model takes other shapes")
    return ModelFileError(
        f"{origin}: a made-up input ({_shapes(inputs)}){source} was refused: {error.message}",
        help="; or ".join([*([error.help] if error.help else []), *ways]),
    )


def _shapes(tensors: Mapping[str, np.ndarray]) -> str:
    return ", ".join(f"{name} {list(array.shape)}" for name, array in list(tensors.items())[:6])
