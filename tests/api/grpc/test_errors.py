import grpc
import pytest

from inferd.api.call import Call
from inferd.api.errors import STATUS as HTTP
from inferd.api.grpc.errors import STATUS, explain, markdown, worded
from inferd.core.errors import KINDS, InferdError, InvalidInput, Overloaded


def call():
    return Call("id-1", [])


def test_every_kind_has_a_status():
    assert set(STATUS) == set(KINDS) == set(HTTP)


@pytest.mark.parametrize("kind", STATUS, ids=str)
def test_whose_fault_it_is_is_the_same_as_over_http(kind):
    ours = {
        grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }  # fmt: skip

    assert (STATUS[kind] in ours) == (HTTP[kind] >= 500)


def test_an_error_tells_its_kind_and_what_to_do():
    noted = call()
    code, details, metadata = explain(InvalidInput("wrong", help="do better"), noted)

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details == "wrong (do better)"
    assert dict(metadata) == {"x-request-id": "id-1", "error-kind": "invalid_input"}
    assert noted.kind == "invalid_input"


def test_what_may_be_tried_again_says_when():
    code, _, metadata = explain(Overloaded("full", retry_after=2.5), call())

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert dict(metadata)["retry-after"] == "3"
    assert dict(metadata)["grpc-retry-pushback-ms"] == "3000"


@pytest.mark.parametrize("error", [ValueError("secret"), InferdError("secret")], ids=str)
def test_what_is_not_meant_for_clients_is_hidden(error, caplog):
    code, details, _ = explain(error, call())

    assert code is grpc.StatusCode.INTERNAL
    assert details == "internal error (request id id-1)"
    assert "secret" in caplog.text


def test_long_messages_are_cut():
    _, text = worded(InvalidInput("a" * 100_000), call())

    assert len(text) < 2100


def test_the_table_has_every_kind():
    assert all(f"`{kind}`" in markdown() for kind in KINDS)
