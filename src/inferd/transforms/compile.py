"""Compiling a chain: declared steps and a model's signature become functions and an external one.

1. Build every step from its parameters; unknown names and wrong values end here.
2. Walk backwards from the model's inputs: what remains is what clients send.
3. Walk forwards: what really comes out must be what the model takes. Sizes carry where they come
   from, which tells what must agree for requests to share a batch.
4. Sort the steps before the model into stages: ``item`` (one example at a time, up to the last
   step of that scope), ``block`` (up to ``pad``, on rows of one shape), ``batch`` (the rest).
5. Walk on over the outputs. Steps that must not see padding, or give rows of unequal shapes, mark
   the point from which rows are handled singly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from inferd.core.defaults import default_of
from inferd.core.errors import ConfigError, InvalidInput, MissingExtra, from_kind, nearest
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.step import Step
from inferd.transforms.chain import Chain, NamedApply, OutputStage
from inferd.transforms.collate import Collator
from inferd.transforms.draft import TOKENS, Draft, Flow, lift, lower, trace
from inferd.transforms.operation import (
    ITEM,
    POSTPROCESS,
    PREPROCESS,
    Bound,
    Context,
    Operation,
    Transform,
)
from inferd.transforms.pad import Pad, PadUnit
from inferd.transforms.parameter import StepError, parse_parameters
from inferd.transforms.registry import TRANSFORMS, of_phase


def compile_chain(
    signature: Signature, preprocess: Sequence[Step], postprocess: Sequence[Step], directory: Path,
    *, dry: bool = False,
) -> Chain:  # fmt: skip
    """Compile the steps around a model.

    ``directory``: where labels and tokenizers lie. ``dry``: only the external signature is of use, and no
    library is imported. Raises ``ConfigError`` naming file, line and
    step for everything that is wrong with a step or does not fit the model, and ``MissingExtra``
    where a step needs a library that is not installed.
    """
    context = Context(directory, 0 if signature.batched else 1, dry)
    before = [_built(step, PREPROCESS, i, context) for i, step in enumerate(preprocess)]
    after = [_built(step, POSTPROCESS, i, context) for i, step in enumerate(postprocess)]
    last_item, pads = _order(before)
    model = lift(signature, signature.inputs)
    external = _backwards(before, model)
    inputs = _forwards(before, trace(external), last_item, pads)
    inputs.fixed = _agree(before, inputs.flow, model, context)
    outputs = _Outputs(signature, [p for p in before if isinstance(p.operation, Pad)])
    stage = outputs.walk(after)
    skip = context.offset
    seen = replace(
        signature,
        inputs=_with_defaults(signature, lower(signature, external)),
        outputs=lower(signature, outputs.flow),
        max_batch=inputs.max_batch(signature) if signature.batched else None,
    )
    plan = BatchPlan(
        batched=signature.batched,
        max_batch=seen.max_batch if signature.batched else 1,
        key_axes=() if skip else inputs.key_axes,
        length=None if skip else inputs.length,
        split=signature.batched
        and (signature.ragged or outputs.ragged or inputs.split(cut=bool(stage.cuts))),
    )
    return Chain(
        seen,
        plan,
        lifted=not signature.batched,
        item=tuple(inputs.item),
        item_specs=inputs.prepared if inputs.item else {},
        collator=Collator(tuple(a.run for a in inputs.block), inputs.units),
        batch=tuple(inputs.batch),
        fixed=inputs.fixed,
        order=tuple(model),
        outputs=stage,
        seen=external,
    )


def _with_defaults(signature: Signature, inputs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """Return what clients send with the defaults that are declared: values of theirs, by name.

    Raises ``ConfigError`` for one that clients cannot send.
    """
    declared = {s.name: s.default for s in signature.inputs if s.default is not None}
    names = [spec.name for spec in inputs]
    for name in declared:
        if name not in names:
            raise ConfigError(
                f"signature: the input {name!r} has a default, and requests bring {', '.join(names)}",
                help="a default is for an input that requests bring",
            )
    found = tuple(replace(s, default=declared.get(s.name)) for s in inputs)
    for spec in found:
        try:
            default_of(spec, batched=signature.batched)
        except InvalidInput as error:
            raise ConfigError(f"signature: {error.message}", help=error.help) from None
    return found


@dataclass(slots=True)
class _Placed:
    """One declared step with its row of the registry and what was built of it."""

    step: Step
    place: str
    transform: Transform
    operation: Operation

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Give ``StepError`` its file, line and name."""
        with _located(self.step, self.place):
            yield


@contextmanager
def _located(step: Step, place: str) -> Iterator[None]:
    where = f"{step.where}: " if step.where else ""
    try:
        yield
    except MissingExtra as error:
        raise from_kind(error.kind, f"{where}{place}: {error.message}", error.help) from None
    except StepError as error:
        raise ConfigError(f"{where}{place}.{step.name}: {error.message}", help=error.help) from None


def _built(step: Step, phase: str, number: int, context: Context) -> _Placed:
    place = f"{phase}[{number}]"
    with _located(step, place):
        transform = TRANSFORMS.get(step.name)
        if transform is None:
            names = [t.name for t in of_phase(phase)]
            raise StepError("unknown step", help=nearest(step.name, names))
        if transform.phase != phase:
            raise StepError(f"stands in the wrong list; move it to {transform.phase}:")
        args = parse_parameters(step, transform.parameters, transform.short)
        return _Placed(step, place, transform, transform.build(args, context))


def _backwards(placed: list[_Placed], model: Flow) -> Flow:
    flow = model
    for one in reversed(placed):
        with one.errors():
            flow = one.operation.source(flow)
    for name, draft in flow.items():
        if draft.axes is None:
            first = placed[0]
            raise ConfigError(
                f"{first.step.where}: {PREPROCESS}: the shape clients send as {name!r} is not told",
                help="give reshape the shape that comes in: from: [-1, ...]",
            )
    return flow


@dataclass(slots=True)
class _Inputs:
    """What the forward walk over the steps before the model finds."""

    flow: Flow = field(default_factory=dict)
    item: list[NamedApply] = field(default_factory=list)
    block: list[NamedApply] = field(default_factory=list)
    batch: list[NamedApply] = field(default_factory=list)
    units: tuple[PadUnit, ...] = ()
    prepared: Flow = field(default_factory=dict)
    collated: Flow = field(default_factory=dict)
    fixed: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def _loose(self) -> Iterator[tuple[str, int, Draft]]:
        """Yield (tensor, axis, draft) free where rows are collated and not padded."""
        filled = {(name, u.axis) for u in self.units for name in u.values}
        for name, draft in self.collated.items():
            for i, axis in enumerate(draft.known):
                if i and axis.size < 0 and (name, i) not in filled:
                    yield name, i, draft

    @property
    def key_axes(self) -> tuple[tuple[str, int], ...]:
        """The client's axes that must agree within a batch."""
        origins = [draft.known[i].origin for _, i, draft in self._loose()]
        return tuple(dict.fromkeys(o for o in origins if o is not None and o[1] > 0))

    def max_batch(self, signature: Signature) -> int | None:
        """One at a time where sizes that nobody can foresee would have to agree."""
        return 1 if self._unforeseen() else signature.max_batch

    def _unforeseen(self) -> bool:
        """Say whether sizes must agree that follow from no axis of a request."""
        origins = [draft.known[i].origin for _, i, draft in self._loose()]
        return any(origin is None or origin[1] == 0 for origin in origins)

    @property
    def length(self) -> tuple[str, int] | None:
        """The client's axis (or BYTES input) that the first pad unit fills."""
        for unit in self.units:
            for name in unit.values:
                origin = self.collated[name].known[unit.axis].origin
                if origin is not None:
                    return origin
        return None

    def split(self, *, cut: bool) -> bool:
        """Say whether rows of one request may be of unequal shapes."""
        origins = [self.collated[n].known[u.axis].origin for u in self.units for n in u.values]
        uneven = any(origin is None or origin[1] == 0 for origin in origins)
        return (uneven and cut) or self._unforeseen()


def _forwards(placed: list[_Placed], external: Flow, last_item: int, pads: list[int]) -> _Inputs:
    out = _Inputs()
    meet = pads[0] if pads else last_item + 1
    flow = external
    for i, one in enumerate(placed):
        if i == last_item + 1:
            out.prepared = flow
        if i == meet:
            out.collated = flow
        with one.errors():
            bound: Bound = one.operation.bind(flow)
        flow = bound.flow
        if isinstance(one.operation, Pad):
            out.units += tuple(one.operation.units)
        if bound.apply is None:
            continue
        named = NamedApply(one.step.name, bound.apply, whole=one.transform.scope != ITEM)
        stage = out.item if i <= last_item else out.block if pads and i < pads[0] else out.batch
        stage.append(named)
    if last_item == len(placed) - 1:
        out.prepared = flow
    if meet == len(placed):
        out.collated = flow
    _check_units(placed, out.units, pads)
    out.flow = flow
    return out


def _order(placed: list[_Placed]) -> tuple[int, list[int]]:
    """Return the numbers of the last item step (-1: none) and of the pad steps, if in order."""
    items = [i for i, one in enumerate(placed) if one.transform.scope == ITEM]
    pads = [i for i, one in enumerate(placed) if isinstance(one.operation, Pad)]
    last_item = items[-1] if items else -1
    if pads and last_item > pads[0]:
        late = placed[last_item]
        with late.errors():
            raise StepError(
                "works on one example and cannot stand after pad", help="move pad behind it"
            )
    if pads and pads[-1] - pads[0] != len(pads) - 1:
        with placed[pads[-1]].errors():
            raise StepError("pad steps must follow each other", help="move them together")
    return last_item, pads


def _check_units(placed: list[_Placed], units: tuple[PadUnit, ...], pads: list[int]) -> None:
    seen: set[tuple[str, int]] = set()
    made: set[str] = set()
    for unit in units:
        both = {(name, unit.axis) for name in unit.values}
        hidden = {pair[0] for pair in (unit.mask, unit.lengths) if pair}
        if both & seen or hidden & made:
            name = next(iter({n for n, _ in both & seen} | (hidden & made)))
            with placed[pads[-1]].errors():
                raise StepError(f"{name!r} is padded twice", help="name each input with input:")
        seen |= both
        made |= hidden


def _agree(
    placed: list[_Placed], flow: Flow, model: Flow, context: Context
) -> dict[str, tuple[int, ...]]:
    """Compare what comes out with what the model takes; return shapes only a run can check."""
    unsure: dict[str, tuple[int, ...]] = {}
    for name, wanted in model.items():
        given = flow.get(name)
        if given is None:
            raise _mismatch(placed, f"nothing gives the model's input {name!r}")
        skip = context.offset
        both = f"{name!r} is {given.text(skip)} but the model takes {wanted.text(skip)}"
        if given.dtype is not wanted.dtype:
            fix = f"add cast: {wanted.dtype.numpy.name}"
            raise _mismatch(placed, both, None if given.dtype.itemsize == 0 else fix)
        if len(given.shape) != len(wanted.shape):
            raise _mismatch(placed, both, "add reshape or layout")
        for have, need in zip(given.known[1:], wanted.shape[1:], strict=True):
            if have.size >= 0 and need >= 0 and have.size != need:
                raise _mismatch(placed, both)
            if have.size < 0 <= need and have.symbol == TOKENS:
                raise _mismatch(placed, both, f"add pad: {{axis: {1 - skip}, to: {need}}}")
            if have.size < 0 <= need:
                unsure[name] = wanted.shape[1:]
    return unsure


def _mismatch(placed: list[_Placed], message: str, fix: str | None = None) -> ConfigError:
    where = f"{placed[-1].step.where}: " if placed and placed[-1].step.where else ""
    return ConfigError(f"{where}{PREPROCESS}: after the last step {message}", help=fix)


class _Outputs:
    """The walk over the steps after the model."""

    def __init__(self, signature: Signature, pads: list[_Placed]) -> None:
        self.signature = signature
        self.pads = pads
        self.flow: Flow = {}
        self.ragged = False

    def walk(self, placed: list[_Placed]) -> OutputStage:
        """Bind every step; find where rows part."""
        self.flow = self._following(lift(self.signature, self.signature.outputs))
        steps: list[NamedApply] = []
        cut_at: int | None = None
        cuts: dict[str, tuple[tuple[int, int], ...]] = {}
        for one in placed:
            with one.errors():
                bound = one.operation.bind(self.flow)
            meets = any(self.flow[n].known[a].pad is not None for n, a in bound.touches)
            if cut_at is None and (meets or bound.ragged):
                cut_at, cuts = len(steps), _cuts(self.flow)
                self.flow = _opened(self.flow)
                with one.errors():
                    bound = one.operation.bind(self.flow)
            self.ragged |= bound.ragged
            self.flow = bound.flow
            if bound.apply is not None:
                steps.append(NamedApply(one.step.name, bound.apply, ragged=bound.ragged))
        if cut_at is None:
            cut_at, cuts = len(steps), _cuts(self.flow)
            self.flow = _opened(self.flow)
        return OutputStage(tuple(steps), cut_at, cuts)

    def _following(self, flow: Flow) -> Flow:
        """Mark the axes of outputs that follow a padded axis."""
        number = 0
        for one in self.pads:
            for unit in one.operation.units if isinstance(one.operation, Pad) else ():
                with one.errors():
                    flow = _followed(flow, unit, number)
                number += 1
        return flow


def _followed(flow: Flow, unit: PadUnit, number: int) -> Flow:
    if unit.unpad is False:
        return flow
    listed = tuple(flow) if unit.unpad is True else unit.unpad
    for name in () if unit.unpad is True else listed:
        _check_unpad(flow, name, unit)
    out: Flow = {}
    for name, draft in flow.items():
        axes = list(draft.known)
        for i, axis in enumerate(axes):
            same = unit.symbol is not None and axis.symbol == unit.symbol
            at = name in listed and i == unit.axis and axis.size in (-1, unit.to)
            if i and (same or at) and axis.pad is None:
                axes[i] = replace(axis, pad=number)
        out[name] = replace(draft, axes=tuple(axes))
    return out


def _check_unpad(flow: Flow, name: str, unit: PadUnit) -> None:
    if name not in flow:
        raise StepError(f"unpad: the model has no output {name!r}", help=nearest(name, flow))
    shape = flow[name].shape
    if unit.axis >= len(shape) or shape[unit.axis] not in (-1, unit.to):
        raise StepError(
            f"unpad: {name!r} is {flow[name].text()}, which has no free axis {unit.axis} to cut"
        )


def _cuts(flow: Flow) -> dict[str, tuple[tuple[int, int], ...]]:
    found = {
        name: tuple((i, a.pad) for i, a in enumerate(draft.known) if a.pad is not None)
        for name, draft in flow.items()
    }
    return {name: axes for name, axes in found.items() if axes}


def _opened(flow: Flow) -> Flow:
    """Free the sizes that rows are cut back to."""

    def opened(draft: Draft) -> Draft:
        axes = [replace(a, size=-1, pad=None) if a.pad is not None else a for a in draft.known]
        return replace(draft, axes=tuple(axes))

    return {name: opened(draft) for name, draft in flow.items()}
