import re
from pathlib import Path

import pytest

from inferd.api.routes import (
    BODIES,
    CONTROL,
    DATA,
    METRICS,
    PERMISSIONS,
    ROUTES,
    dialect_of,
    routes_of,
)

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = {
    "simple": "api.md",
    "oip": "open-inference-protocol.md",
    "tfserving": "tensorflow-serving.md",
    "sagemaker": "sagemaker.md",
    "sagemaker_runtime": "sagemaker.md",
    "openai": "openai.md",
}


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.template}")
def test_every_route_is_declared_in_full_and_documented(route):
    page = PAGES[route.dialect] if DATA in route.planes else "control-plane.md"

    assert route.permission in PERMISSIONS
    assert route.body in BODIES
    assert route.summary
    assert (route.body == "none") or route.method == "POST"
    assert f"`{route.method} {route.template}`" in (DOCS / page).read_text()


@pytest.mark.parametrize("plane", [DATA, CONTROL, METRICS], ids=str)
def test_no_route_is_declared_twice(plane):
    keys = [(r.method, r.template) for r in routes_of(plane)]

    assert len(keys) == len(set(keys))


def test_templates_are_well_formed():
    for route in ROUTES:
        assert re.fullmatch(r"/|(/([a-z0-9._-]+|{[a-z]+}(:[a-z]+)?))+", route.template)


def test_health_needs_nobodys_permission():
    public = {r.template for r in ROUTES if r.permission == "public"}

    assert public == {"/", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/ping"}


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        (b"/v2", "oip"),
        (b"/v2/nothing", "oip"),
        (b"/v22", "simple"),
        (b"/nothing", "simple"),
        (b"/v1/models/m/nothing", "tfserving"),
    ],
)
def test_a_path_without_a_route_is_refused_in_the_dialect_of_its_beginning(path, dialect):
    assert dialect_of(path) == dialect
