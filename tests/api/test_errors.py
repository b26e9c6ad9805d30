import logging

import orjson
import pytest
from tests.api.serving import headers, value

from inferd.api.call import Call
from inferd.api.errors import KIND_OF, STATUS, markdown, respond
from inferd.core.errors import KINDS, ConfigError, InvalidInput, Overloaded, Unavailable, from_kind


def test_every_kind_has_a_status():
    assert set(STATUS) == set(KINDS)
    assert all(400 <= status <= 599 for status in STATUS.values())


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"internal", "config", "missing_extra"}))
def test_an_error_says_its_kind(kind):
    call = Call("r-1", [(b"X-Request-Id", b"r-1")])

    response = respond(from_kind(kind, "what happened", "what to do"), "simple", call)

    assert response.status == STATUS[kind]
    assert call.kind == kind
    assert value(response) == {
        "error": {"kind": kind, "message": "what happened", "help": "what to do"}
    }
    assert headers(response)["x-request-id"] == "r-1"


def test_the_open_inference_protocol_has_its_own_form():
    response = respond(InvalidInput("what happened", help="what to do"), "oip", None)

    assert value(response) == {"error": "what happened (what to do)"}


@pytest.mark.parametrize(
    "error", [KeyError("/etc/secret"), ConfigError("/etc/secret")], ids=["unknown", "hidden kind"]
)
def test_nothing_of_the_inside_reaches_a_client(error, caplog):
    with caplog.at_level(logging.ERROR, "inferd.api"):
        response = respond(error, "simple", Call("r-7", []))

    assert response.status == 500
    assert value(response)["error"] == {
        "kind": "internal", "message": "internal error (request id r-7)",
    }  # fmt: skip
    assert "r-7" in caplog.text
    assert "/etc/secret" in caplog.text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "1"), (0.01, "1"), (1.2, "2"), (7, "7"), (1e9, "3600")], ids=str
)
@pytest.mark.parametrize("cls", [Overloaded, Unavailable], ids=["overloaded", "unavailable"])
def test_refusals_say_when_to_come_back(cls, seconds, text):
    response = respond(cls("busy", retry_after=seconds), "simple", Call("r", []))

    assert headers(response)["retry-after"] == text


def test_the_headers_of_the_call_are_not_changed():
    call = Call("r", [])
    respond(Overloaded("busy"), "simple", call)

    assert call.headers == []


def test_what_the_transport_refuses_has_kinds():
    assert {400, 404, 405, 408, 411, 413, 414, 415, 431, 500, 501, 503, 505} <= set(KIND_OF)


def test_the_table_of_the_documents_has_every_kind():
    assert all(f"`{kind}`" in markdown() for kind in KINDS)
    assert orjson.dumps(markdown())
