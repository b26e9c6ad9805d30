from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.codecs.signatures import signature

from inferd.codecs.generation import Growth, roles
from inferd.core.errors import InvalidInput

FEW = st.text("aé", max_size=12)
STOPS = st.lists(st.text("aé", min_size=1, max_size=4), max_size=4)


def cut_into(whole, cuts):
    """``whole`` in pieces that begin at ``cuts``."""
    places = sorted({min(c, len(whole)) for c in cuts} | {0, len(whole)})
    return [whole[a:b] for a, b in pairwise(places)]


CUTS = st.lists(st.integers(0, 20), max_size=8)


def piece(text, **numbers):
    found = {"text": np.array([text], object)}
    return found | {k: np.array([v]) for k, v in numbers.items()}


def grown(pieces, stops=(), limit=None, **more):
    """What is sent, and why it ended; nothing is fed once nothing more is wanted."""
    growth, sent = Growth("text", stops, limit, **more), ""
    for each in pieces:
        sent += growth.feed(each if isinstance(each, dict) else piece(each))
        if growth.finish is not None:
            break
    sent += growth.end()
    return sent, growth


def first_stop(text, stops):
    """Where ``text`` is to end: before the stop that is complete first."""
    found = [(text.find(s) + len(s), text.find(s)) for s in stops if s in text]
    return min(found)[1] if found else None


def test_of_two_stops_the_one_that_is_complete_first_counts():
    assert grown(["xabcd"], ["abcd", "bc"])[0] == "xa"
    assert grown(["xabc"], ["bc", "abc"])[0] == "x"


@given(st.one_of(st.text(max_size=20).map(str.encode), st.binary(max_size=20)), CUTS)
def test_bytes_are_the_same_text_however_they_are_cut(data, cuts):
    assert grown(cut_into(data, cuts))[0] == data.decode("utf-8", "replace")


@given(FEW, STOPS, CUTS)
def test_a_stop_is_found_in_bytes_that_are_cut_within_characters(text, stops, cuts):
    sent, growth = grown(cut_into(text.encode(), cuts), stops)

    assert sent == text[: first_stop(text, stops)]
    assert growth.finish == "stop"


def test_a_limit_ends_an_answer_at_its_last_piece():
    sent, growth = grown([b"a", b"b", b"c", b"d"], limit=2)

    assert (sent, growth.finish, growth.tokens) == ("ab", "length", 2)


def test_a_model_that_counts_is_held_to_its_own_count():
    last = piece(b"", completion_tokens=4, prompt_tokens=9, finish_reason=b"length")
    sent, growth = grown([b"a", b"b", b"c", last], limit=2, counted=True)
    assert (sent, growth.finish, growth.tokens, growth.prompt_tokens) == ("abc", "length", 4, 9)

    more = [piece(b"a", completion_tokens=1), piece(b"b", completion_tokens=2), b"c"]
    assert grown(more, limit=2, counted=True)[0] == "ab"


def test_an_answer_that_ended_by_itself_is_not_stopped_at_its_limit():
    growth = Growth("text", limit=1)
    growth.feed({**piece(b"a"), "finish_reason": np.array([b"length"], object)})
    assert growth.finish is None
    growth.feed(piece(b"b"))
    assert growth.finish == "length"


def test_what_is_held_back_is_given_where_a_limit_ends_the_answer():
    assert grown([b"a", b"EN", b"D"], ["END"], limit=2)[0] == "aEN"


def test_half_a_character_is_left_out_at_a_limit_and_replaced_at_an_end():
    assert grown([b"a", b"\xc3", b"\xa9"], limit=2)[0] == "a"
    assert grown([b"a", b"\xc3"])[0] == "a\ufffd"


def test_pieces_without_text_are_no_tokens():
    sent, growth = grown([b"a", b"", {}, {"finish_reason": np.array([b"length"], object)}], limit=9)

    assert (sent, growth.finish, growth.tokens) == ("a", "length", 1)


def test_numbers_that_the_model_reports_count():
    pieces = [piece(b"ab", completion_tokens=2, prompt_tokens=7), piece(b"cd", completion_tokens=4)]
    sent, growth = grown([*pieces, piece(b"ef", completion_tokens=6)], limit=4)

    assert (sent, growth.finish) == ("abcd", "length")
    assert (growth.tokens, growth.prompt_tokens) == (4, 7)


def test_the_models_own_reason_counts_where_it_ends_by_itself():
    last = {
        "text": np.array([b"b"], object),
        "finish_reason": np.array([b"content_filter"], object),
    }

    assert grown([b"a", last])[1].finish == "content_filter"
    assert grown([b"a", last], limit=2)[1].finish == "content_filter"
    assert grown([b"a"])[1].finish == "stop"
    assert grown([])[1].finish == "stop"


BYTES = ("BYTES", [-1])
OUT = [("text", *BYTES)]


@pytest.mark.parametrize(
    ("inputs", "outputs", "prompt", "messages", "text"),
    [
        ([("prompt", *BYTES)], OUT, "prompt", None, "text"),
        ([("question", *BYTES)], [("y", "FP32", [-1]), ("said", *BYTES)], "question", None, "said"),
        ([("messages", *BYTES)], [("finish_reason", *BYTES), ("output", *BYTES)], None, "messages", "output"),
        ([("text_input", *BYTES), ("messages", "BYTES", [-1, 1])], OUT, "text_input", "messages", "text"),
    ],
    ids=["prompt", "the only one", "messages", "both"],
)  # fmt: skip
def test_tensors_are_known_by_their_names(inputs, outputs, prompt, messages, text):
    found = roles(signature(inputs, outputs))
    tensors = found.inputs(b"hello", [{"role": "user", "content": "hello"}])

    assert (found.prompt and found.prompt.name, found.text) == (prompt, text)
    assert set(tensors) == {name for name in (prompt, messages) if name}
    if prompt:
        assert tensors[prompt].ravel().tolist() == [b"hello"]
    if messages:
        assert tensors[messages].ravel().tolist() == [b'[{"role":"user","content":"hello"}]']


@pytest.mark.parametrize("odd", ["\ud800", 1 << 70], ids=["surrogate", "large"])
def test_messages_that_no_json_holds_are_refused(odd):
    found = roles(signature([("messages", *BYTES)], OUT))

    with pytest.raises(InvalidInput, match='^"messages" '):
        found.inputs(b"", [{"role": "user", "name": odd}])


@pytest.mark.parametrize(
    ("inputs", "outputs", "told"),
    [
        ([("x", "FP32", [-1])], OUT, "no BYTES input"),
        ([("a", *BYTES), ("b", *BYTES)], OUT, "no BYTES input"),
        ([("prompt", *BYTES), ("top", "INT64", [-1])], OUT, "an input 'top'"),
        ([("image", "BYTES", [-1], "image")], OUT, "no BYTES input"),
        ([("prompt", *BYTES)], [("y", "FP32", [-1])], "no BYTES output"),
    ],
    ids=["numbers", "two unknown", "one more", "an image", "no text out"],
)
def test_a_model_that_does_not_fit_is_refused(inputs, outputs, told):
    with pytest.raises(InvalidInput, match=told) as caught:
        roles(signature(inputs, outputs))

    assert caught.value.message.startswith('"model" ')


CHAT = [{"role": "user", "content": "hi"}]
EMPTY = {"default": ""}


def given_to(inputs, *, chat):
    found = roles(signature(inputs, [("text", "BYTES", [-1])])).inputs(b"hi", CHAT, chat=chat)
    return list(found)


@pytest.mark.parametrize(
    ("inputs", "completion", "chat"),
    [
        ([("prompt", "BYTES", [-1], EMPTY), ("messages", "BYTES", [-1], EMPTY)], ["prompt"], ["messages"]),
        ([("prompt", "BYTES", [-1]), ("messages", "BYTES", [-1])], ["prompt", "messages"], ["prompt", "messages"]),
        ([("prompt", "BYTES", [-1]), ("messages", "BYTES", [-1], EMPTY)], ["prompt"], ["prompt", "messages"]),
        ([("messages", "BYTES", [-1], EMPTY)], ["messages"], ["messages"]),
        ([("prompt", "BYTES", [-1], EMPTY)], ["prompt"], ["prompt"]),
        ([("text", "BYTES", [-1], EMPTY), ("audio", "BYTES", [-1], {"default": "", "content": "audio"})],
         ["text"], ["text"]),
        ([("question", "BYTES", [-1]), ("language", "BYTES", [-1], EMPTY), ("size", "FP32", [-1], {"default": 1})],
         ["question"], ["question"]),
    ],
    ids=["both", "neither", "one", "messages", "prompt", "audio", "other"],
)  # fmt: skip
def test_an_input_that_has_a_default_is_given_what_a_request_is_about(inputs, completion, chat):
    assert given_to(inputs, chat=False) == completion
    assert given_to(inputs, chat=True) == chat
