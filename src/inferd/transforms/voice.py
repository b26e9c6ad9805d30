"""``voice_activity``: where somebody speaks in a recording, and what to do with the rest.

Silero's network, an ONNX file beside the model, hears 32 ms at a time (512 samples, and the 64 before them) and
carries a state from one to the next. Two of its forms are read: the usual one, asked for each
frame, and that for whole sequences, asked for some hundred frames at once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from inferd.core.errors import InvalidInput
from inferd.core.tensor import FP32
from inferd.transforms.audio import sound
from inferd.transforms.draft import BATCH as BATCH_AXIS
from inferd.transforms.draft import Axis, Draft
from inferd.transforms.files import locate
from inferd.transforms.operation import (
    ITEM,
    PREPROCESS,
    Context,
    EachInput,
    Kernel,
    Operation,
    Transform,
)
from inferd.transforms.parameter import NUMBER, TEXT, Args, Parameter, StepError, choice

SAMPLES = 16_000
FRAME, BEFORE = 512, 64
FRAMES = 1000
"""Frames asked for at once, 32 s: what a long recording needs of memory stays the same."""

FALL = 0.15
"""Speech ends where its probability falls so far below the threshold at which it began."""

MAX_BYTES = 64 << 20
TIMING, SPEECH, SEGMENTS = "timing", "speech", "segments"
Span = tuple[int, int]


def probabilities(session: Any, x: np.ndarray) -> np.ndarray:
    """Return how likely somebody speaks in each frame of ``x`` [samples], from 0 to 1."""
    if not len(x):
        return np.empty(0, np.float32)
    count = -(-len(x) // FRAME)
    padded = np.zeros(BEFORE + count * FRAME, np.float32)
    padded[BEFORE : BEFORE + len(x)] = x
    views = np.lib.stride_tricks.sliding_window_view(padded, BEFORE + FRAME)[::FRAME]
    whole = {i.name for i in session.get_inputs()} == {"input", "h", "c"}
    return _by_sequence(session, views) if whole else _by_frame(session, views)


def _by_sequence(session: Any, frames: np.ndarray) -> np.ndarray:
    h = c = np.zeros((1, 1, 128), np.float32)
    found: list[np.ndarray] = []
    for begin in range(0, len(frames), FRAMES):
        part = np.ascontiguousarray(frames[begin : begin + FRAMES])
        chances, h, c = session.run(None, {"input": part, "h": h, "c": c})
        found.append(np.reshape(chances, -1))
    return np.concatenate(found)


def _by_frame(session: Any, frames: np.ndarray) -> np.ndarray:
    state, rate = np.zeros((2, 1, 128), np.float32), np.asarray(SAMPLES, np.int64)
    found = np.empty(len(frames), np.float32)
    for i, frame in enumerate(frames):
        chance, state = session.run(
            None, {"input": np.ascontiguousarray(frame[None]), "state": state, "sr": rate}
        )
        found[i] = np.reshape(chance, -1)[0]
    return found


def spans(
    chances: np.ndarray, length: int, *, threshold: float, speech: int, silence: int, padding: int
) -> list[Span]:
    """Return where somebody speaks, as (begin, end) in samples.

    Speech begins where its chance reaches ``threshold`` and ends where that stays below ``threshold - FALL``
    for ``silence`` samples. What is shorter than ``speech`` samples is no speech. ``padding`` samples are added
    on both sides; spans that then meet are one.
    """
    found: list[Span] = []
    begin: int | None = None
    quiet: int | None = None
    for i, chance in enumerate(chances.tolist()):
        at = i * FRAME
        if chance >= threshold:
            begin = at if begin is None else begin
            quiet = None
        elif begin is not None and (chance < threshold - FALL or quiet is not None):
            quiet = at if quiet is None else quiet
            if at + FRAME - quiet >= silence:
                found.append((begin, quiet))
                begin = quiet = None
    if begin is not None:
        found.append((begin, length if quiet is None else quiet))
    return _widened([s for s in found if s[1] - s[0] >= speech], length, padding)


def _widened(found: list[Span], length: int, padding: int) -> list[Span]:
    out: list[Span] = []
    for begin, end in found:
        begin, end = max(0, begin - padding), min(length, end + padding)
        if out and begin <= out[-1][1]:
            out[-1] = (out[-1][0], end)
        else:
            out.append((begin, end))
    return out


def kept(x: np.ndarray, found: list[Span], keep: str) -> np.ndarray:
    """Return what is left of a recording ``x`` [samples]: see the parameter ``keep``."""
    if keep == SEGMENTS:
        return (np.asarray(found, np.float32) / SAMPLES).reshape(-1, 2).astype(np.float32)
    if keep == SPEECH:
        return np.concatenate([x[b:e] for b, e in found]) if found else x[:0]
    out = np.zeros_like(x)
    for begin, end in found:
        out[begin:end] = x[begin:end]
    return out


@dataclass(slots=True)
class VoiceActivity:
    """Samples without what nobody speaks in, or the times at which somebody does."""

    args: Args
    session: Any = None

    @property
    def _axes(self) -> int:
        return 3 if self.args["keep"] == SEGMENTS else 2

    def fits(self, wanted: Draft) -> bool:
        """Fits what may be samples, or [segments, 2]."""
        return sound(wanted, self._axes)

    def backward(self, wanted: Draft) -> Draft:
        """One row of samples."""
        if wanted.axes is not None and len(wanted.axes) != self._axes:
            gives = "[segments, 2]" if self.args["keep"] == SEGMENTS else "one row of samples"
            raise StepError(f"gives {gives}, but an example of {wanted.name!r} is {wanted.text(1)}")
        return replace(wanted, dtype=FP32, axes=(BATCH_AXIS, Axis(hint=SAMPLES)), loose=False)

    def forward(self, given: Draft) -> Draft:
        """How much is left follows from what is said."""
        if not sound(given, 2):
            raise StepError(
                f"needs one row of samples, but {given.name!r} is {given.text(1)}",
                help="put mono before it",
            )
        if given.rate not in (None, SAMPLES):
            raise StepError(
                f"takes {SAMPLES} samples a second", help=f"put resample: {SAMPLES} before it"
            )
        last = given.known[1]
        if self.args["keep"] == TIMING:
            return replace(given, dtype=FP32)
        own = Axis(origin=(last.origin[0], 0) if last.origin else None)
        if self.args["keep"] == SPEECH:
            return replace(given, dtype=FP32, axes=(BATCH_AXIS, own))
        return replace(given, dtype=FP32, axes=(BATCH_AXIS, own, Axis(2)), rate=None)

    def kernel(self, _given: Draft, _result: Draft) -> Kernel:
        """Ask the network, and keep what is asked for."""
        args = self.args

        def apply(x: np.ndarray) -> np.ndarray:
            if x.ndim != 1 or not np.isfinite(x).all():
                raise InvalidInput("what comes in is no row of samples")
            x = x.astype(np.float32, copy=False)
            found = spans(
                probabilities(self.session, x), len(x), threshold=args["threshold"],
                speech=_samples(args["min_speech"]), silence=_samples(args["min_silence"]),
                padding=_samples(args["padding"]),
            )  # fmt: skip
            return kept(x, found, args["keep"])

        return apply


def _samples(milliseconds: float) -> int:
    return int(milliseconds * SAMPLES / 1000)


def load_network(path: Path, name: str) -> Any:
    """Return an ONNX Runtime session of one thread; raises ``StepError`` where it is no such network."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read while the library is imported
    import onnxruntime as ort

    if path.stat().st_size > MAX_BYTES:
        raise StepError(f"file: {name!r} is over {MAX_BYTES} bytes")
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # the library's own types, all of them Exception
        raise StepError(f"file: {name!r} is no ONNX file: {str(error)[:200]}") from None
    if {i.name for i in session.get_inputs()} not in (
        {"input", "h", "c"},
        {"input", "state", "sr"},
    ):
        raise StepError(
            f"file: {name!r} is no network of Silero's",
            help="take silero_vad.onnx, or silero_vad_16k_sequence.onnx, of the package silero-vad 6",
        )
    return session


def _voice_activity(args: Args, context: Context) -> Operation:
    if not FALL < args["threshold"] < 1:
        raise StepError(f"threshold: must be over {FALL} and below 1, not {args['threshold']}")
    for key in ("min_speech", "min_silence", "padding"):
        if not 0 <= args[key] <= 60_000:
            raise StepError(f"{key}: must be from 0 to 60000 ms, not {args[key]}")
    session = None
    if not context.dry:
        session = load_network(locate(context.directory, args["file"], "file"), args["file"])
    return EachInput(VoiceActivity(args, session), args)


TRANSFORMS = (
    Transform(
        "voice_activity", PREPROCESS, ITEM,
        "Find where somebody speaks, with Silero's network, and keep only that. Takes 16,000 samples a second.",
        _voice_activity,
        "voice_activity: {file: silero_vad.onnx, padding: 200}",
        "One row of samples of any length.",
        (
            Parameter("file", TEXT, "the network, beside the model", "silero_vad.onnx"),
            Parameter(
                "keep", choice(TIMING, SPEECH, SEGMENTS),
                "`timing`: the rest becomes silence, so that times stay true; `speech`: the rest is left out; "
                "`segments`: FP32 [segments, 2], where speech begins and ends, in seconds", TIMING,
            ),
            Parameter("threshold", NUMBER, "how likely speech must be", 0.5),
            Parameter("min_speech", NUMBER, "ms; what is shorter is no speech", 250),
            Parameter("min_silence", NUMBER, "ms; a shorter pause does not part speech", 300),
            Parameter("padding", NUMBER, "ms that are kept before and after", 200),
        ),
        ("file",),
        heavy=True,
    ),
)  # fmt: skip
"""The rows of the registry kept in this file."""
