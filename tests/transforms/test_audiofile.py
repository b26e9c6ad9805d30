"""Sound files of strangers: what is read, and what is refused before it is."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.transforms.sounds import file, tone

from inferd.core.errors import InvalidInput
from inferd.transforms.audiofile import Limits, missing, read

LIMITS = Limits(seconds=10, channels=2, samples=1_000_000)
STEREO = tone(channels=2)
KINDS = {
    "wav-8": ("WAV", "PCM_U8", 1e-2), "wav-16": ("WAV", "PCM_16", 1e-4),
    "wav-24": ("WAV", "PCM_24", 1e-6), "wav-float": ("WAV", "FLOAT", 0),
    "wav-double": ("WAV", "DOUBLE", 0), "wav-mulaw": ("WAV", "ULAW", 2e-2),
    "wavex": ("WAVEX", "PCM_16", 1e-4), "flac-16": ("FLAC", "PCM_16", 1e-4),
    "flac-24": ("FLAC", "PCM_24", 1e-6), "ogg-vorbis": ("OGG", "VORBIS", 5e-2),
}  # fmt: skip


def taken(data: bytes, limits: Limits = LIMITS) -> tuple[np.ndarray, int]:
    return read(soundfile, data, limits)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read(kind: str) -> None:
    format, subtype, off = KINDS[kind]

    samples, rate = taken(file(STEREO, format=format, subtype=subtype))

    assert rate == 44_100
    assert samples.dtype == np.float32
    assert samples.shape == (2, 44_100)
    np.testing.assert_allclose(samples, STEREO.T, atol=off)


def test_opus_is_read() -> None:
    samples, rate = taken(file(tone(48_000), 48_000, "OGG", "OPUS"))

    assert rate == 48_000
    assert abs(samples.shape[1] - 48_000) < 1000


@pytest.mark.parametrize("format", ["AIFF", "AU", "CAF", "W64", "MP3"])
def test_other_formats_are_refused(format: str) -> None:
    with pytest.raises(InvalidInput, match="no sound of a known format") as caught:
        taken(file(tone(), format=format))

    assert caught.value.help == "send one of: WAV, FLAC, Ogg"


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"RIFF\0\0\0\0WEBPVP8 ", b"\x89PNG\r\n\x1a\n", b"{}"],
    ids=["nothing", "text", "a-picture-in-riff", "a-picture", "json"],
)
def test_what_is_no_sound_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        taken(data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [0.5, 0.99, 0.02])
def test_half_a_file_is_refused(kind: str, part: float) -> None:
    format, subtype, _ = KINDS[kind]
    data = file(STEREO, format=format, subtype=subtype)

    with pytest.raises(InvalidInput):
        taken(data[: int(len(data) * part)])


@pytest.mark.parametrize(
    ("whole", "sound"),
    [(0, 0), (36, 0), (0xFFFFFFFF, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFF024, 0x7FFFF000)],
    ids=["zeros", "written-first", "half-known", "ffmpeg", "sox"],
)
def test_a_wav_file_that_went_through_a_pipe_says_no_size(whole: int, sound: int) -> None:
    data = bytearray(file(tone()))
    struct.pack_into("<I", data, 4, whole)
    struct.pack_into("<I", data, data.index(b"data") + 4, sound)

    assert not missing(bytes(data))
    np.testing.assert_allclose(taken(bytes(data))[0], tone().T, atol=1e-4)


def test_a_wav_file_of_no_samples_before_other_chunks_has_none() -> None:
    data = file(np.empty((0, 1), np.float32)) + b"LIST\4\0\0\0INFO"

    with pytest.raises(InvalidInput, match="no sound"):
        taken(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])


def test_a_wav_file_of_nothing_but_chunks_is_refused() -> None:
    data = b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 1001 + file(tone())[12:]

    with pytest.raises(InvalidInput, match="ends before its end"):
        taken(data)


def test_a_flac_file_that_does_not_say_how_long_it_is_is_refused() -> None:
    data = bytearray(file(tone(), format="FLAC"))
    data[21] &= 0xF0  # the 36 bits of the number of samples
    data[22:26] = bytes(4)

    with pytest.raises(InvalidInput, match="does not say how long it is") as caught:
        taken(bytes(data))

    assert "WAV" in (caught.value.help or "")


def test_an_ogg_file_of_several_recordings_is_not_taken_for_its_first() -> None:
    data = file(tone(), format="OGG", subtype="VORBIS")

    with pytest.raises(InvalidInput, match="several recordings"):
        taken(data + data)


def test_flac_in_ogg_which_the_library_does_not_read_is_told() -> None:
    first = b"\x7fFLAC\1\0\0\1fLaC\0\0\0\x22" + bytes(34)
    page = b"OggS\0\2" + bytes(20) + bytes([1, len(first)]) + first

    with pytest.raises(InvalidInput, match="cannot be decoded") as caught:
        taken(page)

    assert caught.value.help is not None
    assert "send a FLAC file" in caught.value.help


def test_a_header_that_makes_no_sense_is_told_in_words_of_ours() -> None:
    data = bytearray(file(tone()))
    struct.pack_into("<I", data, 24, 0)  # samples a second

    with pytest.raises(InvalidInput, match="its header makes no sense"):
        taken(bytes(data))


def test_what_is_over_a_limit_is_told() -> None:
    with pytest.raises(InvalidInput, match="lasts 11 s, over the 10 s taken"):
        taken(file(tone(8000, 11), 8000))
    with pytest.raises(InvalidInput, match="3 channels, over the 2 taken"):
        taken(file(tone(channels=3)))
    with pytest.raises(InvalidInput, match="88200 samples, over the 1000 taken"):
        taken(file(STEREO), Limits(10, 2, 1000))
    with pytest.raises(InvalidInput, match="1000 samples a second; 4000 to 384000 are taken"):
        taken(file(tone(1000), 1000))


def test_a_small_file_that_promises_hours_is_refused_unread() -> None:
    silence = np.zeros((96_000 * 60, 1), np.int16)
    data = file(silence, 96_000, "FLAC")

    assert len(data) < 100_000
    with pytest.raises(InvalidInput, match="lasts 60 s"):
        taken(data)


def test_numbers_that_are_none_are_refused_and_loud_ones_clipped() -> None:
    broken = tone()
    broken[5] = np.nan

    with pytest.raises(InvalidInput, match="no numbers"):
        taken(file(broken, subtype="FLOAT"))
    assert np.abs(taken(file(tone() * 10, subtype="FLOAT"))[0]).max() == 1


def test_a_file_without_samples_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no sound"):
        taken(file(np.empty((0, 1), np.float32)))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["wav-16", "flac-16", "ogg-vorbis"]),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=8),
    st.integers(0, 4000),
)
def test_whatever_is_damaged_is_read_or_refused(
    kind: str, changes: list[tuple[int, int]], length: int
) -> None:
    format, subtype, _ = KINDS[kind]
    data = bytearray(file(tone(8000, 0.3), 8000, format, subtype))
    for at, byte in changes:
        data[at % len(data)] = byte

    try:
        samples, rate = taken(bytes(data[: length or None]))
    except InvalidInput:
        return
    assert np.isfinite(samples).all()
    assert samples.shape[1] <= LIMITS.seconds * rate
