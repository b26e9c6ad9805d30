"""log_mel, against the recipes that speech models were trained with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.transforms.chains import chain, signature, spec
from tests.transforms.sounds import file, tone

from inferd.core.errors import ConfigError, InvalidInput
from inferd.transforms.mel import filters, to_hertz, to_mel

OUT = spec("y", "float32", -1, 10)
NOISE = (np.random.default_rng(0).normal(size=16_000 * 3 + 77) * 0.1).astype(np.float32)


def mel(x: np.ndarray, bands: int = 80, **params: Any) -> np.ndarray:
    sig = signature(spec("features", "float32", -1, bands, -1), OUT)
    return chain(sig, [{"log_mel": params or None}]).prepare({"features": x})["features"]


def test_it_is_what_faster_whisper_computes() -> None:
    extractor = pytest.importorskip("faster_whisper.feature_extractor").FeatureExtractor

    for bands in (80, 128):
        expected = extractor(feature_size=bands)(NOISE, padding=0)
        np.testing.assert_allclose(mel(NOISE, bands, mels=bands), expected, atol=1e-5)


def test_it_is_what_transformers_computes_for_whisper() -> None:
    extractor = pytest.importorskip("transformers").WhisperFeatureExtractor()
    expected = extractor(NOISE, sampling_rate=16_000, return_tensors="np").input_features[0]

    out = mel(NOISE, samples=480_000)

    assert out.shape == (80, 3000)
    np.testing.assert_allclose(out, expected, atol=1e-4)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize("area", [True, False])
@pytest.mark.parametrize("log", ["ln", "log10", "db"])
def test_it_is_what_transformers_computes_in_general(scale: str, area: bool, log: str) -> None:
    utils = pytest.importorskip("transformers.audio_utils")
    bank = utils.mel_filter_bank(
        257, 40, 20.0, 7600.0, 16_000, norm="slaney" if area else None, mel_scale=scale
    )
    named = {"ln": "log", "log10": "log10", "db": "dB"}[log]
    expected = utils.spectrogram(
        NOISE, utils.window_function(400, "hann"), 400, 200, fft_length=512, power=2.0,
        mel_filters=bank, log_mel=named, mel_floor=1e-6, min_value=1e-6,
    )  # fmt: skip

    out = mel(
        NOISE, 40, mels=40, n_fft=512, window=400, hop=200, fmin=20, fmax=7600, scale=scale,
        area=area, log=log, floor=1e-6, normalize="none",
    )  # fmt: skip

    np.testing.assert_allclose(out, expected, atol=1e-4, rtol=1e-4)


def test_long_sound_is_worked_through_in_blocks() -> None:
    long = np.tile(NOISE, 12)

    out = mel(long, normalize="none")

    part = mel(long[: 160 * 500], normalize="none")
    np.testing.assert_allclose(out[:, :490], part[:, :490], atol=1e-4)
    assert out.shape == (80, 1 + len(long) // 160)


def test_each_band_by_its_own() -> None:
    out = mel(NOISE, normalize="mean_std")

    np.testing.assert_allclose(out.mean(axis=1), 0, atol=1e-3)
    np.testing.assert_allclose(out.std(axis=1), 1, atol=1e-2)


def test_frames_that_are_not_centred() -> None:
    assert mel(NOISE[:1600], center=False, normalize="none").shape == (80, 8)


def test_a_pitch_is_loudest_in_its_own_band() -> None:
    out = mel(tone(16_000, hertz=1000)[:, 0], normalize="none")

    edges = to_hertz(np.linspace(0, to_mel(np.array(8000.0), "slaney"), 82), "slaney")
    band = int(out.mean(axis=1).argmax())
    assert edges[band] < 1000 < edges[band + 2]


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_the_scale_goes_both_ways(scale: str) -> None:
    hertz = np.array([0, 100, 999, 1000, 4000, 20_000.0])

    np.testing.assert_allclose(to_hertz(to_mel(hertz, scale), scale), hertz, atol=1e-6)


def test_filters_reach_every_pitch_between_their_ends() -> None:
    bank = filters(16_000, 400, 80, 0, 8000, scale="slaney", area=False)

    assert bank.shape == (80, 201)
    assert (bank >= 0).all()
    assert (bank.sum(axis=0)[5:-5] > 0.1).all()


def test_the_shapes_are_told_before_anything_runs() -> None:
    sig = signature(spec("features", "float32", -1, 80, 3000), OUT)
    chained = chain(sig, ["decode_audio", "mono", {"resample": 16_000},
                          {"log_mel": {"samples": 480_000}}])  # fmt: skip

    out = chained.prepare({"features": file(tone())})["features"]

    assert out.shape == (80, 3000)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"fmin": 9000}, "fmin and fmax"),
        ({"window": 500}, "window: 500 is longer than n_fft, 400"),
        ({"n_fft": 100_000}, "n_fft is 16384 at most"),
        ({"floor": 0}, "floor: must be over 0"),
        ({"scale": "bark"}, "unknown value 'bark'"),
    ],
    ids=["fmin", "window", "n_fft", "floor", "scale"],
)
def test_parameters_that_make_no_sense(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        mel(NOISE, **params)


def test_another_rate_is_refused_where_it_is_known() -> None:
    sig = signature(spec("features", "float32", -1, 80, -1), OUT)

    for steps, have in (
        (["decode_audio", "mono", "log_mel"], "each file's own"),
        (["decode_audio", "mono", {"resample": 8000}, "log_mel"], "8000"),
    ):
        with pytest.raises(ConfigError, match=have) as caught:
            chain(sig, steps)
        assert caught.value.help == "put resample: 16000 before it"


def test_what_is_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(InvalidInput, match="200 samples are too few; 201 are needed"):
        mel(NOISE[:200])
    with pytest.raises(InvalidInput, match="399 samples are too few; 400 are needed"):
        mel(NOISE[:399], center=False)
