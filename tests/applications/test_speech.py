"""Speech to text with a real model: what five people's clips say, long recordings, many at once, bad files."""

import base64
import concurrent.futures
import contextlib
import http.client
import io
import json
import time
import wave

import numpy as np
import pytest
from examples.kit import words
from examples.kit.recipes import librivox, silero, whisper
from tests.applications import spoken
from tests.system.serving import serving, until

import inferd

WORST = 0.15
"""The word error rate that five clips may have together."""

PREDICT = "/models/whisper/predict"
WAV = {"Content-Type": "audio/wav"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    whisper.build(folder / "whisper")
    whisper.build(folder / "patient", voice_activity=True)
    return folder


@pytest.fixture(scope="module")
def server(repository, tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech-server")
    with serving(folder, repository, "--instances", 1, start=120) as running:
        yield running


@pytest.fixture(scope="module")
def clips():
    found = librivox.clips()
    assert len(found) == 5
    return found


@pytest.fixture(scope="module")
def alone(server, clips):
    """Return what is heard in each clip, asked one after the other."""
    return {clip.name: heard(server, clip.wav)["text"] for clip in clips}


def heard(server, body, path=PREDICT, **headers):
    answer = server.ask(path, body=body, headers={**WAV, **headers})
    return answer.result


def pcm(wav):
    with wave.open(io.BytesIO(wav)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


@pytest.fixture(scope="module")
def long(clips):
    """Return a recording of over a minute: the clips, with some seconds of a quiet room between them."""
    random = np.random.default_rng(0)
    parts = []
    for clip in clips:
        room = (random.normal(size=9 * spoken.RATE) * 10).astype(np.int16)
        parts += [room, pcm(clip.wav)]
    recording = np.concatenate(parts)
    assert len(recording) > 60 * spoken.RATE
    return recording


def events(server, body, path=PREDICT):
    """Yield (seconds, result) of a streamed answer."""
    begin = time.monotonic()
    host, port = server.data
    with contextlib.closing(http.client.HTTPConnection(host, port, timeout=120)) as connection:
        connection.request("POST", path, body, {**WAV, "Accept": "text/event-stream"})
        response = connection.getresponse()
        assert response.status == 200, response.read()
        for line in response:
            if line.startswith(b"data: "):
                yield time.monotonic() - begin, json.loads(line[6:])["result"]


def test_five_clips_are_heard_rightly(alone, clips, capsys):
    pairs = [(clip.text, alone[clip.name]) for clip in clips]

    rate = words.word_error_rate(pairs)

    with capsys.disabled():
        print(f"\nword error rate over five LibriVox clips: {rate:.3f}")
    assert rate <= WORST, pairs


@pytest.mark.parametrize("media", ["audio/wav", "audio/x-wav", "audio/wave"])
def test_a_recording_is_a_body(server, clips, media):
    answer = server.ask(PREDICT, body=clips[4].wav, headers={"Content-Type": media})

    assert answer.result["text"] == "He might even have been made amiable himself."
    assert answer.result["language"] == "en"
    assert answer.result["duration"] == pytest.approx(3.29)


@pytest.mark.parametrize("format", ["FLAC", "OGG"])
def test_other_formats_and_rates_say_the_same(server, clips, format):
    import soundfile
    import soxr

    file = io.BytesIO()
    samples = soxr.resample(pcm(clips[4].wav).astype(np.float32) / 32768, spoken.RATE, 44_100)
    soundfile.write(file, np.stack([samples, samples], axis=1), 44_100, format=format)
    media = {"Content-Type": f"audio/{format.lower()}"}

    result = server.ask(PREDICT, body=file.getvalue(), headers=media).result

    assert words.word_error_rate([(clips[4].text, result["text"])]) <= WORST


def test_a_recording_may_lie_in_json_or_be_a_file_of_the_client(server, clips, tmp_path):
    clip = clips[4]
    file = tmp_path / "clip.wav"
    file.write_bytes(clip.wav)
    body = {"data": {"b64": base64.b64encode(clip.wav).decode()}, "parameters": {"language": "en"}}

    answer = server.ask(
        PREDICT, body=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    with inferd.Client("http://{}:{}".format(*server.data)) as client:
        found = client.predict("whisper", file)

    assert answer.result["text"] == found["text"].item().decode()
    assert words.words(answer.result["text"]) == words.words(clip.text)


def test_a_long_recording_comes_a_segment_at_a_time_with_progress(server, clips, long):
    pieces = list(events(server, spoken.wav(long)))

    progress = [result["progress"] for _, result in pieces if "progress" in result]
    texts = "".join(result.get("text", "") for _, result in pieces)
    said = " ".join(clip.text for clip in clips)
    assert progress == sorted(progress)
    assert progress[-1] == 1
    assert len({round(seconds, 1) for seconds, _ in pieces}) >= 3, "it comes in parts"
    assert pieces[0][0] < pieces[-1][0] / 2, "the first comes long before the last"
    assert words.word_error_rate([(said, texts)]) <= WORST + 0.1
    starts = [s for _, result in pieces for s in result.get("starts", ())]
    assert starts == sorted(starts)
    assert starts[-1] > 50


def test_without_silence_it_is_heard_as_well_and_at_the_same_times(server, clips, long):
    result = heard(server, spoken.wav(long), "/models/patient/predict")

    said = " ".join(clip.text for clip in clips)
    assert words.word_error_rate([(said, result["text"])]) <= WORST
    assert result["duration"] == pytest.approx(len(long) / spoken.RATE)
    assert result["starts"][0] == pytest.approx(9, abs=1)
    assert result["ends"][-1] == pytest.approx(len(long) / spoken.RATE, abs=2)


@pytest.mark.parametrize("model", ["whisper", "patient"])
def test_where_nobody_speaks_nothing_is_heard(server, model):
    silence = np.zeros(40 * spoken.RATE, np.int16)

    result = heard(server, spoken.wav(silence), f"/models/{model}/predict")

    assert result["text"] == ""
    assert result["segments"] == []


def test_eight_at_once_are_all_heard(server, alone, clips):
    asked = [clips[i % 5] for i in range(8)]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda clip: heard(server, clip.wav)["text"], asked))

    assert together == [alone[clip.name] for clip in asked]


def test_a_clip_need_not_wait_for_a_long_recording(server, clips, long):
    with contextlib.closing(events(server, spoken.wav(np.tile(long, 4)))) as pieces:
        next(pieces)
        assert heard(server, clips[4].wav)["text"]
        _, result = next(pieces)

    assert result["progress"] < 1, "the long one is still at work"


def test_who_goes_away_frees_the_model(server, clips, long):
    with contextlib.closing(events(server, spoken.wav(np.tile(long, 20)))) as pieces:
        next(pieces)
    begin = time.monotonic()

    assert heard(server, clips[4].wav)["text"]

    assert time.monotonic() - begin < 60
    until(lambda: server.metrics()["inferd_in_flight"] == 0, 30)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(lambda wav: wav[: len(wav) // 2], "cut off", id="half"),
        pytest.param(lambda wav: b"this is a text, named speech.wav", "known format", id="text"),
        pytest.param(lambda wav: wav[:44], "cut off", id="a-head-alone"),
        pytest.param(lambda wav: b"RIFF" + bytes(5000), "known format", id="zeros"),
        pytest.param(lambda wav: wav[:22] + b"\xff\xff" + wav[24:], "", id="65535-channels"),
    ],
)
def test_what_is_no_recording_is_refused(server, clips, spoil, says):
    answer = server.ask(PREDICT, body=spoil(clips[1].wav), headers=WAV)

    assert answer.status == 400
    assert says in answer.json["error"]["message"]


def test_nothing_at_all_is_refused(server):
    answer = server.ask(PREDICT, body=b"", headers=WAV, method="POST")

    assert answer.status == 400
    assert "empty" in answer.json["error"]["message"]


def test_a_language_it_does_not_know_is_refused(server, clips):
    body = {
        "data": {"b64": base64.b64encode(clips[1].wav).decode()}, "parameters": {"language": "de"},
    }  # fmt: skip
    answer = server.ask(
        PREDICT, body=json.dumps(body), headers={"Content-Type": "application/json"}
    )

    assert answer.status == 400
    assert answer.json["error"]["help"] == "it knows en"


def test_a_synthetic_voice_is_understood(server):
    """A helper of other tests: what eSpeak says can be heard."""
    for text in ("Where is my order?", "Can I change the delivery address to Berlin?"):
        said = words.word_error_rate([(text, heard(server, spoken.say(text))["text"])])
        assert said <= 0.25, text


@pytest.mark.parametrize("form", ["silero_vad_16k_sequence.onnx", "silero_vad.onnx"])
def test_both_forms_of_the_network_hear_where_it_is_spoken(clips, long, form, tmp_path):
    from examples.kit.packages import fetch, member

    from inferd.transforms import voice

    path = tmp_path / "silero_vad.onnx"
    path.write_bytes(member(fetch(silero.SILERO), f"silero_vad/data/{form}"))
    session = voice.load_network(path, path.name)
    samples = long.astype(np.float32) / 32768

    found = voice.spans(
        voice.probabilities(session, samples), len(samples),
        threshold=0.5, speech=4000, silence=4800, padding=0,
    )  # fmt: skip

    begin = 0
    expected = []
    for clip in clips:
        begin += 9 * spoken.RATE
        expected.append((begin / spoken.RATE, (begin + len(pcm(clip.wav))) / spoken.RATE))
        begin += len(pcm(clip.wav))
    np.testing.assert_allclose(np.array(found) / spoken.RATE, expected, atol=0.4)
