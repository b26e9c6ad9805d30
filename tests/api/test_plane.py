import asyncio

import pytest
from tests.api.serving import Server, headers, value, version

from inferd.api.control import control_plane, metrics_plane
from inferd.api.routes import CONTROL, DATA, ROUTES
from inferd.api.settings import ApiSettings
from inferd.core.errors import ModelFailed, NotAllowed
from inferd.core.message import StepTiming
from inferd.core.plan import BatchPlan
from inferd.telemetry.sampling import Traces
from inferd.transport.message import Accepted, HTTPResponse, Memo

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
PLANES = {DATA: None, CONTROL: control_plane}
OTHERWISE = {
    "triton_index": 200, "triton_load": 403, "triton_unload": 403, "tfs_explain": 501,
    "tfs_explain_label": 501, "openai_transcriptions": 415, "openai_translations": 415,
    "model_pages": 404, "model_page": 404,
    **dict.fromkeys(("sm_models", "sm_load", "sm_model", "sm_unload", "sm_invoke_model"), 403),
}  # fmt: skip
"""Doors that answer an empty object, or nothing, otherwise than with 400 and 200."""


def concrete(route):
    path = route.template.replace("{name}", "m").replace("{version}", "1")
    return path.replace("{label}", "stable")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("plane", PLANES, ids=str)
def test_every_route_and_method(plane, method):
    server = Server(version(labels={"stable": "1"}), plane=PLANES[plane])
    routes = [r for r in ROUTES if plane in r.planes]
    for route in routes:
        offered = {r.method: r.door for r in routes if r.template == route.template}
        if "GET" in offered:
            offered["HEAD"] = offered["GET"]

        response = asyncio.run(server.ask(method, concrete(route), b"{}"))

        if method == "OPTIONS":
            assert response.status == 204
            assert set(headers(response)["allow"].split(", ")) == {*offered, "OPTIONS"}
        elif method in offered:
            usual = 400 if method == "POST" else 200
            assert response.status == OTHERWISE.get(offered[method], usual), route
        else:
            assert response.status == 405
            assert set(headers(response)["allow"].split(", ")) == {*offered, "OPTIONS"}
        assert headers(response)["x-request-id"]


@pytest.mark.parametrize("plane", PLANES, ids=str)
def test_what_is_denied_is_denied_on_every_route(plane):
    def deny(principal, route):
        if route.permission != "public":
            raise NotAllowed("not you")

    server = Server(version(), plane=PLANES[plane], authorize=deny)
    for route in ROUTES:
        if plane not in route.planes:
            continue
        for path in (concrete(route), concrete(route) + "/" * (route.template != "/")):
            response = asyncio.run(server.ask(route.method, path, b"{}"))
            assert (response.status == 403) == (route.permission != "public"), path


def test_planes_do_not_answer_each_others_routes():
    data, control = Server(version()), Server(version(), plane=control_plane)

    for path in ("/metrics", "/openapi.json", "/docs"):
        assert data.get(path).status == 404
    for path in ("/v2", "/v2/models"):
        assert control.get(path).status == 404
    assert control.post("/predict", b"{}").status == 404


def test_an_unknown_path_names_the_nearest():
    response = Server(version()).post("/predct", b"")

    assert response.status == 404
    assert value(response)["error"] == {
        "kind": "not_found", "message": "no route '/predct'", "help": "did you mean '/predict'?",
    }  # fmt: skip


def test_head_gets_the_whole_body_for_the_transport_to_measure():
    server = Server(version())

    assert asyncio.run(server.ask("HEAD", "/v2")).body == server.get("/v2").body


def test_options_of_everything():
    response = asyncio.run(Server(version()).ask("OPTIONS", "*"))

    assert response.status == 204
    assert "POST" in headers(response)["allow"]


def test_the_request_id_is_echoed_or_made():
    server = Server(version(), ids="abc")

    assert headers(server.get("/healthz", x_request_id="mine"))["x-request-id"] == "mine"
    assert headers(server.get("/healthz"))["x-request-id"] == "abc-1"
    assert headers(server.get("/nowhere", x_request_id="bad id"))["x-request-id"] == "abc-2"


def test_a_refusal_on_the_head_needs_no_body():
    server = Server(version())

    response = server.post("/predict", b"", content_encoding="br")

    assert response.status == 415
    assert server.limit is None


@pytest.mark.parametrize(
    ("path", "headers_", "limit"),
    [
        ("/predict", {}, 1000),
        ("/predict", {"content_type": "application/x-npy"}, 2000),
        ("/v2/models/m/infer", {}, 1000),
    ],
)
def test_the_limit_of_the_body_is_told_to_the_transport(path, headers_, limit):
    settings = ApiSettings(json_body_bytes=1000, binary_body_bytes=2000)
    server = Server(version(), settings=settings)
    server.post(path, b"", **headers_)

    assert server.limit == limit


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/predict", 413, {"error": {"kind": "too_large", "message": "big"}}),
        ("/v2/models/m/infer", 413, {"error": "big"}),
        ("/v2", 408, {"error": "big"}),
        ("/x", 418, {"error": {"kind": "invalid_input", "message": "big"}}),
        ("/x", 599, {"error": {"kind": "internal", "message": "big"}}),
    ],
)
def test_the_transports_errors_have_the_dialects_form(path, status, body):
    server = Server(version())
    request = server.head("POST", path)

    response = server.plane.error(request, status, "big")

    assert (response.status, value(response)) == (status, body)
    assert request.context.kind


def test_an_error_without_a_request():
    response = Server(version()).plane.error(None, 400, "malformed")

    assert value(response) == {"error": {"kind": "invalid_input", "message": "malformed"}}


def test_what_never_became_a_request_is_told_once_and_only_that():
    server, told = Server(version()), []
    server.plane.refused = lambda *heard: told.append(heard)

    response = server.plane.error(None, 431, "too many headers")
    server.plane.error(server.head("POST", "/predict"), 413, "big")

    assert told == [(431, "too_large", len(response.body))]
    assert server.plane.accepted == 1  # the one that was a request


def test_every_request_is_observed_once():
    server = Server(version())
    server.get("/healthz")
    server.get("/nowhere")
    server.post("/predict", b"bad")
    server.plane.finished(server.head("GET", "/x"), 400, 0, 0.1)

    assert [row[1] for row in server.observed] == [200, 404, 400, 400]
    assert [row[0].context.kind for row in server.observed] == [
        None, "not_found", "invalid_input", None,
    ]  # fmt: skip
    assert [row[5] for row in server.observed] == [None, None, "m", None]
    assert server.plane.accepted == 4


def test_a_cancelled_request_is_noted():
    async def hang(request):
        await asyncio.Event().wait()

    model = version()
    model.servable = hang
    server = Server(model)
    request = server.head("POST", "/predict", body=b'{"data":[1,2,3]}')

    async def leave():
        accepted = server.plane.accept(request)
        task = asyncio.ensure_future(accepted.handler(request))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    assert request.context.kind == "cancelled"


def test_accept_never_raises():
    def broken(principal, route):
        raise RuntimeError("secret")

    response = Server(version(), authorize=broken).get("/healthz")

    assert response.status == 500
    assert b"secret" not in response.body


def test_the_metrics_plane_has_metrics_only():
    async def scrape(accept):
        return "text/plain; version=0.0.4", b"up 1\n"

    plane = metrics_plane(ApiSettings(), scrape)
    server = Server()
    server.plane = plane

    assert server.get("/metrics", host="anything.example").body == b"up 1\n"
    assert server.get("/models").status == 404
    assert isinstance(server.get("/healthz"), HTTPResponse)


def alike(server, memo, **headers):
    """Return a request whose head equals those before it, as the transport hands it over."""
    names = {"content-type": "application/json", **headers}
    request = server.head("POST", "/models/m/predict", names)
    request.memo = memo
    return request


def test_equal_heads_share_a_decision_but_neither_id_nor_deadline():
    server, memo = Server(version()), Memo()
    first, second = alike(server, memo), alike(server, memo)
    ticket = server.plane.accept(first)
    server.clock.advance(5.0)
    second.received = server.clock()

    assert memo.value is not None
    assert server.plane.accept(second) is ticket
    assert second.context.id != first.context.id
    assert dict(second.context.headers)[b"X-Request-Id"] == second.context.id.encode()
    assert second.context.deadline == first.context.deadline + 5.0
    for name in ("route", "values", "media", "priority", "timed"):
        assert getattr(second.context, name) == getattr(first.context, name)
    assert server.plane.accepted == 2


@pytest.mark.parametrize(
    ("sent", "echoed"), [("mine-1", True), ("not sane", False)], ids=["sane", "not-sane"]
)
def test_equal_heads_keep_the_id_they_bring(sent, echoed):
    server, memo = Server(version()), Memo()
    requests = [alike(server, memo, **{"x-request-id": sent}) for _ in range(3)]
    for request in requests:
        server.plane.accept(request)

    ids = [request.context.id for request in requests]

    assert ids == [sent] * 3 if echoed else len(set(ids)) == 3


def test_permission_is_asked_for_every_request_however_alike():
    closed = []

    def authorize(principal, route):
        if closed:
            raise NotAllowed("no longer")

    server, memo = Server(version(), authorize=authorize), Memo()
    assert isinstance(server.plane.accept(alike(server, memo)), Accepted)
    closed.append(True)

    assert server.plane.accept(alike(server, memo)).status == 403


def test_a_refused_head_is_refused_again():
    server, memo = Server(version()), Memo()
    statuses = [
        server.plane.accept(alike(server, memo, **{"x-priority": "urgent"})).status
        for _ in range(2)
    ]

    assert statuses == [400, 400]
    assert memo.value is None


PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_equal_heads_have_each_their_own_place_in_a_trace():
    server, memo = Server(version()), Memo()
    sent = [{"traceparent": PARENT, "tracestate": "a=1"}, {}, {"traceparent": "none"}]
    sent.append({"traceparent": PARENT.replace("b7", "b8")})
    requests = [alike(server, memo, **headers) for headers in sent]
    for request in requests:
        assert isinstance(server.plane.accept(request), Accepted)
    places = [request.context.trace for request in requests]

    assert (places[0].parent, places[0].state, places[0].sink) == (PARENT, "a=1", None)
    assert places[1:3] == [None, None]
    assert places[3].parent == PARENT.replace("b7", "b8")


def test_where_spans_are_kept_every_request_has_a_place():
    kept = []
    server, memo = Server(version(), traces=Traces(kept.append)), Memo()
    requests = [alike(server, memo), alike(server, memo), alike(server, memo, traceparent=PARENT)]
    for request in requests:
        server.plane.accept(request)
    places = [request.context.trace for request in requests]

    assert len({place.span_id for place in places}) == 3
    assert [place.parent_id for place in places] == ["", "", "b7ad6b7169203331"]
    assert all(place.sink is not None for place in places)


@pytest.mark.parametrize(
    "body", [{"data": [1, 2, 3]}, {"data": [[1, 2, 3], [4, 5, 6]]}], ids=["one", "rows"]
)
def test_the_place_is_passed_on_to_who_is_asked(body):
    model = version(plan=BatchPlan(split=True))
    Server(model).post("/predict", body, traceparent=PARENT, tracestate="a=1")

    assert model.servable.seen
    assert all(request.trace.parent == PARENT for request in model.servable.seen)
    assert all(request.trace.state == "a=1" for request in model.servable.seen)


def test_how_the_steps_of_a_failed_pipeline_went_is_noted():
    error = ModelFailed("step 'read': no")
    error.steps = (StepTiming("read", 1.0, 2.0, error="model_failed"),)
    server = Server(version(error=error))
    server.post("/predict", {"data": [1, 2, 3]})
    ((request, status, *_),) = server.observed

    assert (status, request.context.steps) == (500, error.steps)
