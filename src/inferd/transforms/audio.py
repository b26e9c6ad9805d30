"""Sound before the model: ``decode_audio``, ``mono`` and ``resample``.

Each works on one example, because recordings differ in length. A file says itself how many samples a second
it has. Where a later step asks for that, ``decode_audio`` gives it beside the samples, as a tensor
``NAME.rate`` that no other step sees and that is gone before the model is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from inferd.core.errors import InvalidInput, MissingExtra
from inferd.core.tensor import BYTES, FP32, INT64, Tensors
from inferd.transforms.audiofile import (
    HIGHEST_RATE,
    LOWEST_RATE,
    MAGIC,
    Limits,
    load_soundfile,
    read,
)
from inferd.transforms.draft import BATCH as BATCH_AXIS
from inferd.transforms.draft import Axis, Draft, Flow, swap
from inferd.transforms.encoded import element, plain
from inferd.transforms.example import wav
from inferd.transforms.operation import (
    ITEM,
    PREPROCESS,
    Bound,
    Context,
    EachInput,
    Kernel,
    Operation,
    Transform,
    pick,
)
from inferd.transforms.parameter import POSITIVE, Args, Parameter, StepError

MAX_SECONDS = 3600
MAX_CHANNELS = 8
MAX_SAMPLES = 100_000_000
"""Over all channels: 400 MB while a recording is prepared, an hour of 16 kHz and more."""

RATE = ".rate"
"""What the name of the tensor ends in that tells a recording's rate."""


def sound(draft: Draft, axes: int) -> bool:
    """Return whether a tensor may be sound of so many axes, the batch included."""
    return draft.floating and (draft.axes is None or len(draft.axes) == axes)


def the_one(flow: Flow, args: Args, name: str | None, axes: int) -> str:
    """Return the name of the one tensor that may be sound; raises ``StepError``."""
    found = pick(flow, name, lambda draft: sound(draft, axes))
    if len(found) > 1:
        raise StepError(
            f"several tensors could be sound: {', '.join(found)}", help="name one with input:"
        )
    return found[0]


@dataclass(slots=True)
class Decode:
    """An encoded recording becomes FP32 [channels, samples]."""

    args: Args
    limits: Limits
    dry: bool
    given: str = ""
    result: str = ""
    tells: bool = False
    soundfile: Any = None

    def source(self, wanted: Flow) -> Flow:
        """One encoded recording instead of its samples, and of their rate."""
        self.result = the_one(wanted, self.args, self.args["output"] or self.args["input"], 3)
        self.given = self.args["input"] or self.result
        draft = wanted[self.result]
        if draft.axes is not None and len(draft.axes) != 3:
            raise StepError(
                f"gives [channels, samples], but an example of {draft.name!r} is {draft.text(1)}",
                help="put mono after it",
            )
        rate = self.result + RATE
        self.tells = rate in wanted
        if self.given != self.result and self.given in wanted:
            raise StepError(f"input: {self.given!r} is there already, under its own name")
        file = Draft(self.given, BYTES, (BATCH_AXIS,), "audio", sample=wav())
        return swap(wanted, (self.result, rate), {self.given: file})

    def bind(self, given: Flow) -> Bound:
        """Import the decoder now, so that a missing one is found when the model is loaded."""
        own = (self.given, 0)
        axes = (BATCH_AXIS, Axis(origin=own), Axis(origin=own))
        drafts = {self.result: Draft(self.result, FP32, axes, rate=0)}
        if self.tells:
            name = self.result + RATE
            drafts[name] = Draft(name, INT64, (BATCH_AXIS,), rate=0, of=self.result)
        self.soundfile = None if self.dry else load_soundfile("decode_audio")
        return Bound(swap(given, self.given, drafts), self._apply)

    def _apply(self, tensors: Tensors) -> None:
        data = plain(element(tensors.pop(self.given), "recording"), MAGIC)
        samples, rate = read(self.soundfile, data, self.limits)
        tensors[self.result] = samples
        if self.tells:
            tensors[self.result + RATE] = np.asarray(rate, np.int64)


@dataclass(slots=True)
class Mono:
    """The channels become one: their mean."""

    def fits(self, wanted: Draft) -> bool:
        """Fits what may be samples of one channel."""
        return sound(wanted, 2)

    def backward(self, wanted: Draft) -> Draft:
        """Any number of channels."""
        if wanted.axes is None:
            return wanted
        if len(wanted.axes) != 2:
            raise StepError(
                f"gives one row of samples, but an example of {wanted.name!r} is {wanted.text(1)}"
            )
        return replace(wanted, axes=(BATCH_AXIS, Axis(), wanted.axes[1]))

    def forward(self, given: Draft) -> Draft:
        """The samples stay."""
        if not sound(given, 3):
            raise StepError(
                f"needs [channels, samples], but {given.name!r} is {given.text(1)}",
                help="put decode_audio before it",
            )
        return replace(given, axes=(BATCH_AXIS, given.known[2]))

    def kernel(self, _given: Draft, _result: Draft) -> Kernel:
        """Average in the precision that there is."""

        def apply(x: np.ndarray) -> np.ndarray:
            if x.ndim != 2 or not x.shape[0]:
                raise InvalidInput(f"an array of shape {list(x.shape)} has no channels")
            one: np.ndarray = x[0] if x.shape[0] == 1 else x.mean(axis=0, dtype=x.dtype)
            return one

        return apply


@dataclass(slots=True)
class Resample:
    """Samples of one rate become samples of another; the last axis is time."""

    args: Args
    rate: int
    known: int | None
    dry: bool
    given: str = ""
    result: str = ""
    tells: bool = False
    soxr: Any = None

    def source(self, wanted: Flow) -> Flow:
        """Ask for the rate beside the samples, unless it is told."""
        name = self.args["output"] or self.args["input"]
        self.result = pick(wanted, name, lambda d: sound(d, 2) or sound(d, 3))[0]
        self.given = self.args["input"] or self.result
        self.tells = self.result + RATE in wanted
        draft = wanted[self.result]
        axes = None if draft.axes is None else (*draft.axes[:-1], Axis())
        drafts = {self.given: replace(draft, name=self.given, axes=axes)}
        if self.known is None:
            rate = self.given + RATE
            drafts[rate] = Draft(rate, INT64, (BATCH_AXIS,), of=self.given)
        return swap(wanted, (self.result, self.result + RATE), drafts)

    def bind(self, given: Flow) -> Bound:
        """Take the rate out again."""
        before, rate = given[self.given], self.given + RATE
        if not (sound(before, 2) or sound(before, 3)):
            raise StepError(f"needs samples, but {before.name!r} is {before.text(1)}")
        if self.known is None and given[rate].rate is None:
            raise StepError(
                "nothing tells the rate of the samples",
                help="put decode_audio before it, or give from:",
            )
        last = before.known[-1]
        axes = (*before.known[:-1], Axis(origin=last.origin))
        drafts = {self.result: replace(before, name=self.result, axes=axes, rate=self.rate)}
        if self.tells:
            name = self.result + RATE
            drafts[name] = Draft(name, INT64, (BATCH_AXIS,), rate=self.rate, of=self.result)
        self.soxr = None if self.dry else _load_soxr()
        return Bound(swap(given, (self.given, rate), drafts), self._apply)

    def _apply(self, tensors: Tensors) -> None:
        x = tensors.pop(self.given)
        rate = self.known or int(tensors.pop(self.given + RATE))
        tensors[self.result] = self._resampled(x, rate)
        if self.tells:
            tensors[self.result + RATE] = np.asarray(self.rate, np.int64)

    def _resampled(self, x: np.ndarray, rate: int) -> np.ndarray:
        if rate == self.rate or not x.size:
            return x
        if x.size * self.rate / rate > MAX_SAMPLES:
            raise InvalidInput(
                f"{x.size} samples would become over {MAX_SAMPLES}", help="send it in parts"
            )
        out = self.soxr.resample(x.T.astype(np.float32, copy=False), rate, self.rate)
        return np.ascontiguousarray(out.T).astype(x.dtype, copy=False)


def _load_soxr() -> Any:
    try:
        import soxr
    except ImportError:
        raise MissingExtra("soxr", "audio", what="resample") from None
    return soxr


def _decode(args: Args, context: Context) -> Operation:
    limits = Limits(args["max_seconds"], args["max_channels"], args["max_samples"])
    return Decode(args, limits, context.dry)


def _mono(args: Args, _context: Context) -> Operation:
    return EachInput(Mono(), args)


def _resample(args: Args, context: Context) -> Operation:
    for key in ("rate", "from"):
        if args[key] is not None and not LOWEST_RATE <= args[key] <= HIGHEST_RATE:
            raise StepError(f"{key}: must be from {LOWEST_RATE} to {HIGHEST_RATE}, not {args[key]}")
    return Resample(args, args["rate"], args["from"], context.dry)


TRANSFORMS = (
    Transform(
        "decode_audio", PREPROCESS, ITEM,
        "Decode a WAV, FLAC or Ogg (Vorbis, Opus) recording into FP32 [channels, samples] from -1 to 1. "
        "In JSON the recording is base64. Needs the extra `audio`.",
        _decode,
        "decode_audio: {max_seconds: 600}",
        "One encoded recording (BYTES, content `audio`) per example.",
        (
            Parameter("max_seconds", POSITIVE, "longer recordings are refused undecoded", MAX_SECONDS),
            Parameter("max_channels", POSITIVE, "so are those of more channels", MAX_CHANNELS),
            Parameter(
                "max_samples", POSITIVE, "and those of more samples over all channels", MAX_SAMPLES
            ),
        ),
        ("max_seconds",),
        heavy=True,
    ),
    Transform(
        "mono", PREPROCESS, ITEM,
        "Make one channel of several: their mean.",
        _mono,
        "mono",
        "The number of channels is free.",
    ),
    Transform(
        "resample", PREPROCESS, ITEM,
        "Give sound another number of samples a second, without aliasing. After `decode_audio` it knows the "
        "recording's own; elsewhere say `from`. Needs the extra `audio`.",
        _resample,
        "resample: 16000",
        "The number of samples is free.",
        (
            Parameter("rate", POSITIVE, "samples a second", required=True),
            Parameter("from", POSITIVE, "those that come in, where no decode_audio is before it"),
        ),
        ("rate",),
        heavy=True,
    ),
)  # fmt: skip
"""The rows of the registry kept in this file."""
