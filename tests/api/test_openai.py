import asyncio
import base64
import gzip
import json

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.api.generating import CHAT, Pieces, asked, begun, drained, model
from tests.api.serving import Server, headers, value, version
from tests.codecs.signatures import signature

from inferd.api.offload import Inline
from inferd.api.settings import ApiSettings
from inferd.core.errors import ModelFailed, Overloaded, Unavailable

CHAT_PATH, TEXT_PATH, EMBED_PATH = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
HI = [{"role": "user", "content": "hi"}]
EMBED = signature([("text", "BYTES", [-1])], [("y", "FP32", [-1, 3])])


def lengths(text):
    return {"y": np.array([[len(t), 1, 0] for t in text], np.float32)}


def embedder(name="e", **more):
    return version(name, sig=EMBED, function=lengths, task="embed", **more)


def chat(**more):
    return {"model": "m", "messages": HI, **more}


def error(answer):
    status, body = answer
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return status, body["error"]


@pytest.mark.parametrize("prefix", ["", "/openai"])
def test_a_conversation_is_answered_whole(prefix):
    server = Server(model(Pieces(["Hel", "lo"])))
    status, body = asked(server, prefix + CHAT_PATH, chat())

    assert status == 200
    assert body["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "Hello", "refusal": None},
         "logprobs": None, "finish_reason": "stop"}
    ]  # fmt: skip
    assert body["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    assert body["id"].startswith("chatcmpl-")
    assert (body["object"], body["model"], body["system_fingerprint"]) == (
        "chat.completion",
        "m",
        "m@1",
    )


def test_a_text_is_gone_on_from():
    server = Server(model(Pieces(["b", "c"])))
    status, body = asked(server, TEXT_PATH, {"model": "m", "prompt": ["a", "z"], "echo": True})

    assert status == 200
    assert [c["text"] for c in body["choices"]] == ["abc", "zbc"]
    assert body["object"] == "text_completion"


def test_a_model_that_answers_whole_generates_too():
    sig = signature([("prompt", "BYTES", [-1])], [("text", "BYTES", [-1])])
    whole = version(
        "m", sig=sig, task="generate", function=lambda prompt: {"text": np.array([b"all at once"], object)}
    )  # fmt: skip
    status, body = asked(Server(whole), CHAT_PATH, chat(stop="once"))

    assert (status, body["choices"][0]["message"]["content"]) == (200, "all at ")


def test_what_the_model_is_asked_carries_deadline_id_and_parameters():
    pieces = Pieces(["x"])
    server = Server(model(pieces, sig=CHAT))
    answer = server.post(
        CHAT_PATH, chat(temperature=0.5), X_Request_Id="mine", X_Request_Timeout="2s",
        X_Server_Timing="1", X_Priority="high",
    )  # fmt: skip
    (seen,) = pieces.seen

    assert (seen.id, seen.deadline, seen.priority) == ("mine", server.clock() + 2, 1)
    assert (seen.model, seen.version, seen.parameters) == ("m", "1", {"temperature": 0.5})
    assert value(answer)["id"] == "chatcmpl-mine"
    assert headers(answer)["x-request-id"] == "mine"
    assert "run;dur=3.000" in headers(answer)["server-timing"]
    (heard,) = server.observed
    assert (heard[1], heard[4].run, heard[5]) == (200, 0.003, "m")


def test_a_version_is_named_after_an_at_sign():
    server = Server(model(Pieces(["old"])), model(Pieces(["new"]), number="2"))

    assert asked(server, CHAT_PATH, chat())[1]["choices"][0]["message"]["content"] == "new"
    _, body = asked(server, CHAT_PATH, {**chat(), "model": "m@1"})
    assert (body["choices"][0]["message"]["content"], body["model"]) == ("old", "m@1")
    assert body["system_fingerprint"] == "m@1"
    assert error(asked(server, CHAT_PATH, {**chat(), "model": "m@9"}))[0] == 404


@pytest.mark.parametrize("path", [CHAT_PATH, TEXT_PATH, EMBED_PATH])
def test_an_unknown_model_is_not_found(path):
    status, told = error(asked(Server(embedder()), path, {"model": "gpt-x", "messages": HI}))

    assert status == 404
    assert (told["type"], told["param"], told["code"]) == (
        "invalid_request_error", "model", "model_not_found",
    )  # fmt: skip
    assert "'gpt-x'" in told["message"]


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        (CHAT_PATH, {"messages": HI}, 400, "model"),
        (CHAT_PATH, {"model": "e", "messages": HI}, 400, "model"),
        (CHAT_PATH, chat(temperature=9), 400, "temperature"),
        (CHAT_PATH, [], 400, None),
        (TEXT_PATH, {"model": "m"}, 400, "prompt"),
        (EMBED_PATH, {"model": "m", "input": "x"}, 400, "model"),
        (EMBED_PATH, {"model": "e", "input": []}, 400, "input"),
        ("/v1/nothing", {}, 404, None),
        ("/openai/nothing", {}, 404, None),
    ],
    ids=range(9),
)
def test_what_is_wrong_is_told_in_the_form_of_the_dialect(path, body, status, param):
    server = Server(model(Pieces(["x"])), embedder())
    answer = server.post(path, orjson.dumps(body))

    found, told = error((answer.status, value(answer)))
    assert (found, told["param"]) == (status, param)
    assert told["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("failure", "status", "type_"),
    [
        (Overloaded("busy", retry_after=3), 429, "rate_limit_error"),
        (Unavailable("gone"), 503, "server_error"),
        (ModelFailed("it broke"), 500, "server_error"),
    ],
    ids=["overloaded", "unavailable", "failed"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("when", ["early", "error"])
def test_what_fails_before_the_first_piece_has_its_own_status(failure, status, type_, stream, when):
    server = Server(model(Pieces([], **{when: failure})))
    found, told = error(asked(server, CHAT_PATH, chat(stream=stream)))

    assert (found, told["type"]) == (status, type_)


def test_a_model_that_is_not_ready_is_unavailable():
    loading = model(Pieces(["x"]))
    loading.state, loading.servable = "loading", None
    server = Server(loading)
    answer = server.post(CHAT_PATH, chat())

    assert answer.status == 503
    assert headers(answer)["retry-after"] == "1"


def test_a_model_that_streams_needs_no_task():
    server = Server(model(Pieces(["x"]), task=None))

    assert asked(server, CHAT_PATH, chat())[0] == 200


def test_a_whole_answer_that_nobody_waits_for_ends_its_generation():
    pieces = Pieces(["a", "b", "c"], hold=2)
    server = Server(model(pieces))

    async def leave():
        task = asyncio.create_task(begun(server, CHAT_PATH, chat()))
        await pieces.waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return list(pieces.closed)

    assert asyncio.run(leave()) == [2]


def test_large_answers_are_compressed_where_that_is_wished():
    server = Server(model(Pieces(["x" * 5000])))
    answer = server.post(CHAT_PATH, chat(), Accept_Encoding="gzip")

    assert headers(answer)["content-encoding"] == "gzip"
    assert orjson.loads(gzip.decompress(answer.body))["choices"][0]["finish_reason"] == "stop"


def test_a_compressed_body_is_read():
    server = Server(model(Pieces(["x"])), embedder())
    for path, body in ((CHAT_PATH, chat()), (EMBED_PATH, {"model": "e", "input": "abc"})):
        packed = gzip.compress(orjson.dumps(body))
        assert server.post(path, packed, Content_Encoding="gzip").status == 200


ANY = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
NAMES = st.one_of(
    st.sampled_from([
        "model", "messages", "prompt", "input", "stream", "stream_options", "n", "stop", "max_tokens",
        "temperature", "seed", "tools", "logprobs", "echo", "best_of", "user", "dimensions",
        "encoding_format", "response_format",
    ]),
    st.text(max_size=5),
)  # fmt: skip


@given(st.sampled_from([CHAT_PATH, TEXT_PATH, EMBED_PATH]), st.dictionaries(NAMES, ANY, max_size=4))
def test_whatever_a_body_holds_it_is_answered_or_refused(path, body):
    server = Server(model(Pieces(["x"])), embedder())
    good = {
        "model": "e" if path == EMBED_PATH else "m",
        "messages": HI,
        "prompt": "x",
        "input": "x",
    }
    if path == EMBED_PATH:
        del good["messages"], good["prompt"]
    request = server.head("POST", path)
    request.body = json.dumps({**good, **body}).encode()  # with NaN and lone surrogates

    async def run():
        response = await server.plane.accept(request).handler(request)
        if not isinstance(response.body, bytes):
            return response.status, await drained(response)
        return response.status, response.body

    status, data = asyncio.run(run())
    assert status in (200, 400, 404), data
    assert b"internal" not in data


@pytest.mark.parametrize("prefix", ["", "/openai"])
def test_texts_are_embedded_as_one_request(prefix):
    server = Server(embedder())
    status, body = asked(server, prefix + EMBED_PATH, {"model": "e", "input": ["a", "abc"]})

    assert status == 200
    assert [(d["index"], d["embedding"]) for d in body["data"]] == [(0, [1, 1, 0]), (1, [3, 1, 0])]
    assert body["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    assert len(server.table.find("e").servable.seen) == 1


def test_vectors_may_be_base64():
    body = asked(
        Server(embedder()), EMBED_PATH, {"model": "e", "input": "ab", "encoding_format": "base64"}
    )[1]

    packed = base64.b64decode(body["data"][0]["embedding"])
    assert np.frombuffer(packed, "<f4").tolist() == [2, 1, 0]


class Elsewhere(Inline):
    """Codes as another process would, and remembers what."""

    def __init__(self):
        self.done = []

    async def decode(self, door, *rest):
        self.done.append(("decode", door))
        return await super().decode(door, *rest)

    async def encode(self, door, *rest):
        self.done.append(("encode", door))
        return await super().encode(door, *rest)


def test_large_bodies_and_answers_of_embeddings_are_coded_elsewhere():
    elsewhere = Elsewhere()
    server = Server(embedder(), settings=ApiSettings(offload_bytes=500), offload=elsewhere)
    body = {"input": ["x" * 10] * 100, "model": "e", "encoding_format": "float"}
    status, answer = asked(server, EMBED_PATH, body)

    assert (status, len(answer["data"])) == (200, 100)
    assert elsewhere.done == [("decode", "openai_embeddings"), ("encode", "openai_embeddings")]
    told = error(asked(server, EMBED_PATH, {**body, "model": "zz"}))
    assert (told[0], told[1]["param"]) == (404, "model")
    wrong = error(asked(server, EMBED_PATH, {**body, "encoding_format": "int4"}))
    assert (wrong[0], wrong[1]["param"]) == (400, "encoding_format")


def test_models_are_listed_below_the_prefix():
    server = Server(embedder(), model(Pieces(["x"])))
    listed = value(server.get("/openai/v1/models"))

    assert listed["object"] == "list"
    assert [(m["id"], m["object"], m["owned_by"]) for m in listed["data"]] == [
        ("e", "model", "inferd"), ("m", "model", "inferd"),
    ]  # fmt: skip
    assert value(server.get("/openai/v1/models/e")) == listed["data"][0]
    assert error((404, value(server.get("/openai/v1/models/z"))))
