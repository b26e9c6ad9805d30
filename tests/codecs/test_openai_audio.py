"""Transcription requests: what a form asks for, and every format of its answer."""

import orjson
import pytest
from tests.codecs.signatures import signature
from tests.codecs.test_transcription import AUDIO, TEXT, TIMES, WHOLE, heard, piece

from inferd.codecs.multipart import Form, Part
from inferd.codecs.openai_audio import (
    FORMATS,
    Ask,
    clock,
    delta,
    done,
    fields_of,
    read,
    scalar,
    write,
)
from inferd.codecs.transcription import hearing
from inferd.core.errors import InvalidInput

BARE = signature([AUDIO], [TEXT])
TIMED = signature([AUDIO], [TEXT, *TIMES])


def form(*more, file=b"RIFF", **fields):
    parts = [] if file is None else [Part("file", file, "a.wav")]
    parts += [Part(name, value.encode()) for name, value in (*fields.items(), *more)]
    return Form(parts)


def asked(sent, sig=WHOLE, task="transcribe"):
    return read(sent, fields_of(sent), hearing(sig), task)


def test_a_request_in_short():
    found = asked(form(model="m"))

    assert found.inputs["audio"].tolist() == [b"RIFF"]
    assert (found.parameters, found.format, found.stream, found.words) == ({}, "json", False, False)


def test_what_the_model_is_to_heed_goes_to_it():
    found = asked(
        form(
            model="m", language="en", prompt="1", temperature="0.2", beam_size="5", fast="true",
            threshold="-.5", user="u", empty="",
        )
    )  # fmt: skip

    assert found.parameters == {
        "language": "en", "prompt": "1", "temperature": 0.2, "beam_size": 5, "fast": True,
        "threshold": -0.5, "user": "u",
    }  # fmt: skip
    assert asked(form(model="m"), task="translate").parameters == {"task": "translate"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5), ("-3", -3), ("0.5", 0.5), ("1e-05", 1e-05), ("5.", 5.0), ("True", True), ("false", False),
        ("1e999", "1e999"), ("nan", "nan"), ("1_0", "1_0"), ("٣", "٣"), ("", ""), ("-", "-"),
        ("9" * 19, float("9" * 19)), ("9" * 401, "9" * 401),
    ],
    ids=lambda value: str(value)[:8],
)  # fmt: skip
def test_a_field_is_a_number_or_truth_value_where_it_looks_like_one(text, value):
    found = scalar(text)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (form(file=None, model="m"), '"file" is missing'),
        (form(file=b"", model="m"), '"file" is empty'),
        (form(model="m", response_format="xml"), '"response_format" must be one of json, text'),
        (form(model="m", temperature="1.5"), '"temperature" must be a number from 0 to 1, got 1.5'),
        (form(model="m", temperature="hot"), '"temperature" must be a number'),
        (form(model="m", stream="yes"), '"stream" must be true or false'),
        (form(model="m", stream="true", response_format="srt"), '"stream" is not offered: srt'),
        (form(("include[]", "logprobs"), model="m"), '"include" is not offered'),
        (form(("keywords[]", "a"), model="m"), '"keywords" is not offered'),
        (form(("known_speaker_names[]", "a"), model="m"), '"known_speaker_names" is not offered'),
        (form(("chunking_strategy[type]", "server_vad"), model="m"), '"chunking_strategy" is not offered'),
        (form(("x[]", "a"), model="m"), '"x" is a list or object'),
        (form(("timestamp_granularities[]", "letter"), model="m"), "must be of segment, word, got 'letter'"),
        (form(("timestamp_granularities[]", "word"), model="m"), 'need "response_format": verbose_json'),
    ],
    ids=["file", "empty", "format", "hot", "text", "flag", "stream", "include", "keywords", "speakers",
         "strategy", "list", "letters", "words"],
)  # fmt: skip
def test_what_is_not_offered_is_refused(sent, says):
    with pytest.raises(InvalidInput, match=says):
        asked(sent)


def test_what_asks_for_nothing_is_taken():
    found = asked(
        form(
            ("timestamp_granularities[]", "segment"), model="m", chunking_strategy="auto", language="",
            stream="false",
        )
    )  # fmt: skip

    assert (found.parameters, found.stream) == ({}, False)


@pytest.mark.parametrize("format", FORMATS)
def test_a_model_without_times_answers_texts_alone(format):
    sent = form(model="m", response_format=format)

    if format in ("json", "text"):
        assert asked(sent, BARE).format == format
    else:
        with pytest.raises(InvalidInput, match=f'"response_format" {format} needs times'):
            asked(sent, BARE)


def test_words_are_told_by_a_model_that_knows_them():
    sent = form(("timestamp_granularities[]", "word"), model="m", response_format="verbose_json")

    assert asked(sent).words
    with pytest.raises(InvalidInput, match="this model tells no words"):
        asked(sent, TIMED)


# --------------------------------------------------------------------------------------- answers


@pytest.fixture
def transcript():
    return heard(
        piece(
            b" Go & on", [(b" Go & on", 0, 1.5)], [(b"Go", 0, 0.5), (b"on", 1, 1.5)], language=b"en",
            duration=3723.5,
        ),
        piece(b" <b>\n\nend", [(b" <b>\n\nend --> x", 3600, 3723.4567)]),
    )[0]  # fmt: skip


def answer(transcript, format="json", *, words=False, **parameters):
    return write(transcript, Ask({}, parameters, format=format, words=words))


def test_json_has_the_text(transcript):
    assert orjson.loads(answer(transcript)) == {
        "text": "Go & on <b>\n\nend", "usage": {"type": "duration", "seconds": 3723.5},
    }  # fmt: skip
    assert orjson.loads(answer(heard(piece(b"a"))[0])) == {"text": "a"}


def test_text_is_the_text(transcript):
    found = answer(transcript, "text")

    assert (found.body, found.media) == (b"Go & on <b>\n\nend\n", b"text/plain; charset=utf-8")


def test_verbose_json_has_the_segments(transcript):
    found = orjson.loads(answer(transcript, "verbose_json", temperature=0.4))

    assert {k: found[k] for k in ("task", "language", "duration")} == {
        "task": "transcribe", "language": "en", "duration": 3723.5,
    }  # fmt: skip
    assert "words" not in found
    assert found["segments"][0] == {
        "id": 0, "seek": 0, "start": 0.0, "end": 1.5, "text": "Go & on", "tokens": [], "temperature": 0.4,
        "avg_logprob": 0.0, "compression_ratio": found["segments"][0]["compression_ratio"],
        "no_speech_prob": 0.0,
    }  # fmt: skip
    told = orjson.loads(answer(transcript, "verbose_json", words=True))
    assert told["words"] == [
        {"word": "Go", "start": 0.0, "end": 0.5}, {"word": "on", "start": 1.0, "end": 1.5},
    ]  # fmt: skip


def test_subtitles(transcript):
    assert answer(transcript, "srt").body.decode() == (
        "1\n00:00:00,000 --> 00:00:01,500\nGo & on\n\n"
        "2\n01:00:00,000 --> 01:02:03,457\n<b>\nend --> x\n\n"
    )
    assert answer(transcript, "vtt").body.decode() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nGo &amp; on\n\n"
        "01:00:00.000 --> 01:02:03.457\n&lt;b>\nend --&gt; x\n\n"
    )


def test_nothing_said_has_no_cues():
    silent = heard(piece(b""))[0]

    assert answer(silent, "srt").body == b""
    assert answer(silent, "vtt").body == b"WEBVTT\n\n"
    assert orjson.loads(answer(silent, "verbose_json"))["segments"] == []


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "00:00:00.000"),
        (0.9996, "00:00:01.000"),
        (59.9999, "00:01:00.000"),
        (360000, "100:00:00.000"),
    ],
    ids=str,
)
def test_times_are_written_to_the_thousandth(seconds, told):
    assert clock(seconds, ".") == told


def test_events(transcript):
    assert delta(" a") == {"type": "transcript.text.delta", "delta": " a"}
    assert done(transcript) == {"type": "transcript.text.done", "text": "Go & on <b>\n\nend"}
