"""Events to pieces, vectors, lists of models and errors, in all the forms that engines have."""

import base64
import contextlib
import json as stdlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routing.remote.engines import DONE, USAGE, chunk, event, legacy, listed

from inferd.codecs import json
from inferd.core.errors import (
    InvalidInput,
    ModelFailed,
    NotAllowed,
    NotFound,
    Overloaded,
    TooLarge,
    Unavailable,
    Unsupported,
)
from inferd.core.message import joined
from inferd.routing.remote import openai_read
from inferd.routing.remote.events import Events
from inferd.routing.remote.openai_read import Refused, Reply


def answered(data, size, wanted=None):
    """Feed bytes, cut into parts of ``size``; return pieces and the reply."""
    cut, reply, pieces = Events(), Reply(5, wanted), []
    for at in range(0, len(data), size):
        for found in cut.feed(data[at : at + size]):
            pieces.append(reply.feed(found))
    return [p for p in pieces if p], reply


CHAT = b"".join(
    [
        b": a comment, to keep the connection\n\n",
        event({"choices": [{"delta": {"role": "assistant", "content": None}}]}, b"\r\n"),
        event(chunk("né"), b"\r\n"),
        b"event: message\nid: 7\n" + event(chunk("e 日")),
        b": ping\n\n",
        event({"choices": [{"index": 1, "delta": {"content": "another choice"}}]}),
        event({"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]}),
        event({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0}]}}]}),
        event(chunk("本", "length")),
        event({"choices": [], "usage": USAGE}),
        b"data:[DONE]\n\n",
    ]
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000], ids=str)
def test_a_chat_is_read_however_it_is_cut(size):
    pieces, reply = answered(CHAT, size)

    assert [p["text"].tolist() for p in pieces] == [
        ["né".encode()],
        ["e 日".encode()],
        ["本".encode()],
    ]
    assert reply.done
    whole = joined([*pieces, reply.end()])
    assert whole["text"].tolist() == ["née 日本".encode()]
    assert whole["finish_reason"].tolist() == [b"length"]
    assert (whole["prompt_tokens"].tolist(), whole["completion_tokens"].tolist()) == ([31], [12])


def test_a_completion_whose_counts_come_with_its_last_choice():
    data = event(legacy("a")) + event(legacy("b")) + event(legacy("", "stop", usage=USAGE)) + DONE
    pieces, reply = answered(data, 1000)

    assert [p["text"][0] for p in pieces] == [b"a", b"b"]
    assert reply.end()["completion_tokens"].tolist() == [12]


def test_what_nobody_counts_is_estimated():
    _, reply = answered(event(chunk("a")) + event(chunk("b", usage=None)) + DONE, 1000)
    last = reply.end()

    assert (last["prompt_tokens"][0], last["completion_tokens"][0]) == (5, 2)
    assert last["finish_reason"].tolist() == [b"stop"]


def test_counts_that_are_none_are_not_believed():
    odd = {"prompt_tokens": -1, "completion_tokens": "12"}
    _, reply = answered(event(chunk("a", "stop", usage=odd)), 1000)

    assert (reply.end()["prompt_tokens"][0], reply.end()["completion_tokens"][0]) == (5, 1)


def test_the_outputs_wanted_alone_are_given():
    pieces, reply = answered(CHAT, 1000, wanted=("finish_reason",))

    assert pieces == []
    assert set(reply.end()) == {"finish_reason"}


@pytest.mark.parametrize("data", [b"[1]", b"hello", b"{", b"3"], ids=str)
def test_what_is_no_event_is_refused(data):
    with pytest.raises(InvalidInput):
        Reply(1).feed(data)


@pytest.mark.parametrize("data", [{}, {"choices": None}, {"choices": [3]}, {"choices": [{"delta": 3}]},
                                  {"choices": [{"index": 0, "text": 3}]}, {"error": None}], ids=str)  # fmt: skip
def test_what_says_nothing_is_passed_over(data):
    assert Reply(1).take(data) is None


@pytest.mark.parametrize(
    ("value", "kind", "status", "message"),
    [
        ({"error": {"message": "m", "code": 500}}, ModelFailed, 500, "m"),
        ({"error": {"message": "m", "code": 429}}, Overloaded, 429, "m"),
        ({"error": {"message": "m", "code": "context_length"}}, ModelFailed, 500, "m"),
        ({"error": {"type": "overloaded_error"}}, ModelFailed, 500, "overloaded_error"),
        ({"error": "it broke"}, ModelFailed, 500, "it broke"),
        ({"object": "error", "message": "m", "code": 400}, InvalidInput, 400, "m"),
    ],
    ids=str,
)
def test_an_event_may_say_an_error(value, kind, status, message):
    with pytest.raises(Refused) as caught:
        Reply(1).feed(json.dumps(value))
    found = caught.value
    assert (type(found.error), found.status, found.error.message) == (kind, status, message)


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, {"error": {"message": "too long", "type": "x"}}, InvalidInput, "too long"),
        (400, {"object": "error", "message": "too long", "code": 400}, InvalidInput, "too long"),
        (400, {"message": "too long"}, InvalidInput, "too long"),
        (422, {"error": "unprocessable"}, InvalidInput, "unprocessable"),
        (422, {"detail": [{"loc": ["body", "top_p"], "msg": "too big"}]}, InvalidInput, "body.top_p: too big"),
        (404, {"detail": "Not Found"}, NotFound, "Not Found"),
        (413, {"error": "large"}, TooLarge, "large"),
        (401, {"error": {"message": "no"}}, NotAllowed, "no"),
        (429, {"error": {"message": "busy"}}, Overloaded, "busy"),
        (500, {"error": {"message": "dead"}}, ModelFailed, "dead"),
        (501, {"error": {"message": "no embeddings"}}, Unsupported, "no embeddings"),
        (503, {"error": {"message": "Loading model"}}, Unavailable, "Loading model"),
        (502, b"<html><title>Bad gateway</title>", Unavailable, "Bad gateway"),
        (500, b"", ModelFailed, "without an explanation"),
    ],
    ids=["openai", "older vllm", "message", "tgi", "fastapi", "route", "large", "key", "busy", "dead",
         "unoffered", "loading", "page", "nothing"],
)  # fmt: skip
def test_refusals(status, body, kind, message):
    found = openai_read.refused(status, body if isinstance(body, bytes) else json.dumps(body))

    assert type(found.error) is kind
    assert message in found.error.message


@pytest.mark.parametrize(
    ("models", "given", "name"),
    [
        ([("chat",), ("other",)], "", "chat"),
        ([("chat",), ("other",)], "other", "other"),
        ([("/models/x.gguf",)], "", "/models/x.gguf"),
        ([("/models/x.gguf", "alias")], "alias", "alias"),
        ([("qwen:latest",), ("qwen:7b",)], "qwen", "qwen"),
    ],
    ids=["the service's", "given", "the only one", "alias", "latest"],
)
def test_which_model_is_asked_for(models, given, name):
    assert openai_read.named(models, given, "chat") == name


@pytest.mark.parametrize(
    ("models", "given", "told"),
    [
        ([("a",), ("b",)], "", "no model 'chat': it lists 'a', 'b'"),
        ([("a",)], "b", "no model 'b': it lists 'a'"),
        ([], "", "it lists no models"),
        ([(str(i),) for i in range(20)], "x", r"'7', \.\.\.$"),
    ],
    ids=["several", "another", "none", "many"],
)
def test_a_model_that_is_not_listed(models, given, told):
    with pytest.raises(InvalidInput, match=told):
        openai_read.named(models, given, "chat")


def test_lists_of_models():
    assert openai_read.listed(json.dumps(listed("a", "b"))) == [("a",), ("b",)]
    row = {"id": "a", "aliases": ["b", 3]}
    assert openai_read.listed(json.dumps({"data": [row, {"x": 1}, 4]})) == [("a", "b")]
    assert openai_read.listed(b'{"object":"list","data":null}') == []
    for odd in (b"[]", b"{}", b"<html>", b'{"data":3}'):
        with pytest.raises(InvalidInput):
            openai_read.listed(odd)


NAMES = st.sampled_from(
    ["choices", "delta", "message", "content", "text", "index", "finish_reason", "usage", "error", "code",
     "object", "detail", "loc", "msg", "prompt_tokens", "completion_tokens", "data", "id", "aliases", "embedding"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_whatever_an_engine_says_is_an_answer_or_a_refusal(value):
    body = stdlib.dumps(value).encode()
    reply = Reply(1)
    with contextlib.suppress(InvalidInput, Refused):
        piece = reply.feed(body)
        assert piece is None or set(piece) == {"text"}
    assert set(reply.end()) == {"text", "finish_reason", "prompt_tokens", "completion_tokens"}
    for status in (400, 422, 500):
        assert openai_read.refused(status, body).error.message
    with contextlib.suppress(InvalidInput):
        assert all(names for names in openai_read.listed(body))
    with contextlib.suppress(InvalidInput):
        assert openai_read.vectors(body, 1)[0].ndim == 2


def packed(*numbers):
    return base64.b64encode(np.array(numbers, "<f4").tobytes()).decode()


def test_vectors_as_numbers_and_as_base64_in_any_order():
    data = [{"index": 1, "embedding": [3, 4.5]}, {"index": 0, "embedding": packed(1, 2)}]
    found, tokens = openai_read.vectors(
        json.dumps({"data": data, "usage": {"prompt_tokens": 9}}), 2
    )

    assert found.dtype == np.float32
    assert found.tolist() == [[1, 2], [3, 4.5]]
    assert tokens == 9
    assert openai_read.vectors(b'{"data":[{"embedding":[1]}]}', 1)[1] is None


@pytest.mark.parametrize(
    "data",
    [
        [], [{"embedding": [1]}, {"embedding": [1]}, {"embedding": [1]}],
        [{"embedding": [1]}, {"embedding": [1, 2]}], [{"embedding": []}, {"embedding": []}],
        [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}],
        [{"index": 0, "embedding": [1]}, {"index": 7, "embedding": [1]}],
        [{"embedding": "!!"}, {"embedding": [1]}], [{"embedding": "AAA="}, {"embedding": [1]}],
        [{"embedding": [[1]]}, {"embedding": [[1]]}], [{"embedding": ["a"]}, {"embedding": [1]}],
        [{"embedding": None}, {"embedding": [1]}], [3, 4],
    ],
    ids=str,
)  # fmt: skip
def test_what_are_no_vectors(data):
    with pytest.raises(InvalidInput):
        openai_read.vectors(json.dumps({"data": data}), 2)


def test_tokens_are_shared_out():
    assert openai_read.shares(7, 3).tolist() == [3, 2, 2]
    assert openai_read.shares(0, 2).tolist() == [0, 0]
    assert openai_read.shares(0, 0).tolist() == []
