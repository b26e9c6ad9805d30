from tests.api.serving import version

from inferd.api.modelslist import STATES, model_card, models_list, status
from inferd.routing.table import FAILED, LOADING, READY, RouteTable


def table(*versions):
    made = RouteTable()
    for each in versions:
        made.put(each)
    return made


def failed(number="2"):
    broken = version(number=number)
    broken.state, broken.reason, broken.signature = FAILED, "no memory", None
    return broken


def test_the_list_is_that_of_openai_and_of_kserve():
    found = models_list(table(version("b", created=12.7), version("a", created=3)))

    assert found == {
        "object": "list",
        "data": [
            {"id": "a", "object": "model", "created": 3, "owned_by": "inferd"},
            {"id": "b", "object": "model", "created": 12, "owned_by": "inferd"},
        ],
        "models": ["a", "b"],
    }


def test_no_models_are_empty_lists():
    assert models_list(table()) == {"object": "list", "data": [], "models": []}


def test_a_card_is_openais_model_kserves_readiness_and_the_states_of_all_versions():
    card, default = model_card(table(version(created=5), failed()), "m")

    assert default.version == "1"
    assert card == {
        "id": "m", "object": "model", "created": 5, "owned_by": "inferd",
        "name": "m", "ready": True,
        "model_version_status": [
            {"version": "2", "state": "END",
             "status": {"error_code": "INTERNAL", "error_message": "no memory"}},
            {"version": "1", "state": "AVAILABLE",
             "status": {"error_code": "OK", "error_message": ""}},
        ],
    }  # fmt: skip


def test_every_state_has_its_name():
    assert STATES == {LOADING: "LOADING", READY: "AVAILABLE", FAILED: "END"}
    other = version()
    other.state = "stopping"
    assert status([other])["model_version_status"][0]["state"] == "UNKNOWN"
