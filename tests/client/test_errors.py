import email.utils

import pytest
from tests.client.serving import answer

from inferd.api.errors import STATUS
from inferd.client.errors import error_of, failed, marked, retry_after
from inferd.client.wire import Failure
from inferd.codecs.refusals import explained
from inferd.core.errors import (
    KINDS,
    DeadlineExceeded,
    InferdError,
    InvalidInput,
    ModelFailed,
    Overloaded,
    Unavailable,
)


@pytest.mark.parametrize("kind", [k for k in KINDS if k in STATUS], ids=str)
def test_the_kind_in_a_body_says_the_class(kind):
    body = {"error": {"kind": kind, "message": "m", "help": "h"}}
    error = error_of(answer(STATUS[kind], body, x_request_id="r-1"), 0)

    assert type(error) is KINDS[kind]
    assert (error.message, error.help) == ("m", "h")
    assert (error.status, error.request_id) == (STATUS[kind], "r-1")


FIRST = {status: kind for kind, status in reversed(STATUS.items())}
"""The kind that a status alone tells."""


@pytest.mark.parametrize("kind", [k for s, k in FIRST.items() if s != 500 and k in KINDS], ids=str)
def test_without_a_kind_the_status_says_the_class(kind):
    error = error_of(answer(STATUS[kind], {"error": "text"}), 0)

    assert type(error) is KINDS[kind]
    assert error.message == "text"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidInput), (418, InvalidInput), (500, ModelFailed), (599, ModelFailed),
     (502, Unavailable), (302, InvalidInput)],
    ids=str,
)  # fmt: skip
def test_any_status_is_an_error_of_ours(status, kind):
    assert type(error_of(answer(status, b"<html>oops"), 0)) is kind


def test_a_validation_error_of_another_server_is_the_callers():
    body = {"detail": [{"loc": ["inputs"], "msg": "field required"}]}

    assert type(error_of(answer(422, body), 0)) is InvalidInput


def test_a_redirect_says_where_to():
    error = error_of(answer(308, b"", location="https://b"), 0)

    assert "308" in error.message and "https://b" in error.help


def test_a_body_that_is_no_json_is_shown():
    page = "the server answered 502 with a page: Bad Gateway"
    assert error_of(answer(502, b"<html>Bad Gateway"), 0).message == page
    assert "502 without an explanation" in error_of(answer(502, b""), 0).message
    assert len(error_of(answer(502, b"x" * 10_000), 0).message) == 300


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("3", 3.0), ("0", 0.0), (email.utils.formatdate(1060, usegmt=True), 60.0),
     (email.utils.formatdate(900, usegmt=True), 0.0), ("soon", None), ("-1", None), (None, None)],
    ids=str,
)  # fmt: skip
def test_retry_after_is_a_number_or_a_date(value, seconds):
    headers = {} if value is None else {"retry-after": value}

    assert retry_after(headers, 1000) == seconds


def test_a_refusal_carries_when_to_come_back():
    busy = error_of(answer(429, {"error": "busy"}, retry_after="2"), 0)
    loading = error_of(answer(503, {"error": {"kind": "unavailable", "message": "m"}}), 0)

    assert type(busy) is Overloaded and busy.retry_after == 2.0
    assert loading.retry_after is None


def test_a_failure_without_an_answer():
    late = failed(Failure("x", late=True), "http://h", "r", 2.5)
    refused = failed(Failure("Connection refused"), "http://h", "r", 2.5)

    assert type(late) is DeadlineExceeded and "no answer within 2.5 s" in late.message
    assert type(refused) is Unavailable and refused.message == "http://h: Connection refused"
    assert late.status is refused.status is None
    assert late.request_id == "r"


@pytest.mark.parametrize(
    "value", [None, [], {}, {"error": 1}, {"error": {"message": 1}}, "x"], ids=str
)
def test_what_is_no_explanation(value):
    assert explained(value) is None


def test_an_error_that_nobody_answered_has_no_status():
    assert InferdError("x").status is None
    assert marked(InferdError("x"), 400, "r").status == 400
