"""The unmodified ``openai`` client against real models: a chat, vectors, and speech, from one server."""

from __future__ import annotations

import io

import pytest
from examples.kit import words
from examples.kit.recipes import librivox, minilm, smollm, whisper
from tests.system.serving import serving

openai = pytest.importorskip("openai")

CAPITAL = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
FEW = 24
"""Tokens of an answer."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("openai-client")
    for name, recipe in (("whisper", whisper), ("smollm", smollm), ("minilm", minilm)):
        recipe.build(folder / "models" / name)
    with serving(folder / "server", folder / "models", "--instances", 1, start=180) as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    host, port = server.data
    with openai.OpenAI(
        base_url=f"http://{host}:{port}/v1", api_key="any", max_retries=0,
        default_headers={"X-Request-Timeout": "120s"},
    ) as client:  # fmt: skip
        yield client


@pytest.fixture(scope="module")
def clip():
    return librivox.clips()[0]


def hear(client, clip, **more):
    return client.audio.transcriptions.create(model="whisper", file=(clip.name, clip.wav), **more)


def near(text, clip):
    """Return whether a transcript is about what was said."""
    said = words.words(clip.text)
    return words.errors(said, words.words(text)) <= 0.3 * len(said)


def test_a_chat_is_answered_whole_and_streamed(client):
    asked = {"model": "smollm", "messages": CAPITAL, "max_tokens": FEW, "temperature": 0}
    whole = client.chat.completions.create(**asked)
    options = {"include_usage": True}
    *chunks, last = client.chat.completions.create(**asked, stream=True, stream_options=options)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    assert "Paris" in whole.choices[0].message.content
    assert streamed == whole.choices[0].message.content
    assert len(chunks) > 3
    assert last.usage == whole.usage
    assert 0 < whole.usage.completion_tokens <= FEW


def test_a_text_is_gone_on_from(client):
    found = client.completions.create(
        model="smollm", prompt="One, two, three,", max_tokens=8, temperature=0
    )

    assert "four" in found.choices[0].text.lower()


def test_vectors_tell_what_is_near(client):
    texts = ["My card was stolen", "Somebody took my credit card", "The weather is fine today"]
    lost, taken, weather = (
        e.embedding for e in client.embeddings.create(model="minilm", input=texts).data
    )

    def product(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True))

    assert len(lost) == minilm.SIZE
    assert product(lost, taken) > 0.5 > product(lost, weather)


@pytest.mark.parametrize("format", ["json", "text", "srt", "vtt", "verbose_json"])
def test_speech_is_written_down_in_every_format(client, clip, format):
    found = hear(client, clip, response_format=format)

    if format in ("json", "verbose_json"):
        assert near(found.text, clip)
    else:
        assert clip.text.split()[0].lower() in found.lower()
    if format == "verbose_json":
        assert 1 < found.duration < 10
        assert found.language == "en"
        assert near(" ".join(segment.text for segment in found.segments), clip)
        assert all(0 <= s.start < s.end <= found.duration + 1 for s in found.segments)
    if format in ("srt", "vtt"):
        assert "00:00:00" in found and " --> " in found


def test_speech_is_written_down_as_it_is_heard(client, clip):
    *deltas, done = hear(client, clip, stream=True)

    assert done.type == "transcript.text.done"
    assert "".join(event.delta for event in deltas).strip() == done.text
    assert near(done.text, clip)


def test_what_is_no_sound_is_refused(client):
    with pytest.raises(openai.BadRequestError):
        client.audio.transcriptions.create(model="whisper", file=io.BytesIO(b"no sound at all"))


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_a_model_of_one_language_does_not_translate(client, clip):
    with pytest.raises(openai.BadRequestError, match="translate"):
        client.audio.translations.create(model="whisper", file=(clip.name, clip.wav))
