import re
from pathlib import Path

import pytest

from inferd.api.routes import CONTROL, DATA, METRICS, OIP, PERMISSIONS, ROUTES, routes_of

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.template}")
def test_every_route_is_declared_in_full_and_documented(route):
    page = "open-inference-protocol.md" if route.dialect == OIP else "api.md"
    page = page if DATA in route.planes else "control-plane.md"

    assert route.permission in PERMISSIONS
    assert route.body in ("none", "json", "media")
    assert route.summary
    assert (route.body == "none") == (route.method == "GET")
    assert f"`{route.method} {route.template}`" in (DOCS / page).read_text()


@pytest.mark.parametrize("plane", [DATA, CONTROL, METRICS], ids=str)
def test_no_route_is_declared_twice(plane):
    keys = [(r.method, r.template) for r in routes_of(plane)]

    assert len(keys) == len(set(keys))


def test_templates_are_well_formed():
    for route in ROUTES:
        assert re.fullmatch(r"/|(/([a-z0-9.]+|{[a-z]+}))+", route.template)


def test_health_needs_nobodys_permission():
    public = {r.template for r in ROUTES if r.permission == "public"}

    assert public == {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"}
