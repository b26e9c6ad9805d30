import jsonschema
import pytest
from tests.api.generating import Pieces, asked, model
from tests.api.serving import Server, value
from tests.api.test_openai import HI, embedder

from inferd.api.openai_schemas import ERROR, REQUESTS, RESPONSES, STREAMS
from inferd.api.routes import OPENAI, ROUTES

DOORS = {route.door: route for route in ROUTES if route.dialect == OPENAI}
PATHS = {"openai_embeddings": "/v1/embeddings", "openai_completions": "/v1/completions",
         "openai_chat": "/v1/chat/completions"}  # fmt: skip
GOOD = [
    ("openai_embeddings", {"model": "e", "input": "x"}),
    ("openai_embeddings", {"model": "e", "input": ["x", "y"], "encoding_format": "base64", "user": "u"}),
    ("openai_completions", {"model": "m", "prompt": ["x"], "n": 2, "stop": ["a"], "echo": True}),
    ("openai_chat", {"model": "m", "messages": HI, "temperature": 1, "max_tokens": None, "top_k": 4}),
    ("openai_chat", {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}),
]  # fmt: skip
BAD = [
    ("openai_embeddings", {"model": "e", "input": []}),
    ("openai_embeddings", {"model": "e"}),
    ("openai_completions", {"model": "m", "prompt": []}),
    ("openai_completions", {"prompt": "x"}),
    ("openai_chat", {"model": "m", "messages": []}),
    ("openai_chat", {"model": "m", "messages": HI, "temperature": 3}),
    ("openai_chat", {"model": "m", "messages": HI, "stop": ["a"] * 5}),
]


@pytest.fixture
def server():
    return Server(embedder(), model(Pieces(["a", "b"])))


@pytest.mark.parametrize(("door", "body"), GOOD, ids=range(len(GOOD)))
def test_what_the_schemas_allow_is_answered_as_they_say(server, door, body):
    jsonschema.validate(body, REQUESTS[door])
    status, answer = asked(server, PATHS[door], body)

    assert status == 200
    jsonschema.validate(answer, RESPONSES[door])


@pytest.mark.parametrize(("door", "body"), BAD, ids=range(len(BAD)))
def test_what_the_schemas_forbid_is_refused_as_they_say(server, door, body):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, REQUESTS[door])
    status, answer = asked(server, PATHS[door], body)

    assert status == 400
    jsonschema.validate(answer, ERROR)


def test_lists_of_models_are_as_the_schemas_say(server):
    jsonschema.validate(value(server.get("/openai/v1/models")), RESPONSES["openai_models"])
    jsonschema.validate(value(server.get("/openai/v1/models/m")), RESPONSES["openai_model"])


def test_every_door_has_its_schemas():
    assert set(RESPONSES) == set(DOORS)
    assert set(REQUESTS) == {door for door, route in DOORS.items() if route.method == "POST"}
    assert set(STREAMS) < set(REQUESTS)
