import pytest

from inferd.codecs.openai_answer import CHAT, TEXT, Stamp

STAMP = Stamp("id-1", 7, "m", "m@2")
HEAD = {"id": "id-1", "created": 7, "model": "m", "system_fingerprint": "m@2"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def test_a_whole_chat_answer_has_messages():
    assert CHAT.whole(STAMP, [("hi", "stop"), ("", "length")], USAGE) == {
        **HEAD,
        "object": "chat.completion",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "hi", "refusal": None},
             "logprobs": None, "finish_reason": "stop"},
            {"index": 1, "message": {"role": "assistant", "content": "", "refusal": None},
             "logprobs": None, "finish_reason": "length"},
        ],
        "usage": USAGE,
    }  # fmt: skip


def test_a_whole_completion_has_texts():
    assert TEXT.whole(STAMP, [("hi", "stop")], USAGE) == {
        **HEAD,
        "object": "text_completion",
        "choices": [{"index": 0, "text": "hi", "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
    }


def test_chunks_of_a_chat_have_deltas():
    assert CHAT.first(1)["delta"] == {"role": "assistant", "content": ""}
    assert CHAT.piece(1, "x") == {
        "index": 1, "delta": {"content": "x"}, "logprobs": None, "finish_reason": None,
    }  # fmt: skip
    assert CHAT.last(1, "stop") == {
        "index": 1, "delta": {}, "logprobs": None, "finish_reason": "stop",
    }  # fmt: skip


def test_chunks_of_a_completion_have_texts_and_no_beginning():
    assert TEXT.first(0) is None
    assert TEXT.piece(0, "x")["text"] == "x"
    assert TEXT.last(0, "length") == {
        "index": 0, "text": "", "logprobs": None, "finish_reason": "length",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "object"),
    [(CHAT, "chat.completion.chunk"), (TEXT, "text_completion")],
    ids=["chat", "text"],
)
def test_usage_is_null_until_the_last_chunk_where_it_was_asked_for(kind, object):
    choice = kind.piece(0, "x")

    assert kind.chunk(STAMP, [choice], usage=False) == {
        **HEAD,
        "object": object,
        "choices": [choice],
    }
    assert kind.chunk(STAMP, [choice], usage=True)["usage"] is None
    assert kind.usage_chunk(STAMP, USAGE) == {
        **HEAD,
        "object": object,
        "choices": [],
        "usage": USAGE,
    }


def test_ids_tell_the_kinds_apart():
    assert (CHAT.prefix, TEXT.prefix) == ("chatcmpl-", "cmpl-")
