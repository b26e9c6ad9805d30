"""Requests to bodies; what an engine's models take and give."""

import numpy as np
import pytest

from inferd.codecs import json
from inferd.codecs.generation import roles
from inferd.core.errors import InvalidInput
from inferd.routing.remote import openai_ask
from inferd.routing.remote.openai_ask import embedding, generation


def texts(*elements):
    array = np.empty(len(elements), object)
    array[:] = elements
    return array


def test_a_prompt_and_a_conversation_go_to_their_places():
    found = generation({"prompt": texts(b"caf\xc3\xa9")}, {"top_k": 3, "min_p": 0.5})
    assert found.path == "/completions"
    assert found.body == {"prompt": "café", "top_k": 3, "min_p": 0.5, "stream": True}
    assert found.tokens == 2

    said = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    inputs = {"prompt": texts(b"user: hi"), "messages": texts(json.dumps(said))}
    found = generation(inputs, {})
    assert found.path == "/chat/completions"
    assert found.body == {"messages": said, "stream": True}


@pytest.mark.parametrize(
    ("inputs", "parameters", "told"),
    [
        ({}, {}, "both empty"),
        ({"prompt": texts(b""), "messages": texts(b"")}, {}, "both empty"),
        ({"prompt": texts(b"\xff")}, {}, "'prompt' is not UTF-8"),
        ({"messages": texts(b"hello")}, {}, "'messages': the body is not valid JSON"),
        ({"messages": texts(b"{}")}, {}, "a list of messages"),
        ({"messages": texts(b"[]")}, {}, "a list of messages"),
        ({"messages": texts(b"[1]")}, {}, "a list of messages"),
        ({"messages": texts(b"[" * 500)}, {}, "nests"),
        ({"prompt": texts(b"a")}, {"model": "other"}, "'model'"),
        ({"prompt": texts(b"a")}, {"stream": False}, "'stream'"),
        ({"prompt": texts(b"a")}, {"n": 2}, "'n'"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(inputs, parameters, told):
    with pytest.raises(InvalidInput, match=told):
        generation(inputs, parameters)


def test_texts_to_embed_are_one_batch():
    found = embedding({"text": texts("a", b"bc")}, {"truncate": True})
    assert (found.path, found.body) == ("/embeddings", {"input": ["a", "bc"], "truncate": True})
    assert embedding({"text": texts()}, {}).body["input"] == []
    with pytest.raises(InvalidInput, match="'text' is not UTF-8"):
        embedding({"text": texts(b"a", b"\xff")}, {})


def test_a_generator_is_one_that_the_doors_know():
    described = openai_ask.generator()
    found = roles(described.signature)

    assert (found.prompt.name, found.messages.name, found.text) == ("prompt", "messages", "text")
    assert described.streams
    assert described.task == "generate"
    assert all(spec.default == "" for spec in described.signature.inputs)


def test_an_embedder_gives_vectors_of_its_size():
    described = openai_ask.embedder(384)

    assert described.signature.output("embedding").shape == (-1, 384)
    assert (described.task, described.streams) == ("embed", False)
