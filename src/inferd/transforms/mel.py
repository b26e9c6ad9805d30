"""``log_mel``: sound before the model as the loudness of bands of pitch over time.

The steps are those of every speech recogniser: windows of ``n_fft`` samples every ``hop``, their power spectrum,
bands that lie evenly on the mel scale, a logarithm. The defaults are Whisper's.

Sources: the mel scale of Slaney's Auditory Toolbox and that of HTK; Whisper's range of 8 below the
loudest value, in powers of ten, brought to about -1 to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from inferd.core.errors import InvalidInput
from inferd.core.tensor import FP32
from inferd.transforms.audio import sound
from inferd.transforms.draft import BATCH as BATCH_AXIS
from inferd.transforms.draft import Axis, Draft
from inferd.transforms.operation import ITEM, PREPROCESS, Context, EachInput, Operation, Transform
from inferd.transforms.operation import Kernel as Function
from inferd.transforms.parameter import FLAG, NUMBER, POSITIVE, Args, Parameter, StepError, choice

BLOCK = 3000
"""Frames whose spectrum is held at once: 30 s at the defaults."""

LOGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "log10": np.log10,
    "ln": np.log,
    "db": lambda power: np.float32(10) * np.log10(power),
}
WHISPER = "whisper"
"""The normalisation of that name; its recipe also leaves out the last frame."""

_LINEAR_HZ = 200 / 3
_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0
_STEP = np.log(6.4) / 27


def to_mel(hertz: np.ndarray, scale: str) -> np.ndarray:
    """Return pitches on the mel scale: ``htk``, or ``slaney`` (linear below 1 kHz)."""
    if scale == "htk":
        return 2595 * np.log10(1 + hertz / 700)
    high = _BREAK_MEL + np.log(np.maximum(hertz, 1e-9) / _BREAK_HZ) / _STEP
    return np.where(hertz < _BREAK_HZ, hertz / _LINEAR_HZ, high)


def to_hertz(mel: np.ndarray, scale: str) -> np.ndarray:
    """Return the frequencies of pitches: the reverse of ``to_mel``."""
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    high = _BREAK_HZ * np.exp(_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, high)


def filters(
    rate: int, n_fft: int, mels: int, lowest: float, highest: float, *, scale: str, area: bool
) -> np.ndarray:
    """Return triangles [mels, n_fft // 2 + 1] evenly spaced on the mel scale.

    ``area``: each is as high as its area needs to be one, instead of one at its top.
    """
    ends = to_mel(np.array([lowest, highest], np.float64), scale)
    edges = to_hertz(np.linspace(ends[0], ends[1], mels + 2), scale)
    bins = np.fft.rfftfreq(n_fft, 1 / rate)
    width = np.diff(edges)[:, None]
    away = edges[:, None] - bins[None]
    triangles: np.ndarray = np.maximum(0, np.minimum(-away[:-2] / width[:-1], away[2:] / width[1:]))
    if area:
        triangles *= (2 / (edges[2:] - edges[:-2]))[:, None]
    found: np.ndarray = triangles.astype(np.float32)
    return found


@dataclass(slots=True)
class LogMel:
    """Samples become FP32 [mels, frames]."""

    args: Args
    bands: np.ndarray

    def fits(self, wanted: Draft) -> bool:
        """Fits what may be [mels, frames]."""
        return sound(wanted, 3)

    def backward(self, wanted: Draft) -> Draft:
        """One row of samples, long enough for a window."""
        if wanted.axes is not None and len(wanted.axes) != 3:
            raise StepError(
                f"gives [mels, frames], but an example of {wanted.name!r} is {wanted.text(1)}",
                help="put layout after it where the model takes frames first",
            )
        return replace(
            wanted, dtype=FP32, axes=(BATCH_AXIS, Axis(hint=self.args["rate"])), loose=False
        )

    def forward(self, given: Draft) -> Draft:
        """The number of frames follows from that of the samples."""
        if not sound(given, 2):
            raise StepError(
                f"needs one row of samples, but {given.name!r} is {given.text(1)}",
                help="put mono before it",
            )
        rate = self.args["rate"]
        if given.rate not in (None, rate):
            raise StepError(
                f"takes {rate} samples a second; what comes in has "
                + (str(given.rate) if given.rate else "each file's own"),
                help=f"put resample: {rate} before it",
            )
        frames = Axis(origin=given.known[1].origin)
        if self.args["samples"] is not None:
            frames = Axis(_frames(self.args["samples"], self.args))
        axes = (BATCH_AXIS, Axis(len(self.bands)), frames)
        return replace(given, dtype=FP32, axes=axes, rate=None)

    def kernel(self, _given: Draft, _result: Draft) -> Function:
        """Make the window once."""
        args, bands = self.args, self.bands
        window = np.hanning(args["window"] + 1)[:-1].astype(np.float32)
        spare = args["n_fft"] - args["window"]
        window = np.pad(window, (spare // 2, spare - spare // 2))

        def apply(x: np.ndarray) -> np.ndarray:
            power = _powers(_fitted(x, args), window, bands, args["hop"])
            if args["normalize"] == WHISPER:
                power = power[:, :-1]
            out = LOGS[args["log"]](np.maximum(power, np.float32(args["floor"])))
            return _normalized(out.astype(np.float32, copy=False), args["normalize"])

        return apply


def _frames(samples: int, args: Args) -> int:
    whole: int = samples + (args["n_fft"] // 2 * 2 if args["center"] else 0)
    frames: int = 1 + (whole - args["n_fft"]) // args["hop"]
    return frames - 1 if args["normalize"] == WHISPER else frames


def _fitted(x: np.ndarray, args: Args) -> np.ndarray:
    """Return samples of the length that is asked for, mirrored at both ends where frames are centred."""
    if x.ndim != 1:
        raise InvalidInput(f"an array of shape {list(x.shape)} is no row of samples")
    wanted = args["samples"]
    if wanted is not None:
        x = x[:wanted] if len(x) >= wanted else np.pad(x, (0, wanted - len(x)))
    side = args["n_fft"] // 2 if args["center"] else 0
    least = max(side + 1, args["hop"]) if side else args["n_fft"]
    if len(x) < least:
        raise InvalidInput(f"{len(x)} samples are too few; {least} are needed")
    return np.pad(x, side, mode="reflect") if side else x


def _powers(x: np.ndarray, window: np.ndarray, bands: np.ndarray, hop: int) -> np.ndarray:
    """Return the power of each band in each frame, [mels, frames]."""
    views = np.lib.stride_tricks.sliding_window_view(x.astype(np.float32, copy=False), len(window))
    views = views[::hop]
    out = np.empty((len(bands), len(views)), np.float32)
    for begin in range(0, len(views), BLOCK):
        spectrum = np.fft.rfft(views[begin : begin + BLOCK] * window, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32, copy=False)
        out[:, begin : begin + BLOCK] = bands @ power.T
    return out


def _normalized(x: np.ndarray, how: str) -> np.ndarray:
    if how == WHISPER:
        found: np.ndarray = (np.maximum(x, x.max() - np.float32(8)) + np.float32(4)) / np.float32(4)
        return found
    if how == "mean_std":
        mean, std = x.mean(axis=1, keepdims=True), x.std(axis=1, keepdims=True)
        x = (x - mean) / (std + np.float32(1e-5))
    return x


def _log_mel(args: Args, _context: Context) -> Operation:
    highest = args["rate"] / 2
    args["fmax"] = highest if args["fmax"] is None else args["fmax"]
    args["window"] = args["window"] or args["n_fft"]
    if not 0 <= args["fmin"] < args["fmax"] <= highest:
        raise StepError(
            f"fmin and fmax: 0 <= {args['fmin']} < {args['fmax']} <= {highest} is not so"
        )
    if args["window"] > args["n_fft"]:
        raise StepError(f"window: {args['window']} is longer than n_fft, {args['n_fft']}")
    if args["n_fft"] > MAX_FFT or args["mels"] > MAX_MELS:
        raise StepError(f"n_fft is {MAX_FFT} at most, mels {MAX_MELS}")
    if args["floor"] <= 0:
        raise StepError(f"floor: must be over 0, not {args['floor']}")
    bands = filters(
        args["rate"], args["n_fft"], args["mels"], args["fmin"], args["fmax"],
        scale=args["scale"], area=args["area"],
    )  # fmt: skip
    return EachInput(LogMel(args, bands), args)


MAX_FFT, MAX_MELS = 16_384, 512

TRANSFORMS = (
    Transform(
        "log_mel", PREPROCESS, ITEM,
        "Turn samples into the logarithm of the power in bands of pitch, FP32 [mels, frames]. The defaults are "
        "Whisper's.",
        _log_mel,
        "log_mel: {mels: 80, samples: 480000}",
        "One row of samples of any length.",
        (
            Parameter("mels", POSITIVE, "how many bands", 80),
            Parameter("rate", POSITIVE, "samples a second", 16_000),
            Parameter("n_fft", POSITIVE, "samples of a spectrum", 400),
            Parameter("hop", POSITIVE, "samples from one spectrum to the next", 160),
            Parameter("window", POSITIVE, "length of the Hann window; default: n_fft"),
            Parameter("fmin", NUMBER, "the lowest frequency, in Hz", 0),
            Parameter("fmax", NUMBER, "the highest; default: half the rate"),
            Parameter("scale", choice("slaney", "htk"), "which mel scale", "slaney"),
            Parameter("area", FLAG, "bands of area 1, instead of height 1", True),
            Parameter("log", choice("log10", "ln", "db"), "the logarithm; `db`: ten times log10", "log10"),
            Parameter("floor", NUMBER, "the least power, so that silence has a logarithm", 1e-10),
            Parameter(
                "normalize", choice(WHISPER, "mean_std", "none"),
                "`whisper`: 8 below the loudest value, to about -1 to 1; `mean_std`: each band by its own",
                WHISPER,
            ),
            Parameter("samples", POSITIVE, "cut or fill with silence to this length first"),
            Parameter("center", FLAG, "frames are centred on their time; mirrored at the ends", True),
        ),
        ("mels",),
    ),
)  # fmt: skip
"""The rows of the registry kept in this file."""
