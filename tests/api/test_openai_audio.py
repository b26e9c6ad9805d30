"""Transcriptions and translations over HTTP: forms in, every format out, and what goes wrong."""

import asyncio
import gzip
import threading

import numpy as np
import orjson
import pytest
from tests.api.generating import Pieces, drained, events, model
from tests.api.serving import Server, headers, value, version
from tests.codecs.signatures import signature
from tests.codecs.test_multipart import form, part
from tests.codecs.test_openai_audio import BARE
from tests.codecs.test_transcription import WHOLE, piece

from inferd.api.settings import ApiSettings
from inferd.codecs import multipart
from inferd.core.errors import ModelFailed, Overloaded, Unavailable

PATH = "/v1/audio/transcriptions"
FORM = "multipart/form-data; boundary=edge"
SAID = [
    piece(b" Go", [(b" Go", 0, 1)], language=b"en", duration=2.0),
    piece(b" on", [(b" on", 1, 2)]),
]


def hears(pieces=SAID, name="m", sig=WHOLE, **more):
    servable = pieces if isinstance(pieces, Pieces) else Pieces(pieces)
    return model(servable, name, sig, **{"task": "transcribe", **more})


def sent(*more, file=b"RIFF", **fields):
    fields = {"model": "m", **fields}
    parts = [part(name, str(text).encode()) for name, text in (*fields.items(), *more)]
    return form(*parts, *([] if file is None else [part("file", file, "a.wav")]))


def post(server, *more, path=PATH, headers=(), **fields):
    return server.post(path, sent(*more, **fields), content_type=FORM, **dict(headers))


def told(response, status):
    assert response.status == status, response.body
    (error,) = value(response).values()
    assert set(error) == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize("prefix", ["", "/openai"])
def test_speech_is_written_down(prefix):
    pieces = Pieces(SAID)
    server = Server(hears(pieces))
    answer = post(
        server, path=prefix + PATH, headers={"X_Request_Id": "mine", "X_Server_Timing": "1"}
    )
    (seen,) = pieces.seen

    assert value(answer) == {"text": "Go on", "usage": {"type": "duration", "seconds": 2.0}}
    assert seen.inputs["audio"].tolist() == [b"RIFF"]
    assert (seen.id, seen.parameters) == ("mine", {})
    assert headers(answer)["x-request-id"] == "mine"
    assert "run;dur=3.000" in headers(answer)["server-timing"]
    (heard,) = server.observed
    assert (heard[1], heard[4].run, heard[5]) == (200, 0.003, "m")


def test_a_translation_says_so_to_the_model():
    pieces = Pieces(SAID)
    answer = post(
        Server(hears(pieces)),
        path="/v1/audio/translations",
        response_format="verbose_json",
        prompt="p",
    )

    assert (value(answer)["task"], value(answer)["text"]) == ("translate", "Go on")
    assert pieces.seen[0].parameters == {"task": "translate", "prompt": "p"}


@pytest.mark.parametrize(
    ("format", "media", "begins"),
    [
        ("json", "application/json", b'{"text":"Go on"'),
        ("text", "text/plain; charset=utf-8", b"Go on\n"),
        ("srt", "text/plain; charset=utf-8", b"1\n00:00:00,000 --> 00:00:01,000\nGo\n\n2\n"),
        ("vtt", "text/vtt; charset=utf-8", b"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nGo\n"),
        (
            "verbose_json",
            "application/json",
            b'{"task":"transcribe","language":"en","duration":2.0',
        ),
    ],
)
def test_every_format(format, media, begins):
    answer = post(Server(hears()), response_format=format)

    assert (answer.status, answer.content_type.decode()) == (200, media)
    assert answer.body.startswith(begins)


def test_a_model_that_answers_whole_transcribes_too():
    whole = version("m", sig=BARE, task="transcribe",
                    function=lambda audio: {"text": np.array([b"all at once"], object)})  # fmt: skip

    assert value(post(Server(whole))) == {"text": "all at once"}


def streamed(server, **fields):
    async def run():
        request = server.head("POST", PATH, {"content-type": FORM})
        request.body = sent(stream="true", **fields)
        response = await server.plane.accept(request).handler(request)
        if isinstance(response.body, bytes):
            return response.status, orjson.loads(response.body)
        return response.status, [orjson.loads(e) for e in events(await drained(response))]

    return asyncio.run(run())


def test_text_comes_as_it_grows():
    assert streamed(Server(hears())) == (200, [
        {"type": "transcript.text.delta", "delta": "Go"},
        {"type": "transcript.text.delta", "delta": " on"},
        {"type": "transcript.text.done", "text": "Go on"},
    ])  # fmt: skip


def test_what_fails_before_the_first_piece_has_its_status():
    status, body = streamed(Server(hears(Pieces([], error=ModelFailed("no ears")))))

    assert (status, body["error"]["code"]) == (500, "model_failed")


def test_what_fails_later_is_the_last_event():
    status, found = streamed(Server(hears(Pieces(SAID[:1], error=ModelFailed("no ears")))))

    assert status == 200
    assert found[-1]["error"]["message"] == "no ears"
    assert [e["type"] for e in found[:-1]] == ["transcript.text.delta"]


def test_a_client_that_goes_away_ends_the_transcription():
    pieces = Pieces(SAID * 50)

    async def run():
        server = Server(hears(pieces))
        request = server.head("POST", PATH, {"content-type": FORM})
        request.body = sent(stream="true")
        response = await server.plane.accept(request).handler(request)
        await anext(response.body)
        await response.body.aclose()

    asyncio.run(run())
    assert len(pieces.closed) == 1 and pieces.closed[0] < 100


@pytest.mark.parametrize(
    ("fields", "status", "param", "says"),
    [
        ({"model": "x"}, 404, "model", "'x'"),
        ({"model": ""}, 400, "model", '"model" is missing'),
        ({"model": "chat"}, 400, "model", "\"model\" does not transcribe: its task is 'generate'"),
        ({"model": "samples"}, 400, "model", "does not take audio files"),
        ({"file": None}, 400, "file", '"file" is missing'),
        ({"response_format": "xml"}, 400, "response_format", "must be one of"),
        (
            {"model": "bare", "response_format": "srt"},
            400,
            "response_format",
            "this model tells none",
        ),
    ],
    ids=["unknown", "none", "task", "input", "file", "format", "times"],
)
def test_what_is_wrong_is_told_in_openais_form(fields, status, param, says):
    samples = hears(name="samples", sig=version().signature)
    server = Server(hears(), hears(name="bare", sig=BARE), model(Pieces([]), "chat"), samples)
    error = told(post(server, **fields), status)

    assert (error["param"], error["type"]) == (param, "invalid_request_error")
    assert says in error["message"]


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"", FORM, 400), (b"--edge\r\n", FORM, 400), (sent(), "multipart/form-data", 400),
        (sent(), FORM.replace("edge", "egde"), 400), (b"{}", "application/json", 415),
        (b"model=m", "application/x-www-form-urlencoded", 415), (sent(), "multipart/mixed; boundary=edge", 415),
    ],
    ids=["empty", "cut", "boundary", "other", "json", "urlencoded", "mixed"],
)  # fmt: skip
def test_what_is_no_form_is_refused(body, media, status):
    told(Server(hears()).post(PATH, body, content_type=media), status)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Overloaded("full", retry_after=1.0), 429, "rate_limit_exceeded"),
        (Unavailable("not now", retry_after=1.0), 503, "unavailable"),
        (ModelFailed("no ears"), 500, "model_failed"),
    ],
    ids=["full", "away", "failed"],
)
def test_errors_of_the_model_keep_their_kind(error, status, code):
    answer = post(Server(hears(Pieces([], early=error))))

    assert told(answer, status)["code"] == code


def test_the_limit_is_that_of_binary_bodies():
    server = Server(hears(), settings=ApiSettings(json_body_bytes=10, binary_body_bytes=4321))
    post(server)

    assert server.limit == 4321


def test_a_large_form_is_read_beside_the_loop(monkeypatch):
    threads, plain = [], multipart.read

    def noted(*given):
        threads.append(threading.current_thread())
        return plain(*given)

    monkeypatch.setattr(multipart, "read", noted)
    pieces = Pieces(SAID)
    server = Server(hears(pieces), settings=ApiSettings(offload_bytes=1000))
    for size in (10, 5000):
        assert post(server, file=b"\xff" * size).status == 200

    assert [t is threading.main_thread() for t in threads] == [True, False]
    assert [len(seen.inputs["audio"][0]) for seen in pieces.seen] == [10, 5000]


def test_forms_and_answers_may_be_compressed():
    server = Server(hears())
    answer = server.post(
        PATH, gzip.compress(sent(response_format="text")), content_type=FORM, content_encoding="gzip",
        accept_encoding="gzip",
    )  # fmt: skip

    assert headers(answer)["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body) == b"Go on\n"


def test_an_optional_input_is_left_out_and_audio_is_given():
    pieces = Pieces([{"text": np.array([b"hi"], object)}])
    sig = signature(
        [("text", "BYTES", [-1], {"default": ""}), ("audio", "BYTES", [-1], {"default": "", "content": "audio"})],
        [("text", "BYTES", [-1])],
    )  # fmt: skip

    assert value(post(Server(hears(pieces, sig=sig)))) == {"text": "hi"}
    assert list(pieces.seen[0].inputs) == ["audio"]
