import asyncio
import gzip

import numpy as np
import orjson
import pytest
from tests.api.serving import Server, headers, value, version
from tests.codecs.signatures import signature

from inferd.api.triton import Repository
from inferd.core.errors import InvalidInput, ModelFailed, NotFound
from inferd.core.message import Response, Timings
from inferd.core.plan import BatchPlan
from inferd.routing.table import FAILED, LOADING
from inferd.telemetry.tally import Tally

TEXT = signature([("text_input", "BYTES", [-1])], [("text_output", "BYTES", [-1])])


def shout(text_input):
    return {"text_output": np.array([t.upper() for t in text_input], object)}


def teller(**more):
    return version("teller", sig=TEXT, function=shout, **more)


@pytest.mark.parametrize("path", ["/v2/models/m/config", "/v2/models/m/versions/1/config"])
def test_a_configuration(path):
    config = value(Server(version(plan=BatchPlan(max_batch=16))).get(path))

    assert (config["name"], config["max_batch_size"]) == ("m", 16)
    assert config["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [3]}]
    assert config["output"] == [{"name": "y", "data_type": "TYPE_FP32", "dims": [1]}]


def test_a_version_that_is_not_loaded_has_no_configuration():
    broken = version()
    broken.state, broken.reason, broken.signature = FAILED, "bad file", None

    assert Server(broken).get("/v2/models/m/config").status == 503
    assert Server(broken).get("/v2/models/n/config").status == 404


def account(model, number):
    tally = Tally()
    tally.ran(int(number), 0.0, 0.0)
    return tally


@pytest.mark.parametrize(
    ("path", "rows"),
    [
        ("/v2/models/stats", [("a", 1), ("m", 1), ("m", 2)]),
        ("/v2/models/m/stats", [("m", 1), ("m", 2)]),
        ("/v2/models/m/versions/2/stats", [("m", 2)]),
    ],
)
def test_statistics(path, rows):
    server = Server(version(), version(number="2"), version("a"), account=account)

    told = value(server.get(path))["model_stats"]

    assert [(s["name"], s["inference_count"]) for s in told] == rows


@pytest.mark.parametrize("path", ["/v2/models/n/stats", "/v2/models/m/versions/3/stats"])
def test_statistics_of_what_is_not_there(path):
    assert Server(version()).get(path).status == 404


def test_a_model_called_stats_is_asked_like_any_other():
    server = Server(version("stats"))
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}

    assert server.post("/v2/models/stats/infer", {"inputs": [tensor]}).status == 200
    assert value(server.get("/v2/models/stats/versions/1"))["name"] == "stats"
    assert value(server.get("/v2/models/stats/stats"))["model_stats"][0]["name"] == "stats"
    assert "model_stats" in value(server.get("/v2/models/stats"))


def indexed(body, **more):
    broken, loading = version(number="2"), version(number="3")
    broken.state, broken.reason = FAILED, "no memory"
    loading.state, loading.reason = LOADING, "loading"
    return Server(version(), broken, loading).post("/v2/repository/index", body, **more)


def test_the_index_of_the_repository_is_a_list():
    ready = {"name": "m", "version": "1", "state": "READY", "reason": ""}

    for body in (b"", b"{}", b'{"ready": false}'):
        assert value(indexed(body)) == [
            ready,
            {"name": "m", "version": "2", "state": "UNAVAILABLE", "reason": "no memory"},
            {"name": "m", "version": "3", "state": "LOADING", "reason": "loading"},
        ]
    assert value(indexed(b'{"ready": true}')) == [ready]
    packed = gzip.compress(b'{"ready": true}')
    assert value(indexed(packed, content_encoding="gzip")) == [ready]


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"ready": 1}'], ids=repr)
def test_an_index_asked_wrongly_is_refused(body):
    assert indexed(body).status == 400


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_nothing_is_loaded_unless_somebody_may(verb):
    response = Server(version()).post(f"/v2/repository/models/m/{verb}", b"")

    assert response.status == 403
    assert "not loaded or unloaded" in value(response)["error"]


class Shelf(Repository):
    def __init__(self):
        self.done = []

    async def load(self, model, parameters):
        if model == "missing":
            raise NotFound("no model named 'missing'")
        self.done.append(("load", model, parameters))

    async def unload(self, model, parameters):
        self.done.append(("unload", model, parameters))


def test_who_may_load_and_unload_is_asked():
    shelf = Shelf()
    server = Server(version(), repository=shelf)

    loaded = server.post("/v2/repository/models/m/load", {"parameters": {"config": "{}"}})
    unloaded = server.post("/v2/repository/models/m/unload", b"")

    assert (loaded.status, loaded.body, unloaded.status) == (200, b"", 200)
    assert shelf.done == [("load", "m", {"config": "{}"}), ("unload", "m", {})]
    assert server.post("/v2/repository/models/missing/load", b"").status == 404
    assert server.post("/v2/repository/models/m/load", {"parameters": {"a": {}}}).status == 400


@pytest.mark.parametrize(
    "path", ["/v2/models/teller/generate", "/v2/models/teller/versions/1/generate"]
)
def test_generate(path):
    model = teller()
    response = Server(model).post(
        path, {"text_input": "hello", "id": "7", "parameters": {"stream": False, "top": 3}}
    )

    assert value(response) == {
        "id": "7", "model_name": "teller", "model_version": "1", "text_output": "HELLO",
    }  # fmt: skip


def test_generate_passes_parameters_on():
    model = teller()
    Server(model).post(
        "/v2/models/teller/generate", {"text_input": "a", "top": 3, "parameters": {"stream": False}}
    )

    if model.servable.seen[0].parameters:  # the short way carries none
        assert model.servable.seen[0].parameters == {"top": 3, "stream": False}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "not valid JSON"),
        ({"text": "a"}, "input 'text_input' is missing"),
        ({"text_input": 5}, "must be a text"),
    ],
)
@pytest.mark.parametrize("verb", ["generate", "generate_stream"])
def test_a_generate_request_that_does_not_fit_is_an_ordinary_error(verb, body, message):
    response = Server(teller()).post(f"/v2/models/teller/{verb}", body)

    assert response.status == 400
    assert response.content_type == b"application/json"
    assert message in value(response)["error"]


def test_a_header_of_binary_tensors_means_nothing_to_generate():
    response = Server(teller()).post(
        "/v2/models/teller/generate", {"text_input": "a"}, inference_header_content_length=5
    )

    assert response.status == 200


class Streaming:
    """A servable that answers in pieces, and fails after them where told to."""

    def __init__(self, *pieces, error=None):
        self.pieces = pieces
        self.error = error
        self.seen = []
        self.closed = False

    async def __call__(self, request):
        self.seen.append(request)
        return Response(request.model, request.version, {}, Timings(), self.chunks())

    async def chunks(self):
        try:
            for piece in self.pieces:
                await asyncio.sleep(0)
                yield {"text_output": np.array([piece], object)}
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True


def streaming(*pieces, error=None):
    model = teller(plan=BatchPlan(split=True), streams=True)
    model.servable = Streaming(*pieces, error=error)
    return model


async def read(body):
    return [part async for part in body]


def stream(model, body=None, count=None, path="/v2/models/teller/generate_stream"):
    """Ask for a stream; return the response and its events (at most ``count``, then leave)."""

    async def go():
        server = Server(model)
        request = server.head("POST", path)
        accepted = server.plane.accept(request)
        request.body = orjson.dumps(body or {"text_input": "a"})
        response = await accepted.handler(request)
        if isinstance(response.body, bytes):
            return response, None
        parts = []
        async for part in response.body:
            parts.append(part)
            if len(parts) == count:
                break
        await response.body.aclose()
        return response, parts

    response, parts = asyncio.run(go())
    if parts is None:
        return response, None
    for part in parts:
        assert part.startswith(b"data: ") and part.endswith(b"\n\n")
    return response, [orjson.loads(part[6:]) for part in parts]


def test_a_stream_is_an_event_for_each_piece():
    response, events = stream(streaming(b"caf\xc3", b"\xa9", b"!"), {"text_input": "a", "id": "7"})

    assert response.content_type == b"text/event-stream; charset=utf-8"
    assert headers(response)["cache-control"] == "no-cache"
    assert [e["text_output"] for e in events] == ["caf", "é", "!"]
    assert events[0] == {
        "id": "7", "model_name": "teller", "model_version": "1", "text_output": "caf",
    }  # fmt: skip


def test_a_model_that_does_not_stream_answers_in_one_event():
    assert [e["text_output"] for e in stream(teller())[1]] == ["A"]


def test_a_streamed_answer_is_put_together_for_generate():
    response = Server(streaming(b"caf\xc3", b"\xa9!")).post(
        "/v2/models/teller/generate", {"text_input": "a"}
    )

    assert value(response)["text_output"] == "café!"


def test_an_error_before_the_first_piece_has_its_status():
    response, _ = stream(streaming(error=ModelFailed("it broke")))

    assert response.status == 500
    assert value(response) == {"error": "it broke"}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InvalidInput("too long", help="send less"), "too long (send less)"),
        (RuntimeError("secret"), "internal error"),
    ],
    ids=["known", "unknown"],
)
def test_an_error_after_the_first_piece_is_the_last_event(error, message):
    response, events = stream(streaming(b"a", error=error))

    assert response.status == 200
    assert events[0]["text_output"] == "a"
    assert message in events[1]["error"]
    assert "secret" not in events[1]["error"]


def test_a_client_that_leaves_ends_the_generation():
    model = streaming(b"a", b"b", b"c")

    stream(model, count=1)

    assert model.servable.closed


def test_the_parameters_reach_a_model_that_streams():
    model = streaming(b"a")

    stream(model, {"text_input": "x", "top": 3, "parameters": {"stream": True}})

    assert model.servable.seen[0].parameters == {"top": 3, "stream": True}
    assert model.servable.seen[0].inputs["text_input"].tolist() == [b"x"]
