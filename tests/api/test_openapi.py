import orjson
import pytest
from tests.api.serving import version
from tests.codecs.signatures import signature

from inferd.api.openapi import document
from inferd.api.routes import ROUTES
from inferd.codecs.media import IMAGES
from inferd.routing.table import RouteTable

IMAGE = signature([("image", "BYTES", [-1], "image")], [("y", "FP32", [-1]), ("z", "BYTES", [-1])])


def made(*versions):
    table = RouteTable()
    for each in versions:
        table.put(each)
    found = document(
        table, version="1.0", data_url="http://localhost:8000", admin_url="http://localhost:8002"
    )
    return orjson.loads(orjson.dumps(found))


def test_it_is_valid():
    validator = pytest.importorskip("openapi_spec_validator")
    found = made(
        version(), version(number="2"), version("a/b ü"), version("a_b _"), version("i", sig=IMAGE)
    )

    validator.validate(found)


def test_every_route_is_an_operation():
    paths = made()["paths"]

    for route in ROUTES:
        operation = paths[route.template][route.method.lower()]
        assert route.summary in operation["summary"] + operation.get("description", "")


def test_models_have_their_schemas_and_media():
    paths = made(version("i", sig=IMAGE))["paths"]
    operation = paths["/models/i/predict"]["post"]

    assert set(operation["requestBody"]["content"]) == {"application/json", *IMAGES}
    assert "/v2/models/i/versions/1/infer" in paths


def test_names_are_encoded_in_paths():
    assert "/models/a%2Fb%20%C3%BC/predict" in made(version("a/b ü"))["paths"]


def test_operations_have_ids_of_their_own():
    paths = made(version(), version(number="2"), version("a b"), version("a_b"))["paths"]
    ids = [
        item[method]["operationId"]
        for item in paths.values()
        for method in ("get", "post")
        if method in item
    ]

    assert len(ids) == len(set(ids))


def test_a_version_still_loading_has_no_schemas():
    loading = version()
    loading.signature = None

    assert "/models/m/predict" not in made(loading)["paths"]


def test_explanations_are_described_by_the_signature_of_the_explainer():
    found = made(version(explainer="i"), version("n", explainer="none"), version("i", sig=IMAGE))
    operation = found["paths"]["/v1/models/m:explain"]["post"]

    assert operation["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/m.1.ExplainRequest"
    }
    schemas = found["components"]["schemas"]
    assert schemas["m.1.ExplainRequest"] == schemas["i.1.PredictRequest"]
    assert "/v1/models/m/versions/1:explain" in found["paths"]
    assert {"/v1/models/n:explain", "/v1/models/i:explain"}.isdisjoint(found["paths"])


def test_the_planes_are_told_apart():
    paths = made()["paths"]

    assert paths["/predict"]["servers"] == [{"url": "http://localhost:8000"}]
    assert paths["/metrics"]["servers"] == [{"url": "http://localhost:8002"}]
    assert len(paths["/healthz"]["servers"]) == 2


def test_models_named_in_bodies_have_schemas_too():
    found = made()
    operation = found["paths"]["/v1/chat/completions"]["post"]
    answer = operation["responses"]["200"]["content"]
    error = operation["responses"]["404"]["content"]["application/json"]["schema"]["$ref"]

    asked = operation["requestBody"]["content"]["application/json"]["schema"]
    assert asked["required"] == ["model", "messages"]
    assert set(answer) == {"application/json", "text/event-stream"}
    assert error.rpartition("/")[2] == "OpenAIError"
    assert "OpenAIError" in found["components"]["schemas"]
