"""Refusals of any server as errors: by what the body says, else by the status."""

import email.utils

import pytest

from inferd.codecs import json
from inferd.codecs.refusals import CLASSES, explained, refusal, retry_after
from inferd.core.errors import KINDS, InvalidInput, ModelFailed, NotFound, Overloaded, Quarantined


@pytest.mark.parametrize("status", CLASSES, ids=str)
def test_a_status_says_the_class(status):
    error = refusal(status, b'{"error": "why"}')

    assert type(error) is CLASSES[status]
    assert error.message == "why"


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_kind_says_more_than_the_status(kind):
    error = refusal(418, json.dumps({"error": {"kind": kind, "message": "m", "help": "h"}}))

    assert type(error) is KINDS[kind]
    assert (error.message, error.help) == ("m", "h")


def test_others_are_the_caller_s_or_the_model_s():
    assert type(refusal(418, b"tea")) is InvalidInput
    assert type(refusal(599, b"")) is ModelFailed
    assert type(refusal(422, b"{}")) is InvalidInput
    assert type(refusal(422, b'{"error": "again"}')) is Quarantined
    assert "599" in refusal(599, b"").message
    assert refusal(404, memoryview(b"<html>" + b"x" * 1000)).message.endswith(
        "a page: " + "x" * 300
    )
    assert len(refusal(404, b"x" * 1000).message) == 300


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"no\n upstream\r\n", "no upstream"),
        (b"<html>\n<head><TITLE>502 Bad Gateway</TITLE></head>", "the server answered 502 with a page: 502 Bad Gateway"),
        (b"<!DOCTYPE html><p>x y</p", "the server answered 502 with a page: x y"),
        (b"x" * 9000, "x" * 300),
        (b"", "the server answered 502 without an explanation"),
    ],
    ids=["text", "page", "untitled", "long", "empty"],
)  # fmt: skip
def test_what_is_no_protocol_s_body_is_told_in_one_line(body, message):
    assert refusal(502, body).message == message


def test_a_redirect_is_told():
    error = refusal(307, b"", "http://there")

    assert "307" in error.message
    assert "http://there" in error.help


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("3", 3.0), (" 3 ", 3.0), ("soon", None), ("", None)],
    ids=str,
)
def test_when_to_come_back(value, seconds):
    assert retry_after(value, 0) == seconds


def test_when_to_come_back_as_a_date():
    assert retry_after(email.utils.formatdate(1000, usegmt=True), 990) == 10.0
    assert retry_after(email.utils.formatdate(1000, usegmt=True), 2000) == 0.0


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"error": "t"}, ("t", None, None)),
        ({"error": "t", "kind": "overloaded"}, ("t", None, "overloaded")),
        ({"error": {"message": "m"}}, ("m", None, None)),
        ({"error": {"message": 3}}, None),
        ([], None),
        ({"detail": "t"}, None),
    ],
    ids=str,
)
def test_what_a_body_says(value, said):
    assert explained(value) == said


def test_who_is_told_by_kind_may_come_back():
    assert type(refusal(429, b'{"error": {"kind": "overloaded", "message": "m"}}')) is Overloaded
    assert refusal(429, b'{"error": {"kind": "overloaded", "message": "m"}}').retry_after is None
    assert type(refusal(404, b'{"error": "no model"}')) is NotFound
