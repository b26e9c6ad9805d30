import asyncio

import numpy as np
import orjson
import pytest
from tests.api.serving import Server, value, version
from tests.codecs.signatures import signature

from inferd.api.pieces import wanted
from inferd.core.errors import ModelFailed
from inferd.core.message import Response, Timings

TEXT = signature([("prompt", "BYTES", [-1])], [("text", "BYTES", [-1])])
TWO = signature([("prompt", "BYTES", [-1])], [("text", "BYTES", [-1]), ("n", "INT64", [-1])])


def talking(sig=TEXT, count=3, error=None, closed=None):
    async def answer(request):
        return Response("m", "1", {}, Timings(run=0.5), pieces(request))

    async def pieces(request):
        try:
            for i in range(count):
                piece = {"text": np.array([request.inputs["prompt"][0] + b"%d" % i], object)}
                if "n" in sig.outputs[-1].name and i == count - 1:
                    piece["n"] = np.array([i])
                yield piece
            if error is not None:
                raise error
        finally:
            if closed is not None:
                closed.append(True)

    model = version(sig=sig, streams=True)
    model.servable = answer
    return model


async def sent(server, accept, body=b'{"data": "a"}', most=None):
    response = await server.ask("POST", "/predict", body, accept=accept)
    if isinstance(response.body, bytes):
        return response, [response.body]
    parts = []
    async for part in response.body:
        parts.append(part)
        if len(parts) == most:
            await response.body.aclose()
            break
    return response, parts


class Streaming(Server):
    async def ask(self, method, target, body=b"", **headers):
        request = self.head(method, target, headers)
        accepted = self.plane.accept(request)
        request.body = body
        return await self.answer(accepted, request)


def test_events_carry_the_pieces():
    response, parts = asyncio.run(sent(Streaming(talking()), "text/event-stream"))

    assert response.content_type.startswith(b"text/event-stream")
    assert parts == [b'data: {"result":"a%d"}\n\n' % i for i in range(3)]


@pytest.mark.parametrize("accept", ["application/x-ndjson", "application/jsonlines"])
def test_lines_carry_the_pieces(accept):
    response, parts = asyncio.run(sent(Streaming(talking(TWO)), accept))

    assert response.content_type == accept.encode()
    assert [orjson.loads(part)["result"] for part in parts] == [
        {"text": "a0"}, {"text": "a1"}, {"text": "a2", "n": 2},
    ]  # fmt: skip


def test_who_does_not_ask_gets_the_whole():
    server = Streaming(talking())

    for accept in ("", "*/*", "application/json", "application/json, text/event-stream;q=0.5"):
        response, _ = asyncio.run(sent(server, accept))
        assert value(response) == {"result": "a0a1a2"}


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
def test_a_model_that_does_not_stream_has_one_piece(accept):
    _, parts = asyncio.run(sent(Streaming(version()), accept, b'{"data": [[1, 2, 3], [4, 5, 6]]}'))

    assert [orjson.loads(part.removeprefix(b"data: ")) for part in parts] == [
        {"result": [2.0, 5.0]}
    ]


def test_a_failure_before_the_first_piece_has_its_status():
    server = Streaming(talking(count=0, error=ModelFailed("it broke")))

    response, _ = asyncio.run(sent(server, "text/event-stream"))

    assert (response.status, value(response)["error"]["message"]) == (500, "it broke")


def test_a_failure_after_it_is_the_last_event():
    server = Streaming(talking(count=1, error=ModelFailed("it broke", help="mend it")))

    _, parts = asyncio.run(sent(server, "text/event-stream"))

    assert orjson.loads(parts[1].removeprefix(b"data: ")) == {
        "error": {"kind": "model_failed", "message": "it broke", "help": "mend it"}
    }


def test_closing_the_body_closes_the_answer():
    closed = []

    asyncio.run(sent(Streaming(talking(closed=closed)), "text/event-stream", most=1))

    assert closed == [True]


def test_a_batch_is_not_answered_in_pieces():
    from inferd.core.plan import BatchPlan

    model = talking()
    model.plan = BatchPlan(split=True)

    response, _ = asyncio.run(sent(Streaming(model), "text/event-stream", b'{"data": ["a", "b"]}'))

    assert response.status == 400


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("text/event-stream", "text/event-stream"),
        ("application/x-ndjson, application/json;q=0.1", "application/x-ndjson"),
        ("text/html", None),
        ("*/*", None),
        ("", None),
    ],
)
def test_what_is_wanted(accept, media):
    assert wanted(accept) == media
