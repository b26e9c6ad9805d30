"""What a speech model is told, by its model.yaml and by a request."""

from __future__ import annotations

import numpy as np
import pytest

from inferd.core.errors import InvalidInput, InvalidParameter, ModelFileError
from inferd.runtimes.whisper_parameters import WARMER, Settings, Wanted, checked

ENGLISH = ("en",)
MANY = ("en", "de", "zh")


def test_nothing_said_is_the_default():
    assert Settings.of({}, "m") == Settings()
    assert Wanted.of({}, MANY, Settings()) == Wanted("", "transcribe", "", WARMER)


def test_a_request_goes_before_model_yaml():
    settings = Settings.of({"language": "de", "beam_size": 1}, "m")

    assert Wanted.of({}, MANY, settings).language == "de"
    assert Wanted.of({"language": "zh"}, MANY, settings).language == "zh"
    assert Wanted.of({"language": " ZH"}, MANY, settings).language == "zh"
    assert Wanted.of({"language": ""}, MANY, settings).language == "de"


def test_what_a_request_may_say():
    wanted = Wanted.of(
        {"task": "translate", "prompt": "Dashwood", "temperature": 0.5}, MANY, Settings()
    )

    assert wanted == Wanted("", "translate", "Dashwood", (0.5,))
    assert Wanted.of({"temperature": 0}, ENGLISH, Settings()).temperatures == WARMER
    assert Wanted.of({"temperature": 1}, ENGLISH, Settings()).temperatures == (1.0,)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"language": "de"}, "does not know 'de'"),
        ({"language": "English"}, "does not know 'English'"),
        ({"task": "translate"}, "knows only 'en'"),
        ({"task": "transcripe"}, "no task 'transcripe'"),
        ({"temperature": 1.5}, "from 0 to 1"),
        ({"temperature": -0.1}, "from 0 to 1"),
        ({"temperature": float("nan")}, "from 0 to 1"),
        ({"temperature": "hot"}, "from 0 to 1"),
        ({"temperature": True}, "from 0 to 1"),
        ({"prompt": 3}, "must be text"),
        ({"langauge": "en"}, "unknown parameter 'langauge'"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_makes_no_sense_is_refused(parameters, message):
    with pytest.raises(InvalidParameter, match=message):
        Wanted.of(parameters, ENGLISH, Settings())


def test_a_refused_language_comes_with_those_that_are_known():
    with pytest.raises(InvalidParameter) as caught:
        Wanted.of({"language": "fr"}, MANY, Settings())

    assert caught.value.help == "it knows de, en, zh"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"beams": 5}, "m: model.yaml: parameters: unknown 'beams'"),
        ({"beam_size": 0}, "beam_size: 0 is no whole number over 0"),
        ({"beam_size": True}, "beam_size: True is no whole number"),
        ({"condition_on_previous_text": 1}, "1 is no true or false"),
        ({"language": 5}, "5 is no text"),
    ],
    ids=["unknown", "zero", "true", "number", "no-text"],
)
def test_settings_that_make_no_sense_are_refused(parameters, message):
    with pytest.raises(ModelFileError, match=message):
        Settings.of(parameters, "m")


def test_a_recording_is_a_row_of_numbers_and_not_too_long():
    sound = np.zeros((1, 16_000 * 3), np.float32)

    assert checked(sound, 3).shape == (48_000,)
    with pytest.raises(InvalidInput, match="lasts 3 s; this model takes 2 s at most"):
        checked(sound, 2)
    for value in (np.nan, np.inf):
        sound[0, 5] = value
        with pytest.raises(InvalidInput, match="no numbers"):
            checked(sound, 3)
