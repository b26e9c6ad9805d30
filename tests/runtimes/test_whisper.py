"""Whisper models: real ones in their form, made here, that say what a script tells them to."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest

from inferd.core.errors import InferdError, InvalidInput, ModelFileError
from inferd.core.message import joined
from inferd.runtimes.registry import create

pytest.importorskip("faster_whisper")

from tests.runtimes import whispers

RATE = 16_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return whispers.write(tmp_path_factory.mktemp("whisper"))


def loaded(folder: Path, **parameters):
    runtime = create("whisper")
    runtime.load(folder, {"threads": 1, "parameters": parameters})
    return runtime


@pytest.fixture(scope="module")
def runtime(folder):
    return loaded(folder)


def sound(seconds: float, loud: float = 0.1) -> np.ndarray:
    count = int(seconds * RATE)
    return (np.random.default_rng(count).normal(size=(1, count)) * loud).astype(np.float32)


def asked(engine, audio, **parameters):
    """Return the pieces of one answer."""
    engine.add(1, {"audio": audio}, parameters)
    pieces = []
    while True:
        for _, piece, last in engine.step():
            if isinstance(piece, BaseException):
                raise piece
            pieces.append(piece)
            if last:
                return pieces


def test_segments_have_times_and_their_texts_join(runtime):
    out = runtime.run({"audio": sound(45)})

    assert out["text"].tolist() == [b"hello world again hello world again"]
    assert out["segments"].tolist() == [[b"hello world", b"again"] * 2]
    np.testing.assert_allclose(out["starts"], [[0, 1.02, 30, 31.02]])
    np.testing.assert_allclose(out["ends"], [[1, 2.5, 31, 32.5]])
    assert out["language"].tolist() == [b"en"]
    assert out["duration"].tolist() == [45]
    assert out["progress"].tolist() == [1]


def test_outputs_are_as_the_signature_says(folder):
    runtime = create("whisper")
    signature = runtime.load(folder, {"threads": 1})

    out = runtime.run({"audio": sound(3)})

    assert list(out) == [s.name for s in signature.outputs]
    for spec in signature.outputs:
        assert out[spec.name].dtype == spec.dtype.numpy
        assert out[spec.name].ndim == len(spec.shape)


def test_pieces_come_a_segment_at_a_time_and_tell_how_far_it_is(runtime):
    pieces = asked(runtime.engine(), sound(65))

    texts = [p["text"][0].decode() for p in pieces if "text" in p]
    progress = [float(p["progress"][0]) for p in pieces if "progress" in p]
    assert texts == ["", "hello world", " again", *[" hello world", " again"] * 2]
    assert progress == sorted(progress)
    assert progress[0] == 0
    assert progress[-1] == 1
    assert joined(pieces)["segments"].shape == (1, 6)


def test_a_window_begins_where_the_last_whole_sentence_ended(tmp_path):
    runtime = loaded(whispers.write(tmp_path, whispers.UNFINISHED))

    out = runtime.run({"audio": sound(45)})

    np.testing.assert_allclose(out["starts"], [[0, 20, 40]])
    np.testing.assert_allclose(out["ends"], [[20, 40, 45]])


@pytest.mark.parametrize(
    "audio",
    [
        pytest.param(np.zeros((1, 40 * RATE), np.float32), id="silence"),
        pytest.param(sound(5, 1e-5), id="next-to-silence"),
        pytest.param(np.zeros((1, 0), np.float32), id="nothing"),
        pytest.param(np.full((1, 100), 0.5, np.float32), id="a-click"),
    ],
)
def test_where_nobody_speaks_no_words_are_made_up(runtime, audio):
    out = runtime.run({"audio": audio})

    assert out["text"].tolist() == [b""]
    assert out["segments"].shape == out["starts"].shape == out["ends"].shape == (1, 0)
    assert out["progress"].tolist() == [1]


@pytest.mark.parametrize("script", ["LOOP", "NOTHING_SAID"])
def test_loops_and_dots_are_no_words(tmp_path, script):
    runtime = loaded(whispers.write(tmp_path, getattr(whispers, script)))

    assert runtime.run({"audio": sound(10)})["text"].tolist() == [b""]


def test_long_silence_is_stepped_over_and_times_stay_true(runtime):
    audio = np.concatenate([sound(5), np.zeros((1, 100 * RATE), np.float32), sound(5)], axis=1)

    out = runtime.run({"audio": audio})

    np.testing.assert_allclose(out["starts"][0, [0, -2]], [0, 104.9], atol=0.01)
    assert out["segments"].shape == (1, 4)


def test_a_segment_begins_after_the_pause_before_it(tmp_path):
    runtime = loaded(whispers.write(tmp_path, whispers.PAUSED))
    audio = np.concatenate([sound(2), np.zeros((1, 10 * RATE), np.float32), sound(8)], axis=1)

    out = runtime.run({"audio": audio})

    np.testing.assert_allclose(out["starts"], [[0, 11.9]], atol=0.01)
    np.testing.assert_allclose(out["ends"], [[2, 20]])


def test_recordings_take_turns(runtime):
    engine = runtime.engine()
    engine.add(1, {"audio": sound(300)}, {})
    engine.add(2, {"audio": sound(45)}, {})

    steps = [engine.step() for _ in range(5)]

    assert [s[0][0] for s in steps] == [1, 2, 1, 2, 1]
    assert [s[-1][2] for s in steps] == [False, False, False, True, False]


def test_a_sentence_is_answered_in_one_turn_and_the_next_is_its(runtime):
    engine = runtime.engine()
    for key in (1, 2):
        engine.add(key, {"audio": sound(300)}, {})
    engine.step()
    engine.step()
    engine.add(3, {"audio": sound(5)}, {})  # came while 2 had its turn

    first, second = engine.step(), engine.step()

    assert (first[0][0], second[0][0]) == (1, 3)
    assert [last for *_, last in second] == [False] * (len(second) - 1) + [True]


def test_who_is_held_or_gone_has_no_turn(runtime):
    engine = runtime.engine()
    for key in (1, 2, 3):
        engine.add(key, {"audio": sound(300)}, {})

    engine.hold(1, on=True)
    engine.cancel(2)
    engine.cancel(99)
    while_held = {engine.step()[0][0] for _ in range(3)}
    engine.hold(1, on=False)

    assert while_held == {3}
    assert {engine.step()[0][0] for _ in range(2)} == {1, 3}
    engine.hold(1, on=True)
    engine.hold(3, on=True)
    assert engine.step() == []
    engine.hold(3, on=False)
    assert engine.step()[0][0] == 3
    engine.cancel(3)  # it had the latest turn
    assert engine.step() == []


def test_a_batch_answers_each_row_as_if_it_were_alone(runtime):
    x = np.concatenate([sound(5), sound(5)[:, ::-1]])

    out = runtime.run({"audio": x})

    assert out["text"].tolist() == [b"hello world again"] * 2


def test_a_request_that_makes_no_sense_is_refused(runtime):
    with pytest.raises(InvalidInput, match="does not know 'de'") as caught:
        runtime.engine().add(1, {"audio": sound(1)}, {"language": "de"})

    assert caught.value.help == "it knows en"


def test_a_language_that_the_model_has_no_token_for_is_refused(tmp_path):
    folder = whispers.write(tmp_path / "many", others=("de", "zh"))

    heard = joined(asked(loaded(folder).engine(), sound(3), language="de"))

    assert heard["language"].tolist() == [b"de"]
    assert heard["text"].tolist() == [b"hello world again"]
    with pytest.raises(InvalidInput, match="does not know 'yue'") as caught:
        loaded(folder).engine().add(1, {"audio": sound(1)}, {"language": "yue"})
    assert caught.value.help == "it knows de, en, zh"
    with pytest.raises(ModelFileError, match="does not know 'fr'"):
        loaded(folder, language="fr")


def test_it_says_which_parameters_it_takes_and_refuses_others(folder, runtime):
    said = create("whisper").load(folder, {}).parameters

    assert said == ("language", "task", "prompt", "temperature")
    with pytest.raises(InvalidInput, match="unknown parameter 'langauge'") as caught:
        runtime.engine().add(1, {"audio": sound(1)}, {"langauge": "en"})
    assert caught.value.help == "did you mean 'language'?"


@pytest.mark.parametrize(
    "parameters",
    [
        {"language": "en", "task": "transcribe", "temperature": 0},
        {"prompt": "Dashwood, Sense and Sensibility. " * 200},
        {"temperature": 0.01},
        {"language": "", "prompt": ""},
    ],
    ids=["all", "a-long-prompt", "warm", "empty"],
)
def test_parameters_that_are_taken(runtime, parameters):
    pieces = asked(runtime.engine(), sound(3), **parameters)

    assert joined(pieces)["text"].tolist() == [b"hello world again"]


def test_what_was_said_can_be_told_to_the_next_window(folder):
    runtime = loaded(folder, condition_on_previous_text=True)

    assert runtime.run({"audio": sound(65)})["segments"].shape == (1, 6)


def test_recordings_too_long_or_of_no_numbers_are_refused(folder):
    runtime = loaded(folder, max_seconds=10)

    with pytest.raises(InvalidInput, match="lasts 11 s; this model takes 10 s at most"):
        runtime.engine().add(1, {"audio": sound(11)}, {})
    with pytest.raises(InvalidInput, match="no numbers"):
        runtime.engine().add(1, {"audio": np.full((1, 100), np.nan, np.float32)}, {})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"beams": 5}, "unknown 'beams'"),
        (
            {"compute_type": "int3"},
            "model.yaml: parameters: compute_type: 'int3' does not run here",
        ),
        ({"language": "de"}, "model.yaml: parameters: language: .* does not know 'de'"),
    ],
    ids=["unknown", "compute-type", "language"],
)
def test_settings_that_make_no_sense_are_refused(folder, parameters, message):
    with pytest.raises(ModelFileError, match=message):
        loaded(folder, **parameters)


def test_a_network_of_more_bands_needs_its_file_that_says_so(tmp_path):
    folder = whispers.write(tmp_path / "wide", bands=128)

    with pytest.raises(ModelFileError, match="hears 128 bands.* means 80") as caught:
        loaded(folder)
    assert "preprocessor_config.json" in (caught.value.help or "")

    (folder / "preprocessor_config.json").write_text('{"feature_size": 128}')
    assert joined(asked(loaded(folder).engine(), sound(3)))["text"].tolist() == [
        b"hello world again"
    ]


@pytest.mark.parametrize("missing", ["tokenizer.json", "model.bin", "config.json"])
def test_a_missing_file_is_named_and_never_looked_for_elsewhere(tmp_path, monkeypatch, missing):
    def refuse(*_args, **_more):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    folder = whispers.write(tmp_path / "model")
    (folder / missing).unlink()

    with pytest.raises(ModelFileError, match=f"holds no {missing}"):
        loaded(folder)


def test_a_damaged_file_is_refused(tmp_path):
    folder = whispers.write(tmp_path)
    file = folder / "model.bin"
    file.write_bytes(file.read_bytes()[:5000])

    with pytest.raises(ModelFileError, match="cannot load it"):
        loaded(folder)


def test_it_says_what_it_is(runtime):
    assert runtime.version().startswith("ctranslate2 ")
    assert runtime.streams and runtime.releases_gil


def test_closing_twice_is_no_error(folder):
    runtime = loaded(folder)
    runtime.close()
    runtime.close()


def test_one_that_fails_fails_alone(runtime):
    engine = runtime.engine()
    with pytest.raises(InferdError):
        engine.add(1, {"audio": sound(1)}, {"language": "xx"})
    engine.add(2, {"audio": sound(1)}, {})

    assert [key for key, _, _ in engine.step()][:1] == [2]
