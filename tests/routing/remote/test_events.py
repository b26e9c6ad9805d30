"""Events to pieces, however they are cut; questions to bodies."""

import numpy as np
import pytest

from inferd.codecs import json
from inferd.core.errors import InvalidInput, ModelFailed, Overloaded, Unsupported
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, FP16, FP32, INT64
from inferd.routing.remote import events
from inferd.routing.remote.events import Events, Said, piece, question

STREAM = b'event: x\r\ndata: {"a":\r\ndata: 1}\r\n\r\n: note\n\ndata:{"b":2}\n\rdata: c\r\r'
SIGNATURE = Signature(
    (TensorSpec("prompt", BYTES, (-1,)),),
    (TensorSpec("text", BYTES, (-1,)), TensorSpec("score", FP32, (-1, -1))),
)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100], ids=str)
def test_events_are_read_however_they_are_cut(size):
    cut = Events()
    found = [d for at in range(0, len(STREAM), size) for d in cut.feed(STREAM[at : at + size])]

    found += cut.feed(b"\n") if not found or found[-1] != b"c" else []
    assert found == [b'{"a":\n1}', b'{"b":2}', b"c"]


def test_an_event_without_an_end_is_refused(monkeypatch):
    monkeypatch.setattr(events, "MOST_BYTES", 100)
    with pytest.raises(InvalidInput, match="longer than 100"):
        list(Events().feed(b"data: " + b"x" * 200 + b"\n"))
    cut = Events()
    with pytest.raises(InvalidInput, match="longer than 100"):
        for _ in range(1000):
            list(cut.feed(b"data: xyz"))


def test_a_line_in_very_many_parts_is_read_whole():
    cut = Events()
    for _ in range(1000):
        assert list(cut.feed(b"")) == []
    assert list(cut.feed(b"data: ")) == []
    for _ in range(1000):
        assert list(cut.feed(b"ab")) == []

    assert list(cut.feed(b"\n\n")) == [b"ab" * 1000]


def test_a_piece_has_a_batch_of_one():
    found = piece(b'{"model_name":"m","text":"caf\\u00e9","score":[1,null]}', SIGNATURE, None)

    assert found["text"].tolist() == ["café".encode()]
    assert found["score"].shape == (1, 2)
    assert found["score"].dtype == np.float32


def test_bare_and_empty_values():
    assert piece(b'{"score":2}', SIGNATURE, None)["score"].shape == (1, 1)
    assert piece(b'{"score":[]}', SIGNATURE, None)["score"].shape == (1, 0)
    assert piece(b'{"text":"a","score":1}', SIGNATURE, ("text",)).keys() == {"text"}
    assert piece(b'{"other":1}', SIGNATURE, None) == {}


def test_no_rows_have_the_sizes_that_are_declared():
    signature = Signature((), (TensorSpec("n", INT64, (-1, -1, 4)),))

    assert piece(b'{"n":[]}', signature, None)["n"].shape == (1, 0, 4)


def test_without_a_batch():
    signature = Signature((), (TensorSpec("n", INT64, ()),), batched=False)

    assert piece(b'{"n":3}', signature, None)["n"].shape == ()


@pytest.mark.parametrize("data", [b"[1]", b"nothing", b'{"text":1}', b'{"score":[[[1]]]}'], ids=str)
def test_what_is_no_piece(data):
    with pytest.raises(InvalidInput):
        piece(data, SIGNATURE, None)


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (b'{"error":"it broke"}', ModelFailed, "it broke"),
        (b'{"error":"busy","kind":"overloaded"}', Overloaded, "busy"),
        (b'{"error":{"message":"m","kind":"invalid_input"}}', InvalidInput, "m"),
    ],
    ids=str,
)
def test_an_event_may_say_an_error(data, kind, message):
    with pytest.raises(Said) as caught:
        piece(data, SIGNATURE, None)
    assert type(caught.value.error) is kind
    assert caught.value.error.message == message


def test_a_question_is_one_example_as_an_object():
    signature = Signature(
        (TensorSpec("prompt", BYTES, (-1,)), TensorSpec("h", FP16, (-1, 2))), (), batched=True
    )
    inputs = {"prompt": np.array(["é"], object), "h": np.array([[0.5, 1]], np.float16)}

    body = json.loads(question(inputs, signature, {"max_tokens": 3}))
    assert body == {"prompt": "é", "h": [0.5, 1.0], "parameters": {"max_tokens": 3}}


def test_bytes_that_are_not_utf_8_have_a_form_that_an_inferd_reads():
    found = question({"prompt": np.array([b"\xff"], object)}, SIGNATURE, {}, b64=True)

    assert json.loads(found) == {"prompt": {"b64": "/w=="}}


def test_what_json_cannot_carry_and_several_examples_are_refused():
    with pytest.raises(Unsupported, match="not UTF-8"):
        question({"prompt": np.array([b"\xff"], object)}, SIGNATURE, {})
    with pytest.raises(InvalidInput, match="not int"):
        question({"prompt": np.array([1], object)}, SIGNATURE, {}, b64=True)
    with pytest.raises(InvalidInput, match="one example"):
        question({"prompt": np.array([b"a", b"b"], object)}, SIGNATURE, {})
