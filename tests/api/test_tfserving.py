import json

import numpy as np
import pytest
from tests.api.serving import Server, headers, mean, value, version
from tests.codecs.signatures import signature

from inferd.core.message import Response, Timings
from inferd.core.plan import BatchPlan
from inferd.routing.table import FAILED

ROWS = {"instances": [[1, 2, 3], [4, 5, 6]]}
ANSWER = {"predictions": [[2.0], [5.0]]}
LABELS = {"stable": "1", "canary": "2"}


def second(x):
    return {"y": -mean(x)["y"]}


def served():
    return Server(version(labels=LABELS), version(number="2", function=second, labels=LABELS))


@pytest.mark.parametrize(
    ("path", "sign"),
    [
        ("/v1/models/m:predict", -1),
        ("/v1/models/m/versions/1:predict", 1),
        ("/v1/models/m/versions/2:predict", -1),
        ("/v1/models/m/labels/stable:predict", 1),
        ("/v1/models/m/labels/canary:predict", -1),
        ("/v1/models/m:Predict", -1),
        ("/V1/MODELS/m/Versions/1:PREDICT", 1),
    ],
)
def test_a_model_a_version_or_a_label_is_asked(path, sign):
    server = served()
    for _ in range(2):  # the second time from what is remembered
        response = server.post(path, ROWS)

        assert value(response) == {"predictions": [[sign * 2.0], [sign * 5.0]]}
        assert response.content_type == b"application/json"


def test_a_label_that_reads_like_a_version_is_not_taken_for_it():
    server = Server(version(labels={"2": "1"}), version(number="2", function=second))
    server.table.put(version(labels={"2": "1"}))

    for path, sign in (("versions/2", -1), ("labels/2", 1), ("versions/2", -1)):
        response = server.post(f"/v1/models/m/{path}:predict", ROWS)
        assert value(response)["predictions"][0] == [sign * 2.0]


@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", "application/x-www-form-urlencoded", "text/plain", "application/xml",
     "application/cloudevents+json", "application/json; charset=latin-1", ""],
)  # fmt: skip
def test_any_content_type_is_read_as_json(content_type):
    sent = {} if content_type is None else {"content_type": content_type}

    assert value(Server(version()).post("/v1/models/m:predict", ROWS, **sent)) == ANSWER


def test_columns_are_answered_in_columns():
    response = Server(version()).post("/v1/models/m:predict", {"inputs": {"x": [[1, 2, 3]]}})

    assert response.body == b'{"outputs":[[2.0]]}'


def test_cloud_events_of_both_modes_are_answered_plainly():
    server = Server(version())
    head = {"ce_id": "1", "ce_source": "s", "ce_type": "t", "ce_specversion": "1.0"}
    event = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": ROWS}

    assert value(server.post("/v1/models/m:predict", ROWS, **head)) == ANSWER
    assert value(server.post("/v1/models/m:predict", event)) == ANSWER


def test_numbers_that_are_not_finite_go_bare_both_ways():
    server = Server(version(function=lambda x: {"y": np.float32([[np.nan], [np.inf]])}))
    response = server.post("/v1/models/m:predict", b'{"instances": [[NaN, -Infinity, 1]]}')

    assert response.body == b'{"predictions":[[NaN],[Infinity]]}'
    assert np.isnan(json.loads(response.body)["predictions"][0][0])


def test_classify_and_regress():
    two = signature([("x", "FP32", [-1, 3])], [("y", "FP32", [-1, 1]), ("label", "BYTES", [-1, 1])])

    def labelled(x):
        return {**mean(x), "label": np.array([[b"cat"]] * len(x), object)}

    server = Server(version(sig=two, function=labelled), version("i", sig=signature(
        [("x", "FP32", [-1, 3])], [("y", "INT64", [-1])])))  # fmt: skip
    body = {"examples": [{"x": [1, 2, 3]}, {"x": [4, 5, 6]}]}

    assert value(server.post("/v1/models/m:classify", body)) == {
        "results": [[["cat", 2.0]], [["cat", 5.0]]]
    }
    assert value(server.post("/v1/models/m/versions/1:regress", body)) == {"results": [2.0, 5.0]}
    for verb in ("classify", "regress"):
        response = server.post(f"/v1/models/i:{verb}", body)
        assert (response.status, ":predict" in value(response)["error"]) == (501, True)


def parts(x):
    return {"part": x / 3, "sum": x.sum(axis=1)}


PARTS = signature([("x", "FP32", [-1, 3])], [("part", "FP32", [-1, 3]), ("sum", "FP32", [-1])])


def explained():
    """A model, and its explainer in two versions, of which the second answers."""
    return Server(
        version(labels=LABELS, explainer="why"), version(number="2", labels=LABELS, explainer="why"),
        version("why"), version("why", "2", PARTS, parts),
    )  # fmt: skip


@pytest.mark.parametrize("place", ["", "/versions/1", "/versions/2", "/labels/stable"])
def test_the_explainer_is_asked_with_the_same_body(place):
    server = explained()
    rows = {"instances": [[3, 6, 9]]}
    for _ in range(2):  # the second time from what is remembered
        response = server.post(f"/v1/models/m{place}:explain", rows)

        assert value(response) == {"explanations": [{"part": [1.0, 2.0, 3.0], "sum": 18.0}]}
    columns = server.post(f"/v1/models/m{place}:explain", {"inputs": {"x": [[3, 6, 9]]}})
    assert value(columns) == {"explanations": {"part": [[1.0, 2.0, 3.0]], "sum": [18.0]}}
    assert value(server.post(f"/v1/models/m{place}:predict", rows)) == {"predictions": [[6.0]]}


def test_the_explainer_reads_the_body_by_its_own_signature():
    other = signature([("text", "BYTES", [-1])])
    server = Server(version(explainer="why"), version("why", sig=other))

    response = server.post("/v1/models/m:explain", ROWS)

    assert response.status == 400
    assert "instances[0] is a list where one value is expected" in value(response)["error"]
    assert server.observed[-1][5] == "why", "it is counted as the explainer's"


def test_an_explainer_that_does_not_serve_is_named_with_its_model():
    server = explained()
    path = "/v1/models/m:explain"
    assert server.post(path, ROWS).status == 200

    for each in server.table.versions("why"):
        each.state, each.reason = FAILED, "no memory"
    server.table.changed("why")
    down = server.post(path, ROWS)
    for each in server.table.versions("why"):
        server.table.remove("why", each.version)
    gone = server.post(path, ROWS)

    assert (down.status, "retry-after" in headers(down)) == (503, True)
    assert value(down)["error"] == (
        "the explainer of model 'm' does not answer: model 'why' version 2 is failed: no memory"
    )
    assert gone.status == 404
    assert value(gone)["error"].startswith("the explainer 'why' of model 'm' is not served")


def test_a_model_that_does_not_serve_is_not_explained():
    server = explained()
    path = "/v1/models/m/versions/1:explain"
    assert server.post(path, ROWS).status == 200

    server.table.find("m", "1").state = FAILED
    server.table.changed("m")

    assert server.post(path, ROWS).status == 503


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/v1/models/n:predict", ROWS, 404, "no model named 'n'"),
        ("POST", "/v1/models/m/versions/9:predict", ROWS, 404, "no version '9'"),
        ("POST", "/v1/models/m/labels/old:predict", ROWS, 404,
         "no version labelled 'old' (labels: canary (version 2), stable (version 1))"),
        ("POST", "/v1/models/n/labels/stable:predict", ROWS, 404, "no model named 'n'"),
        ("POST", "/v1/models/m:predict", b"{", 400, "not valid JSON"),
        ("POST", "/v1/models/m:predict", {}, 400, "either"),
        ("POST", "/v1/models/m:predict", {**ROWS, "signature_name": "x"}, 400, "no signature 'x'"),
        ("POST", "/v1/models/broken:predict", ROWS, 503, "bad file"),
        ("POST", "/v1/models/m:explain", ROWS, 501, "offers no explanations"),
        ("POST", "/v1/models/m/labels/stable:explain", ROWS, 501, "offers no explanations"),
        ("POST", "/v1/models/n:explain", ROWS, 404, "no model named"),
        ("POST", "/v1/models/m", ROWS, 405, "POST is not offered here"),
        ("GET", "/v1/models/n", b"", 404, "no model named"),
        ("GET", "/v1/models/m/versions/9", b"", 404, "no version"),
        ("GET", "/v1/models/m/labels/old", b"", 404, "no version labelled"),
        ("GET", "/v1/models/broken/metadata", b"", 503, "bad file"),
        ("GET", "/v1/models/m/nothing", b"", 404, "no route"),
    ],
)  # fmt: skip
def test_errors_are_texts(method, path, body, status, message):
    broken = version("broken")
    broken.state, broken.reason, broken.signature = FAILED, "bad file", None
    server = served()
    server.table.put(broken)
    response = server.get(path) if method == "GET" else server.post(path, body)

    assert response.status == status
    assert list(value(response)) == ["error"]
    assert message in value(response)["error"]
    assert ("retry-after" in headers(response)) == (status == 503)


def test_a_label_may_lead_to_a_version_that_is_not_served():
    server = Server(version(labels={"next": "3"}))

    response = server.post("/v1/models/m/labels/next:predict", ROWS)

    assert response.status == 404
    assert "no version '3'" in value(response)["error"]


def test_the_model_says_whether_it_is_ready_and_its_versions_in_which_state():
    server = served()
    ready = server.get("/v1/models/m")
    for each in server.table.versions("m"):
        each.state, each.reason = FAILED, "no memory"
    server.table.changed("m")
    down = server.get("/v1/models/m")

    assert (ready.status, value(ready)["ready"]) == (200, True)
    assert (down.status, value(down)["ready"], "retry-after" in headers(down)) == (503, False, True)
    one = server.get("/v1/models/m/labels/canary")
    assert one.status == 200, "the state of a version is in the body"
    assert value(one) == {"model_version_status": [
        {"version": "2", "state": "END",
         "status": {"error_code": "INTERNAL", "error_message": "no memory"}},
    ]}  # fmt: skip


def test_kserves_clients_ask_whether_the_server_lives():
    assert value(Server().get("/")) == {"status": "alive"}


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/", "/V1/Models"])
def test_the_list_of_models(path):
    found = value(Server(version("b"), version("a")).get(path))

    assert found["models"] == ["a", "b"]
    assert [model["id"] for model in found["data"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("path", "number"), [("", "2"), ("/versions/1", "1"), ("/labels/stable", "1")]
)
def test_metadata(path, number):
    found = value(served().get(f"/v1/models/m{path}/metadata"))

    assert found["model_spec"] == {"name": "m", "signature_name": "", "version": number}
    tensors = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert tensors["inputs"]["x"]["dtype"] == "DT_FLOAT"


def test_a_model_that_streams_answers_whole():
    class Streaming:
        async def __call__(self, request):
            async def chunks():
                for text in (b"a", b"b", b"c"):
                    yield {"text": np.array([text], object)}

            return Response("m", "1", {}, Timings(), chunks())

    sig = signature([("prompt", "BYTES", [-1])], [("text", "BYTES", [-1])])
    model = version(sig=sig, plan=BatchPlan(split=True), streams=True)
    model.servable = Streaming()
    server = Server(model)

    one = server.post("/v1/models/m:predict", {"instances": ["x"]})
    two = server.post("/v1/models/m:predict", {"inputs": ["x", "y"], "parameters": {"k": 1}})

    assert value(one) == {"predictions": ["abc"]}
    assert value(two) == {"outputs": ["abc", "abc"]}


def test_the_headers_of_every_door_are_obeyed():
    model = version()
    server = Server(model)

    response = server.post(
        "/v1/models/m:predict", ROWS, x_request_timeout="250ms", x_priority="high",
        x_request_id="mine", accept_encoding="gzip",
    )  # fmt: skip

    (seen,) = model.servable.seen
    assert seen.deadline == pytest.approx(server.clock() + 0.25)
    assert (seen.priority, headers(response)["x-request-id"]) == (1, "mine")
    assert headers(response)["content-encoding"] == "gzip"
