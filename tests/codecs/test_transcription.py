"""Models that transcribe: which tensors are what, and how a transcript grows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.codecs.signatures import signature

from inferd.codecs.transcription import Stretch, Transcript, hearing
from inferd.core.errors import InvalidInput, ModelFailed

AUDIO = ("audio", "BYTES", [-1], "audio")
TEXT = ("text", "BYTES", [-1])
TIMES = [("segments", "BYTES", [-1, -1]), ("starts", "FP32", [-1, -1]), ("ends", "FP32", [-1, -1])]
WORDS = [
    ("words", "BYTES", [-1, -1]), ("word_starts", "FP32", [-1, -1]), ("word_ends", "FP32", [-1, -1]),
]  # fmt: skip
WHOLE = signature([AUDIO], [TEXT, *TIMES, *WORDS])


def piece(text=b"", segments=(), words=(), **more):
    found = {"text": np.array([text], object)}
    for names, given_ in ((TIMES, segments), (WORDS, words)):
        columns = list(zip(*given_, strict=True)) or [(), (), ()]
        for (name, _, _), column in zip(names, columns, strict=True):
            found[name] = np.array(
                [list(column)], object if name in ("segments", "words") else "float32"
            )
    return found | {
        k: np.array([v], object if isinstance(v, bytes) else "float32") for k, v in more.items()
    }


def heard(*pieces, sig=WHOLE):
    transcript = Transcript(hearing(sig))
    news = [transcript.feed(each) for each in pieces]
    return transcript, [*news, transcript.end()]


@pytest.mark.parametrize(
    ("inputs", "audio"),
    [
        ([AUDIO], "audio"),
        ([("sound", "BYTES", [-1], "audio")], "sound"),
        ([("audio", "BYTES", [-1, 1])], "audio"),
        ([("file", "BYTES", [-1])], "file"),
        ([("text", "BYTES", [-1], {"default": ""}), AUDIO], "audio"),
        ([("audio", "BYTES", [-1], {"default": "", "content": "audio"}), ("text", "BYTES", [-1], {"default": ""})],
         "audio"),
    ],
    ids=["named", "content", "plain", "lone", "optional", "both-optional"],
)  # fmt: skip
def test_the_input_that_takes_a_file_is_found(inputs, audio):
    found = hearing(signature(inputs, [TEXT]))

    assert found.audio.name == audio
    (array,) = found.inputs(b"RIFF").values()
    assert array.shape == (1,) * len(found.audio.shape)
    assert array.reshape(-1).tolist() == [b"RIFF"]


@pytest.mark.parametrize(
    ("inputs", "outputs", "says"),
    [
        ([("audio", "FP32", [-1, -1])], [TEXT], "does not take audio files"),
        ([("image", "BYTES", [-1], "image")], [TEXT], "does not take audio files"),
        ([AUDIO, ("rate", "INT64", [-1])], [TEXT], "has an input 'rate'"),
        ([AUDIO], [("y", "FP32", [-1])], "does not transcribe"),
        ([AUDIO], [("text", "FP32", [-1])], "does not transcribe"),
    ],
    ids=["samples", "image", "more", "numbers", "text"],
)
def test_a_model_that_does_not_fit_is_refused(inputs, outputs, says):
    with pytest.raises(InvalidInput, match=f'^"model" .*{says}|^"model" {says}'):
        hearing(signature(inputs, outputs))


def test_times_need_three_outputs():
    assert not hearing(signature([AUDIO], [TEXT, *TIMES[:2]])).segments
    found = hearing(signature([AUDIO], [TEXT, *TIMES]))
    assert found.segments and not found.words


def test_a_transcript_grows():
    transcript, news = heard(
        piece(b" Go on", [(b" Go on", 0, 1.5)], language=b"en", duration=4.0, progress=0.5),
        piece(b" and", [(b" and", 1.5, 2), (b"", 2, 2)], [(b"and", 1.5, 2)]),
        piece(b"\n", language=b"de", duration=5.0),
    )

    assert news == ["Go on", " and", "\n", ""]
    assert transcript.text == "Go on and"
    assert transcript.segments == [
        Stretch("Go on", 0.0, 1.5), Stretch("and", 1.5, 2.0), Stretch("", 2.0, 2.0),
    ]  # fmt: skip
    assert transcript.words == [Stretch("and", 1.5, 2.0)]
    assert (transcript.language, transcript.duration) == ("de", 5.0)


def test_without_a_duration_the_end_of_what_was_said_counts():
    assert heard(piece(b"a", [(b"a", 0, 1), (b"b", 1, 2.5)]))[0].duration == 2.5
    assert heard(piece(b"a"))[0].duration is None


@given(st.text("aé€𝄞 ", max_size=12), st.lists(st.integers(0, 40), max_size=6))
def test_a_text_is_the_same_however_it_is_cut(text, cuts):
    data = text.encode()
    places = sorted({min(c, len(data)) for c in cuts} | {0, len(data)})
    pieces = [piece(data[a:b]) for a, b in zip(places, [*places[1:], len(data)], strict=True)]

    transcript, news = heard(*pieces)

    assert transcript.text == text.strip()
    assert "".join(news) == text.lstrip()


def test_an_incomplete_character_is_replaced_at_the_end():
    assert heard(piece(b"a\xc3"))[1] == ["a", "\ufffd"]


@pytest.mark.parametrize("value", [-1, np.nan, np.inf], ids=["negative", "nan", "infinite"])
def test_times_that_are_none_are_zero(value):
    transcript, _ = heard(piece(b"a", [(b"a", value, value)], duration=value))

    assert transcript.segments == [Stretch("a", 0.0, 0.0)]
    assert transcript.duration == 0.0


def test_stretches_that_do_not_belong_together_are_the_models_fault():
    broken = piece(b"a", [(b"a", 0, 1)])
    broken["ends"] = np.zeros((1, 2), np.float32)

    with pytest.raises(ModelFailed, match="segments 1, starts 1, ends 2"):
        heard(broken)
    del broken["ends"]
    with pytest.raises(ModelFailed, match="ends 0"):
        heard(broken)
