"""Drafts: what is known of a tensor at one point of a chain while the chain is compiled.

A chain is compiled in two walks over drafts. Backwards, from the model's inputs to the client:
each step says what it must be given so that what is wanted comes out; what remains is the external
signature. Then forwards: each step says what it really gives, which must be what the model takes.

Axis 0 of a draft is always the batch. An unbatched signature is lifted: its tensors get a batch
axis that no one outside the chain ever sees, so that every step has one rule for axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BOOL, BYTES, FP16, FP32, FP64, DType

FLOATS = (FP16, FP32, FP64)
TOKENS = "<tokens>"
"""Stands in the place of a symbol for an axis whose size is a number of tokens."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: size (-1 free), the artifact's symbol, and where the size comes from.

    ``origin``: the (external input, axis) whose size this is; axis 0 of an origin stands for the
    payload of a BYTES input that decides the size. ``pad``: number of the pad unit that fills it.
    ``hint``: a size that works, for an example.
    """

    size: int = -1
    symbol: str | None = None
    origin: tuple[str, int] | None = None
    pad: int | None = None
    hint: int | None = None


BATCH = Axis()


@dataclass(frozen=True, slots=True)
class Draft:
    """One tensor at one point of the chain.

    ``axes``: ``None`` where a backward walk cannot know them. ``loose``: backwards, any number
    type will do and ``dtype`` is only the one to prefer. ``classes``: for class numbers, how many
    there are (-1: not known); ``scores``: the tensor that holds their scores, ranked along ``along``.
    ``sample``: an element the steps can work on, for an example. ``rate``: for sound, samples a second; 0 where
    each recording has its own. ``of``: the tensor of which this one only tells something, so that
    steps which are not asked to leave it alone.
    """

    name: str
    dtype: DType
    axes: tuple[Axis, ...] | None
    content: str | None = None
    loose: bool = False
    classes: int | None = None
    scores: str | None = None
    along: int | None = None
    sample: bytes | float | None = None
    rate: int | None = None
    of: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes, batch first; only where they are known."""
        return tuple(a.size for a in self.known)

    @property
    def known(self) -> tuple[Axis, ...]:
        """The axes, where they must be known by now."""
        if self.axes is None:
            raise AssertionError(f"axes of {self.name!r} are not known yet. This is a bug.")
        return self.axes

    @property
    def number(self) -> bool:
        """Whether the elements are numbers (BOOL and BYTES are not)."""
        return self.dtype is not BYTES and self.dtype is not BOOL

    @property
    def floating(self) -> bool:
        """Whether the elements are floating-point numbers."""
        return self.dtype in FLOATS

    @property
    def integer(self) -> bool:
        """Whether the elements are whole numbers."""
        return self.number and not self.floating

    def text(self, offset: int = 0) -> str:
        """Return dtype and shape as a person reads them, without the first ``offset`` axes."""
        sizes = "..." if self.axes is None else ", ".join(map(str, self.shape[offset:]))
        return f"{self.dtype.name} [{sizes}]"


Flow = dict[str, Draft]


def swap(flow: Flow, gone: str | tuple[str, ...], new: Mapping[str, Draft]) -> Flow:
    """Return ``flow`` with ``new`` in the place of the first of ``gone``; order is kept."""
    names = (gone,) if isinstance(gone, str) else gone
    out: Flow = {}
    placed = False
    for name, draft in flow.items():
        if name not in names:
            out[name] = draft
        elif not placed:
            out.update(new)
            placed = True
    return out


def lift(signature: Signature, specs: tuple[TensorSpec, ...]) -> Flow:
    """Return the drafts of a model's inputs or outputs, with a batch axis in any case."""
    flow: Flow = {}
    for spec in specs:
        symbols = spec.symbols or (None,) * len(spec.shape)
        axes = tuple(Axis(n, s) for n, s in zip(spec.shape, symbols, strict=True))
        if not signature.batched:
            axes = (BATCH, *axes)
        flow[spec.name] = Draft(spec.name, spec.dtype, axes, spec.content)
    return flow


def lower(signature: Signature, flow: Flow) -> tuple[TensorSpec, ...]:
    """Return external specs of drafts: the reverse of ``lift``."""
    skip = 0 if signature.batched else 1
    specs = []
    for name, draft in flow.items():
        axes = draft.known[skip:]
        symbols = tuple(a.symbol for a in axes) if any(a.symbol for a in axes) else ()
        shape = tuple(a.size for a in axes)
        specs.append(TensorSpec(name, draft.dtype, shape, symbols, draft.content))
    return tuple(specs)


def trace(flow: Flow) -> Flow:
    """Return ``flow`` with every free axis but the batch marked as the client's own."""

    def marked(name: str, draft: Draft) -> Draft:
        axes = [
            replace(axis, origin=(name, i)) if i and axis.size < 0 else axis
            for i, axis in enumerate(draft.known)
        ]
        return replace(draft, axes=tuple(axes), loose=False)

    return {name: marked(name, draft) for name, draft in flow.items()}
