import asyncio

import orjson
import pytest
from tests.api.generating import Pieces, drained, model
from tests.api.serving import Server, version

from inferd.core.errors import InvalidInput, ModelFailed
from inferd.core.plan import BatchPlan

botocore = pytest.importorskip("botocore.eventstream")


def asked(server, path="/invocations", body=None, accept=None, header="accept"):
    """Ask as the transport does; return status, content type, headers and the pieces."""

    async def run():
        told = {"content-type": "application/json"} | ({header: accept} if accept else {})
        request = server.head("POST", path, told)
        request.body = orjson.dumps({"inputs": "go"} if body is None else body)
        ticket = server.plane.accept(request)
        assert ticket.start is None or ticket.start(request, None) is None
        response = await ticket.handler(request)
        pieces = response.body
        if not isinstance(pieces, bytes):
            pieces = [piece async for piece in response.body]
        return response.status, response.content_type.decode(), dict(response.headers), pieces

    return asyncio.run(run())


def telling(*pieces, **more):
    return Server(model(Pieces(pieces or ["a", "b"], **more), plan=BatchPlan(split=True)))


@pytest.mark.parametrize(
    ("accept", "pieces"),
    [
        ("application/jsonlines", [b'"a"\n', b'"b"\n']),
        ("text/plain", [b"a", b"b"]),
        ("application/octet-stream", [b"a", b"b"]),
        ("text/event-stream", [b'data: "a"\n\n', b'data: "b"\n\n']),
        ("application/json;q=0.5, text/event-stream", [b'data: "a"\n\n', b'data: "b"\n\n']),
    ],
)
def test_who_asks_for_pieces_gets_them(accept, pieces):
    status, media, headers, found = asked(telling(), accept=accept)

    assert (status, found) == (200, pieces)
    assert accept.endswith(media)
    assert headers[b"X-Accel-Buffering"] == b"no"


@pytest.mark.parametrize("accept", [None, "*/*", "application/json"])
def test_who_does_not_gets_the_whole(accept):
    assert asked(telling(), accept=accept)[3] == b'{"predictions":"ab"}'


def test_a_body_may_ask_for_pieces():
    _, media, _, found = asked(telling(), body={"inputs": "go", "stream": True})

    assert media == "application/jsonlines"
    assert found == [b'"a"\n', b'"b"\n']


def test_several_examples_are_answered_whole():
    body = {"instances": ["x", "y"]}

    assert asked(telling(), body=body, accept="application/jsonlines")[3] == b'"ab"\n"ab"\n'
    assert asked(telling(), body=body)[3] == b'{"predictions":["ab","ab"]}'


def test_parameters_reach_the_model():
    server = telling()

    asked(server, body={"inputs": "go", "parameters": {"top": 3}}, accept="text/plain")

    (request,) = server.table.find("m").servable.seen
    assert request.parameters == {"top": 3}
    assert request.inputs["prompt"].tolist() == [b"go"]


@pytest.mark.parametrize(
    ("accept", "last"),
    [
        ("application/jsonlines", b'{"error":"it broke"}\n'),
        ("text/event-stream", b'data: {"error":"it broke"}\n\n'),
        ("text/plain", b""),
    ],
)
def test_a_stream_that_breaks_says_so_where_its_type_can(accept, last):
    assert asked(telling(error=ModelFailed("it broke")), accept=accept)[3][-1] == last


def test_what_fails_before_the_first_piece_has_its_status():
    server = telling(early=InvalidInput("no such voice"))

    assert asked(server, accept="text/plain")[0] == 400
    assert asked(server)[0] == 400


# ------------------------------------------------------------------------------------- events


def messages(pieces):
    buffer = botocore.EventStreamBuffer()
    buffer.add_data(b"".join(pieces))
    return list(buffer)


STREAM = "/endpoints/m/invocations-response-stream"


@pytest.mark.parametrize(
    ("accept", "inner", "payloads"),
    [
        (None, b"application/jsonlines", [b'"a"\n', b'"b"\n']),
        ("text/plain", b"text/plain", [b"a", b"b"]),
        ("application/json", b"application/json", [b'{"predictions":"ab"}']),
    ],
)
def test_the_api_wraps_pieces_into_events(accept, inner, payloads):
    _, media, headers, found = asked(
        telling(), STREAM, accept=accept, header="x-amzn-sagemaker-accept"
    )

    assert media == "application/vnd.amazon.eventstream"
    assert headers[b"X-Amzn-SageMaker-Content-Type"] == inner
    assert headers[b"x-Amzn-Invoked-Production-Variant"] == b"AllTraffic"
    assert [m.payload for m in messages(found)] == payloads


def test_a_model_that_does_not_stream_is_one_event():
    server = Server(version())

    _, _, headers, found = asked(server, STREAM, body=[[1, 2, 3]])

    assert headers[b"X-Amzn-SageMaker-Content-Type"] == b"application/json"
    assert [m.payload for m in messages(found)] == [b"[2.0]"]


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (ModelFailed("it broke"), "ModelStreamError", "model_failed"),
        (ValueError("secret"), "InternalStreamFailure", "internal"),
    ],
)
def test_a_broken_stream_ends_with_an_exception(error, kind, code):
    *good, last = messages(asked(telling(error=error), STREAM)[3])

    assert [m.payload for m in good] == [b'"a"\n', b'"b"\n']
    assert last.headers[":exception-type"] == kind
    assert orjson.loads(last.payload)["ErrorCode"] == code
    assert b"secret" not in last.payload


def test_several_examples_are_no_stream():
    status, _, headers, body = asked(telling(), STREAM, body={"instances": ["x", "y"]})

    assert status == 400
    assert headers[b"x-amzn-errortype"] == b"ValidationError"
    assert b"one example" in body


@pytest.mark.parametrize("path", ["/invocations", STREAM])
def test_closing_an_answer_ends_the_generation(path):
    servable = Pieces([str(i) for i in range(50)])
    server = Server(model(servable))

    async def first_only():
        request = server.head(
            "POST", path, {"content-type": "application/json", "accept": "application/jsonlines"}
        )
        request.body = b'{"inputs": "go"}'
        response = await server.plane.accept(request).handler(request)
        await anext(response.body)
        await response.body.aclose()

    asyncio.run(first_only())

    assert len(servable.closed) == 1
    assert servable.closed[0] < 3


def test_pieces_are_timed_as_answers_are():
    server = telling()

    async def run():
        request = server.head("POST", "/invocations", {"accept": "text/plain"})
        request.body = b'{"inputs": "go"}'
        await drained(await server.plane.accept(request).handler(request))
        return request.context

    assert asyncio.run(run()).timings is not None
