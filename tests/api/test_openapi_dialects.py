"""The document says of every route what its dialect answers, and what it refuses."""

import jsonschema
import orjson
import pytest
from tests.api.serving import Server, value, version

from inferd.api import openapi_dialects as dialects
from inferd.api.control import control_plane
from inferd.api.openapi import document
from inferd.api.routes import CONTROL, DATA, INFER, ROUTES, SAGEMAKER_RUNTIME
from inferd.routing.table import RouteTable

DOORS = {route.door for route in ROUTES}
GETS = [
    (route, plane)
    for route in ROUTES
    for plane in route.planes
    if route.method == "GET" and plane in (DATA, CONTROL)
]


def told():
    table = RouteTable()
    table.put(version())
    return orjson.loads(orjson.dumps(document(table, version="1")))


@pytest.mark.parametrize(
    "table", ["ANSWERS", "REQUESTS", "MEDIA", "ALSO", "NEVER", "MAY_BE_EMPTY", "BODILESS", "WITH_STATUS"]
)  # fmt: skip
def test_every_door_that_is_described_exists(table):
    assert set(getattr(dialects, table)) <= DOORS


@pytest.mark.parametrize(("route", "plane"), GETS, ids=lambda x: getattr(x, "template", x))
def test_what_is_answered_is_what_is_documented(route, plane):
    server = Server(version(), plane=None if plane == DATA else control_plane)
    path = route.template
    for name, given in (("name", "m"), ("version", "1"), ("label", "stable")):
        path = path.replace(f"{{{name}}}", given)

    answer = server.get(path)

    responses = told()["paths"][route.template]["get"]["responses"]
    assert str(answer.status) in responses, (answer.status, answer.body)
    content = responses[str(answer.status)].get("content", {})
    media = answer.content_type.decode().partition(";")[0]
    if answer.body:
        assert media in content
    if media == "application/json" and answer.body:
        schema = {**content[media]["schema"], "components": told()["components"]}
        jsonschema.Draft202012Validator(schema).validate(value(answer))


@pytest.mark.parametrize("route", [r for r in ROUTES if r.permission == INFER], ids=str)
def test_a_route_that_asks_a_model_says_how_it_refuses(route):
    found = set(dialects.refusals(route))

    if route.door in dialects.NEVER:
        assert found
    elif route.dialect == SAGEMAKER_RUNTIME:
        assert {"400", "424", "429", "500", "503"} <= found
    else:
        assert {"400", "404", "413", "415", "429", "503", "504"} <= found


def test_a_path_of_both_planes_tells_of_both():
    operation = told()["paths"]["/"]["get"]

    assert set(operation["responses"]["200"]["content"]) == {"application/json", "text/html"}
    assert "On the other plane" in operation["description"]


def test_what_only_one_plane_offers_on_a_shared_path_is_said():
    table = RouteTable()
    found = document(table, version="1", data_url="http://d", admin_url="http://a")["paths"]

    assert found["/models"]["post"]["servers"] == [{"url": "http://d"}]
    assert "servers" not in found["/models"]["get"]


def test_doors_that_never_answer_document_no_answer():
    responses = told()["paths"]["/endpoints/{name}/async-invocations"]["post"]["responses"]

    assert "200" not in responses
    assert "400" in responses
