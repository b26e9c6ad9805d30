"""What a client asks a server, played without one."""

import orjson
import pytest
from tests.client.serving import ADDRESS, Played, answer

from inferd.client.asking import question
from inferd.client.flow import Flow, ready_path, stats_path
from inferd.client.options import Options
from inferd.client.wire import BINARY_HEADER, Failure
from inferd.core.errors import InvalidInput, NotFound, Unavailable

EXTENSIONS = ("binary_tensor_data", "schedule_policy")


def tensor(name, shape):
    return {"name": name, "datatype": "FP32", "shape": shape}


class Server:
    """A server of models ``y = x`` in JSON; ``widths`` may change."""

    def __init__(self, extensions=EXTENSIONS, **options):
        self.widths = {"m": 2}
        self.extensions = extensions
        self.other = {}
        self.played = Played(self.respond)
        self.flow = Flow(Options(ADDRESS, **options), self.played.clock, lambda: 0.5)

    def respond(self, request):
        if request.path in self.other:
            return self.other[request.path]
        if request.path == "/v2":
            return answer(200, {"name": "s", "extensions": list(self.extensions)})
        if request.path == "/v2/models":
            return answer(200, {"models": list(self.widths)})
        model = request.path.split("/")[3]
        if model not in self.widths:
            return answer(404, {"error": f"no model {model}"})
        width = self.widths[model]
        if request.method == "GET":
            row = {
                "name": model,
                "inputs": [tensor("x", [-1, width])],
                "outputs": [tensor("y", [-1, width])],
            }
            return answer(200, row)
        size = request.headers.get(BINARY_HEADER)
        (given,) = orjson.loads(request.body[: int(size)] if size else request.body)["inputs"]
        if given["shape"][1] != width:
            return answer(400, {"error": "the shape does not fit"})
        output = {
            "name": "y",
            "datatype": "FP32",
            "shape": given["shape"],
            "data": [1.0] * (given["shape"][0] * width),
        }
        return answer(200, {"model_name": model, "outputs": [output]})

    def predict(self, model, inputs, **more):
        terms = dict.fromkeys(
            ("version", "outputs", "parameters", "timeout", "priority", "request_id")
        )
        return self.played.run(self.flow.predict(question(model, inputs, **{**terms, **more})))


def test_what_is_known_is_not_asked_again():
    server = Server()
    server.predict("m", [1, 2])
    server.predict("m", [1, 2])

    assert server.played.paths == [
        "GET /v2", "GET /v2/models/m", "POST /v2/models/m/infer", "POST /v2/models/m/infer",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("extensions", "binary", "sent"),
    [(EXTENSIONS, None, True), ((), None, False), (EXTENSIONS, False, False), ((), True, True)],
    ids=["offered", "not offered", "not wanted", "wanted anyhow"],
)
def test_tensors_are_binary_where_the_server_takes_them(extensions, binary, sent):
    server = Server(extensions, binary=binary)
    server.predict("m", [1, 2])

    assert (BINARY_HEADER in server.played.sent[-1].request.headers) is sent


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501], ids=str)
def test_a_server_that_does_not_describe_itself_is_asked_in_json(status):
    server = Server()
    server.other["/v2"] = answer(status)

    assert server.predict("m", [1, 2])["y"].tolist() == [1, 1]
    assert BINARY_HEADER not in server.played.sent[-1].request.headers


def test_a_server_that_is_away_is_not_taken_for_one_without_extensions():
    server = Server(retries=0)
    server.other["/v2"] = Failure("refused")
    with pytest.raises(Unavailable):
        server.predict("m", [1, 2])
    del server.other["/v2"]
    server.predict("m", [1, 2])
    assert BINARY_HEADER in server.played.sent[-1].request.headers


def test_the_only_model_needs_no_name():
    server = Server()
    server.predict(None, [1, 2])
    server.predict(None, [1, 2])

    assert server.played.paths.count("GET /v2/models") == 1
    server.widths["n"] = 2
    assert server.predict(None, [1, 2]).model == "m"
    del server.widths["m"]
    with pytest.raises(NotFound):
        server.predict(None, [1, 2])
    assert server.predict(None, [1, 2]).model == "n"


def test_a_pipeline_among_its_parts_needs_no_name():
    server = Server()
    server.other["/v2/models"] = answer(200, {"models": ["a", "m"], "default": "m"})

    assert server.predict(None, [1, 2]).model == "m"


@pytest.mark.parametrize("models", [[], ["a", "b"]], ids=["none", "two"])
def test_else_a_name_is_needed(models):
    server = Server()
    server.other["/v2/models"] = answer(200, {"models": models})
    with pytest.raises(InvalidInput, match=f"serves {len(models)} models") as error:
        server.predict(None, [1])
    assert bool(error.value.help) is bool(models)


def test_models_are_listed_by_any_server():
    server = Server()
    server.other["/v2/models"] = answer(404)
    server.other["/v2/repository/index"] = answer(
        200, [{"name": "a", "version": "1"}, {"name": "a", "version": "2"}, {"name": "b"}]
    )

    assert server.played.run(server.flow.names(server.flow.terms())) == ["a", "b"]
    assert server.played.paths[-1] == "POST /v2/repository/index"


@pytest.mark.parametrize("refused_by", ["client", "server"])
def test_metadata_that_changed_are_fetched_again(refused_by):
    server = Server()
    server.predict("m", [1, 2])
    server.widths["m"] = 3
    server.played.clock.advance(2)
    if refused_by == "client":
        assert server.predict("m", [1, 2, 3])["y"].shape == (3,)
    else:
        with pytest.raises(InvalidInput, match=r"must have shape \[3\]"):
            server.predict("m", [1, 2])
    assert server.played.paths.count("GET /v2/models/m") == 2


def test_metadata_that_did_not_change_end_the_matter():
    server = Server()
    server.predict("m", [1, 2])
    server.played.clock.advance(2)
    for _ in range(3):
        with pytest.raises(InvalidInput, match="must have shape"):
            server.predict("m", [1, 2, 3])
    assert server.played.paths.count("GET /v2/models/m") == 2, "fresh metadata are not doubted"
    assert server.played.paths.count("POST /v2/models/m/infer") == 1


def test_readiness_and_its_reasons():
    server = Server()

    def why(got):
        server.other["/v2/health/ready"] = got
        return server.played.run(server.flow.probe(ready_path(None), 1))

    assert why(answer(200, b"")) is None
    assert why(answer(200, {"live": True})) is None
    assert why(answer(200, {"ready": False})) == "the server answered 200"
    assert why(answer(503, {"ready": False, "reasons": ["a", "b"]})) == "a; b"
    assert why(answer(503, {"ready": False, "reason": "loading"})) == "loading"
    assert why(answer(503, {"error": "draining"})) == "draining"
    assert why(answer(502, b"<html>")) == "the server answered 502"
    assert why(Failure("refused")) == "refused"


def test_waiting_asks_less_and_less_often():
    server = Server()
    server.other["/v2/models/m/ready"] = Failure("refused")
    with pytest.raises(Unavailable, match="model 'm' is not ready after 10 s: refused"):
        server.played.run(server.flow.wait_until_ready(10, "m", None))
    pauses = server.played.pauses

    assert pauses == sorted(pauses) and pauses[0] == 0.05 and max(pauses) == 1.0
    assert 9 < sum(pauses) <= 10


def test_what_does_not_speak_the_protocol_is_said():
    server = Server()
    server.other["/v2/models/m"] = answer(200, b"<html>")
    with pytest.raises(Unavailable, match="/v2/models/m: the answer cannot be read") as error:
        server.predict("m", [1])
    assert "Open Inference Protocol" in error.value.help


def test_a_stream_is_opened_with_what_is_known():
    server = Server()
    server.other["/v2/models/m/generate_stream"] = answer(200, content_type="text/event-stream")
    terms = dict.fromkeys(("version", "outputs", "parameters", "timeout", "priority", "request_id"))
    opened = server.played.run(server.flow.open(question("m", [1, 2], **terms)))

    assert server.played.sent[-1].stream
    assert orjson.loads(server.played.sent[-1].request.body) == {"x": [1, 2]}
    assert opened.pieces.piece(b'{"y": [1, 2]}')["y"].tolist() == [1, 2]
    metadata = server.played.run(server.flow.known(question("m", [1, 2], **terms)))
    assert metadata.name == "m"
    assert server.played.paths.count("GET /v2/models/m") == 1


def test_paths():
    assert ready_path(None) == "/v2/health/ready"
    assert ready_path("m", "1") == "/v2/models/m/versions/1/ready"
    assert stats_path(None) == "/v2/models/stats"
    assert stats_path("m") == "/v2/models/m/stats"
