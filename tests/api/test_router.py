import dataclasses

import pytest

from inferd.api.router import Router, check_routes
from inferd.api.routes import ROUTES
from inferd.core.errors import ConfigError


def router():
    made = Router()
    for method, template in (
        ("GET", "/"), ("POST", "/predict"), ("GET", "/v2"), ("GET", "/v2/models"),
        ("GET", "/v2/models/{name}"), ("GET", "/v2/models/{name}/ready"),
        ("POST", "/models/{name}/versions/{version}/predict"),
    ):  # fmt: skip
        made.add(method, template, f"{method} {template}")
    return made


@pytest.mark.parametrize(
    ("path", "target", "values"),
    [
        (b"/", "GET /", ()),
        (b"/predict", "POST /predict", ()),
        (b"/predict/", "POST /predict", ()),
        (b"/v2/", "GET /v2", ()),
        (b"/pre%64ict", "POST /predict", ()),
        (b"/v2/models/a", "GET /v2/models/{name}", ("a",)),
        (b"/v2/models/a%2Fb", "GET /v2/models/{name}", ("a/b",)),
        (b"/v2/models/%C3%BC/", "GET /v2/models/{name}", ("ü",)),
        (b"/v2/models/{name}", "GET /v2/models/{name}", ("{name}",)),
        (b"/models/a/versions/2/predict", "POST /models/{name}/versions/{version}/predict",
         ("a", "2")),
    ],
)  # fmt: skip
def test_paths_lead_to_routes(path, target, values):
    made = router()
    for _ in range(2):  # the second time from what is remembered
        resource, found = made.find(path)

        assert target in resource.methods.values()
        assert found == values


@pytest.mark.parametrize(
    "path",
    [
        b"", b"*", b"//", b"//predict", b"/predict//", b"/Predict", b"/predict/x", b"/v2%2Fmodels",
        b"/v2//models", b"/v2/models//ready", b"/v2/models/%FF", b"/models//versions/2/predict",
        b"predict", b"/../predict",
    ],
)  # fmt: skip
def test_other_paths_lead_nowhere(path):
    assert router().find(path) is None


def test_head_is_answered_where_get_is():
    resource, _ = router().find(b"/v2")

    assert set(resource.methods) == {"GET", "HEAD"}
    assert resource.allow == b"GET, HEAD, OPTIONS"


def test_what_is_remembered_is_bounded():
    made = router()
    for index in range(5000):
        made.find(b"/v2/models/%d" % index)

    assert len(made._found) <= 1024


def test_a_route_declared_twice_is_a_bug():
    made = router()

    with pytest.raises(ConfigError, match="declared twice"):
        made.add("POST", "/predict", "again")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"permission": ""}, "no known permission"), ({"door": "nowhere"}, "no handler")],
    ids=["permission", "handler"],
)
def test_an_undeclared_route_fails_the_start(change, message):
    route = dataclasses.replace(ROUTES[0], **change)

    with pytest.raises(ConfigError, match=message):
        check_routes([route], {"predict": object()})


def test_a_verb_at_the_end_of_a_segment_is_part_of_the_template():
    made = Router()
    made.add("GET", "/v1/models/{name}", "model")
    made.add("POST", "/v1/models/{name}:predict", "predict")
    made.add("POST", "/v1/models/{name}:explain", "explain")

    def found(path):
        resource, values = made.find(path)
        return next(iter(resource.methods.values())), values

    assert found(b"/v1/models/m:predict") == ("predict", ("m",))
    assert found(b"/v1/models/a:b%3Aexplain") == ("explain", ("a:b",))
    assert found(b"/v1/models/m") == ("model", ("m",))
    assert found(b"/v1/models/:predict") == ("model", (":predict",))


def test_the_fixed_parts_of_some_paths_are_matched_in_any_case():
    made = Router()
    made.add("GET", "/v1/models", "models")
    made.add("POST", "/v1/models/{name}/labels/{label}:predict", "predict")
    made.add("POST", "/v2/models/{name}/infer", "infer")

    for _ in range(2):
        assert made.find(b"/V1/Models/")[0].methods["GET"] == "models"
        assert made.find(b"/v1/MODELS/MyModel/Labels/A:Predict")[1] == ("MyModel", "A")
        assert made.find(b"/v1/models/m/labels/:Predict") is None
        assert made.find(b"/V2/models/m/infer") is None
