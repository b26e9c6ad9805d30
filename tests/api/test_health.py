import pytest
from tests.api.serving import Server, headers, value, version

from inferd.api.control import control_plane
from inferd.api.health import Readiness
from inferd.routing.table import FAILED, LOADING, READY, RouteTable


def loading(**more):
    found = version(**more)
    found.state, found.reason = LOADING, "measuring"
    return found


@pytest.mark.parametrize("plane", [None, control_plane], ids=["data", "control"])
def test_ready_once_every_model_is(plane):
    model = loading()
    server = Server(model, version("other"), plane=plane)

    before = server.get("/readyz")
    model.state = READY
    after = server.get("/readyz")

    assert before.status == 503
    assert headers(before)["retry-after"] == "1"
    assert value(before) == {
        "status": "not ready",
        "reasons": ["model 'm' version 1 is loading: measuring"],
    }
    assert (after.status, value(after)) == (200, {"status": "ready"})


def test_a_server_without_models_is_not_ready():
    assert value(Server().get("/readyz"))["reasons"] == ["no model is loaded"]


def test_a_later_failure_is_that_models_own():
    model = version()
    server = Server(model)
    assert server.get("/readyz").status == 200

    model.state, model.reason = FAILED, "its workers died"

    assert server.get("/readyz").status == 200
    assert server.get("/v2/models/m/ready").status == 503


def test_draining_is_not_ready_and_alive():
    server = Server(version())
    assert server.get("/readyz").status == 200

    server.readiness.draining = True

    assert server.get("/readyz").status == 503
    assert value(server.get("/readyz"))["reasons"] == ["the server is stopping"]
    assert server.get("/healthz").status == 200
    assert server.get("/v2/health/live").status == 200
    assert server.get("/v2/health/ready").status == 503


def test_a_server_whose_models_come_later_is_ready_without_any():
    table = RouteTable()
    patient = Readiness(table, may_be_empty=True)

    assert patient.reasons() == []
    table.put(loading())
    assert patient.reasons() == []
    patient.draining = True
    assert patient.reasons() == ["the server is stopping"]


def test_models_that_are_ready_first_do_not_make_a_starting_server_ready():
    """Those of services may be in the table, and ready, before the others are in it at all."""
    table = RouteTable()
    table.put(version("far"))
    readiness = Readiness(table)
    readiness.starting = True
    assert readiness.reasons() == ["the server is starting"]

    here = loading(model="here")
    table.put(here)
    readiness.starting = False
    assert readiness.reasons() == ["model 'here' version 1 is loading: measuring"]
    here.state = READY
    assert readiness.reasons() == []
