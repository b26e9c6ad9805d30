"""Sounds made here, as samples and as files of each kind."""

from __future__ import annotations

import io

import numpy as np
import soundfile


def tone(
    rate: int = 44_100, seconds: float = 1.0, hertz: float = 440, channels: int = 1
) -> np.ndarray:
    """Return [samples, channels]; each channel is half as loud as the one before it."""
    time = np.arange(int(rate * seconds)) / rate
    one = 0.5 * np.sin(2 * np.pi * hertz * time)
    return np.stack([one / 2**i for i in range(channels)], axis=1).astype(np.float32)


def file(
    samples: np.ndarray, rate: int = 44_100, format: str = "WAV", subtype: str | None = None
) -> bytes:
    """Return samples as a file."""
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=format, subtype=subtype)
    return out.getvalue()
