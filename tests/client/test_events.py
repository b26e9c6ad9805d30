import contextlib

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.client.serving import answer
from tests.codecs.signatures import signature

from inferd.client import events as module
from inferd.client.events import Events, Pieces
from inferd.core.errors import InferdError, ModelFailed, Overloaded, Unavailable
from inferd.core.signature import Signature

STREAM = answer(content_type="text/event-stream; charset=utf-8")
SIG = signature([("t", "BYTES", [-1])], [("text", "BYTES", [-1]), ("score", "FP32", [-1, 2])])


def read(*chunks, of=STREAM):
    events = Events(of)
    return [data for chunk in chunks for data in events.feed(chunk)] + list(events.end())


def test_events_are_cut_at_empty_lines():
    assert read(b"data: a\n\ndata: b\n\n") == [b"a", b"b"]
    assert read(b"data:a\ndata: b\n\n") == [b"a\nb"]
    assert read(b": comment\nevent: x\nid: 1\ndata: a\r\n\r\n\n\n") == [b"a"]
    assert read(b"data: a\rdata: b\r\r") == [b"a\nb"]
    assert read(b"data: cut off") == []


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=8).filter(
            lambda b: not set(b) & {10, 13} and b != b"[DONE]"
        ), max_size=6),
    st.sampled_from([b"\n", b"\r\n", b"\r"]), st.data(),
)  # fmt: skip
def test_however_the_bytes_arrive_the_events_are_the_same(texts, end, data):
    stream = b"".join(b"data: " + text + end + end for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert read(*chunks) == texts


def test_nothing_is_read_after_the_end():
    events = Events(STREAM)

    assert list(events.feed(b"data: a\n\ndata: [DONE]\n\ndata: b\n\n")) == [b"a"]
    assert events.ended


def test_an_answer_that_is_no_stream_is_one_event():
    assert read(b'{"a"', b": 1}", of=answer(content_type="application/json")) == [b'{"a": 1}']
    assert read(of=answer()) == []


def test_an_event_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    with pytest.raises(Unavailable, match="longer than 100 bytes"):
        read(b"data: " + b"x" * 200)


def piece(value, sig=SIG):
    return Pieces(STREAM, sig).piece(orjson.dumps(value))


def test_a_piece_holds_what_is_new():
    found = piece(
        {"model_name": "m", "model_version": "1", "text": "é", "score": [1, None], "more": 1}
    )

    assert list(found) == ["text", "score"]
    assert found.text() == "é"
    assert found["score"].dtype == np.float32 and np.isnan(found["score"][1])
    assert (found.model, found.version) == ("m", "1")
    assert list(piece({"score": [1, 2]})) == ["score"]


@pytest.mark.parametrize(
    ("value", "shape"), [(1, (1, 1)), ([], (0, 2)), ([[1, 2]], (1, 2)), ([[]], (1, 0))], ids=str
)
def test_a_value_has_the_axes_that_are_declared(value, shape):
    sig = signature([], [("a", "INT64", [-1, -1, 2])])

    assert piece({"a": value}, sig)["a"].shape == shape
    assert piece({"a": 1}, signature([], [("a", "INT64", [-1])]))["a"].shape == ()
    assert piece({"a": 1}, signature([], [("a", "INT64", [-1])], batched=False))["a"].shape == (1,)


def test_outputs_that_nothing_declares_are_read_as_they_are():
    found = piece({"model_name": "m", "a": ["x", "y"], "b": 1.5, "c": []}, Signature((), ()))

    assert found.text("a").tolist() == ["x", "y"]
    assert found["b"] == 1.5 and found["c"].shape == (0,)


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        ({"error": "broke"}, ModelFailed, "broke"),
        ({"error": {"kind": "overloaded", "message": "busy", "help": "wait"}}, Overloaded, "busy"),
        ({"error": {"kind": "strange", "message": "odd"}}, ModelFailed, "odd"),
        ({"error": 3}, ModelFailed, "3"),
        ([1], Unavailable, "not an object"),
        ({"text": 1}, Unavailable, "cannot be read"),
    ],
    ids=str,
)
def test_an_event_may_say_an_error(value, kind, said):
    with pytest.raises(kind, match=said) as error:
        piece(value)
    assert type(error.value) is kind


def test_what_is_no_json_is_said():
    with pytest.raises(Unavailable, match="cannot be read"):
        Pieces(STREAM, SIG).piece(b"{")


@settings(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda v: st.lists(v, max_size=3) | st.dictionaries(st.sampled_from(["text", "score", "error", "a"]), v), max_leaves=8))  # fmt: skip
def test_any_event_gives_a_piece_or_an_error_of_ours(value):
    try:
        data = orjson.dumps(value)
    except TypeError:
        return
    for sig in (SIG, Signature((), ())):
        with contextlib.suppress(InferdError):
            Pieces(STREAM, sig).piece(data)
