"""decode_audio, mono and resample."""

from __future__ import annotations

import base64
import builtins
from typing import Any

import numpy as np
import pytest
from tests.transforms.chains import chain, signature, spec
from tests.transforms.sounds import file, tone

from inferd.core.errors import ConfigError, InvalidInput, MissingExtra
from inferd.core.tensor import BYTES

OUT = spec("y", "float32", -1, 10)
ROW = signature(spec("audio", "float32", -1, -1), OUT)
CHANNELS = signature(spec("audio", "float32", -1, -1, -1), OUT)
WHISPER = ("decode_audio", "mono", {"resample": 16_000})


def prepared(sig: Any, steps: Any, **inputs: Any) -> dict[str, np.ndarray]:
    return chain(sig, steps).prepare(inputs)


def test_the_external_signature_is_one_file() -> None:
    chained = chain(ROW, WHISPER)

    (taken,) = chained.external.inputs
    assert (taken.name, taken.dtype, taken.shape, taken.content) == ("audio", BYTES, (-1,), "audio")
    given = chained.prepare({"audio": chained.example()["audio"][0]})
    assert given["audio"].shape == (16_000,)


@pytest.mark.parametrize("how", ["bytes", "base64", "text"])
def test_a_file_becomes_channels_and_samples(how: str) -> None:
    data: Any = file(tone(channels=2))
    if how != "bytes":
        data = base64.b64encode(data)
    if how == "text":
        data = data.decode()

    out = prepared(CHANNELS, ["decode_audio"], audio=data)["audio"]

    assert out.shape == (2, 44_100)
    np.testing.assert_allclose(out, tone(channels=2).T, atol=1e-4)


def test_mono_is_the_mean_of_the_channels() -> None:
    out = prepared(ROW, ["decode_audio", "mono"], audio=file(tone(channels=2)))["audio"]

    np.testing.assert_allclose(out, tone()[:, 0] * 0.75, atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000])
def test_resampling_keeps_the_tone_and_the_length(rate: int) -> None:
    out = prepared(ROW, WHISPER, audio=file(tone(rate), rate))

    assert list(out) == ["audio"], "the rate is gone before the model"
    assert out["audio"].shape == (16_000,)
    middle = slice(1000, 15_000)
    np.testing.assert_allclose(out["audio"][middle], tone(16_000)[middle, 0], atol=2e-3)


def test_what_the_new_rate_cannot_hold_does_not_come_back_as_another_tone() -> None:
    out = prepared(ROW, WHISPER, audio=file(tone(48_000, hertz=10_000), 48_000))["audio"]

    assert np.abs(out[1000:15_000]).max() < 1e-3


def test_resample_works_on_channels_before_mono() -> None:
    steps = ["decode_audio", {"resample": 16_000}, "mono"]
    both = prepared(ROW, steps, audio=file(tone(channels=2)))["audio"]

    np.testing.assert_allclose(
        both, prepared(ROW, WHISPER, audio=file(tone(channels=2)))["audio"], atol=1e-4
    )


def test_resample_may_be_told_the_rate_and_stand_alone() -> None:
    out = prepared(ROW, [{"resample": {"rate": 8000, "from": 16_000}}], audio=tone(16_000)[:, 0])

    assert out["audio"].shape == (8000,)


def test_resample_twice() -> None:
    steps = ["decode_audio", "mono", {"resample": 32_000}, {"resample": 16_000}]

    out = prepared(ROW, steps, audio=file(tone()))

    assert list(out) == ["audio"]
    assert out["audio"].shape == (16_000,)


def test_steps_between_do_not_touch_the_rate() -> None:
    steps = ["decode_audio", {"cast": "float32"}, "mono", {"resample": 16_000}]
    with_cast = chain(ROW, steps)
    given = with_cast.prepare({"audio": file(tone())})

    assert given["audio"].shape == (16_000,)
    assert with_cast.before(with_cast.collate([given]).inputs).keys() == {"audio"}


def test_names_may_be_chosen_beside_other_inputs() -> None:
    sig = signature([spec("samples", "float32", -1, -1, -1), spec("gain", "float32", -1, 1)], OUT)
    chained = chain(sig, [{"decode_audio": {"input": "recording", "output": "samples"}}])

    given = chained.prepare({"recording": file(tone()), "gain": np.ones(1, np.float32)})

    assert [s.name for s in chained.external.inputs] == ["recording", "gain"]
    assert given["samples"].shape == (1, 44_100)


def test_recordings_of_unequal_length_share_no_batch_without_pad() -> None:
    assert chain(ROW, WHISPER).plan.max_batch == 1
    padded = chain(ROW, [*WHISPER, {"pad": {"axis": 1}}])

    rows = [padded.prepare({"audio": file(tone(seconds=n))}) for n in (0.5, 1.0)]

    assert padded.collate(rows).inputs["audio"].shape == (2, 16_000)


@pytest.mark.parametrize(
    ("steps", "sig", "message"),
    [
        pytest.param(["decode_audio"], ROW, "put mono after it", id="no-mono"),
        pytest.param(["mono"], CHANNELS, "one row of samples", id="mono-gives-a-row"),
        pytest.param([{"resample": 16_000}], ROW, "nothing tells the rate", id="no-rate"),
        pytest.param([{"resample": 10}], ROW, "from 4000 to 384000", id="rate-too-low"),
        pytest.param(["resample"], ROW, "must be given", id="no-number"),
        pytest.param(
            ["decode_audio"],
            signature([spec("a", "float32", -1, -1, -1), spec("b", "float32", -1, -1, -1)], OUT),
            "several tensors could be sound: a, b",
            id="which",
        ),
        pytest.param(
            ["decode_audio"], signature(spec("x", "int64", -1, 2), OUT), "x", id="no-sound"
        ),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_declared(
    steps: Any, sig: Any, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        chain(sig, steps)

    assert message in f"{caught.value.message} {caught.value.help}"


def test_a_bad_recording_names_the_step() -> None:
    with pytest.raises(InvalidInput, match="over the 1 s taken"):
        prepared(ROW, [{"decode_audio": 1}, "mono"], audio=file(tone(seconds=2)))
    with pytest.raises(InvalidInput, match="one recording per example"):
        prepared(ROW, WHISPER, audio=np.array([b"a", b"b"], object))


@pytest.mark.parametrize("library", ["soundfile", "soxr"])
def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **more: Any) -> Any:
        if name == library:
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtra, match=library) as caught:
        chain(ROW, WHISPER)

    assert "inferd[audio]" in caught.value.help
