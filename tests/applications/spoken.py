"""Speech made here: a sentence said by eSpeak NG, as the wav file a microphone would have given."""

from __future__ import annotations

import ctypes
import functools
import io
import wave

import espeakng_loader
import numpy as np
import soxr

RATE = 16_000
SYNCHRONOUS = 2
WITHOUT_PHONEMES = 0x8000
UTF8 = 1
CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)
SPEED = 1
"""The number of the parameter "words in a minute"."""


@functools.cache
def engine() -> tuple[ctypes.CDLL, int]:
    """Return the library, initialised once for a process, and its sample rate."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path().encode()
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, data, WITHOUT_PHONEMES)
    if rate <= 0:
        raise RuntimeError("espeak_Initialize failed")
    return library, rate


def samples(text: str, voice: str = "en", words_per_minute: int = 150) -> np.ndarray:
    """Return a sentence as INT16 samples, 16 kHz, one channel."""
    library, rate = engine()
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise ValueError(f"no voice {voice!r}")
    library.espeak_SetParameter(SPEED, words_per_minute, 0)
    pieces: list[np.ndarray] = []

    @CALLBACK
    def hear(wav: object, count: int, _events: object) -> int:
        if wav and count:
            pieces.append(np.ctypeslib.as_array(wav, (count,)).copy())
        return 0

    library.espeak_SetSynthCallback(hear)
    said = text.encode() + b"\0"
    if library.espeak_Synth(said, len(said), 0, 0, 0, UTF8, None, None) != 0:
        raise RuntimeError(f"espeak_Synth failed for {text!r}")
    library.espeak_Synchronize()
    return soxr.resample(np.concatenate(pieces), rate, RATE)


def wav(pcm: np.ndarray, rate: int = RATE) -> bytes:
    """Return INT16 samples of one channel as a wav file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(pcm.astype("<i2").tobytes())
    return file.getvalue()


def say(text: str, voice: str = "en", words_per_minute: int = 150) -> bytes:
    """Return a sentence as a wav file of 16 kHz."""
    return wav(samples(text, voice, words_per_minute))
