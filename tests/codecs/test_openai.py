import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.codecs.openai import (
    Fields,
    error_form,
    estimated,
    model_of,
    not_for,
    peeked_model,
    split_model,
    usage,
    utf8,
)
from inferd.core.errors import InvalidInput

KEYS = {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("status", "kind", "text", "type_", "param", "code"),
    [
        (400, "invalid_input", '"top_p" must be a number', "invalid_request_error", "top_p", "invalid_input"),
        (400, "invalid_input", "the body is empty", "invalid_request_error", None, "invalid_input"),
        (404, "not_found", '"model" is not served here', "invalid_request_error", "model", "model_not_found"),
        (404, "not_found", "no route '/v1/x'", "invalid_request_error", None, "not_found"),
        (403, "not_allowed", "no", "permission_error", None, "not_allowed"),
        (429, "overloaded", "busy", "rate_limit_error", None, "rate_limit_exceeded"),
        (500, "model_failed", '"model" broke', "server_error", None, "model_failed"),
        (503, "unavailable", "loading", "server_error", None, "unavailable"),
    ],
)  # fmt: skip
def test_an_error_has_all_four_members(status, kind, text, type_, param, code):
    error = error_form(status, kind, text)["error"]

    assert set(error) == KEYS
    assert error == {"message": text, "type": type_, "param": param, "code": code}


def fields(**given):
    return Fields(given)


def test_null_is_as_good_as_left_out():
    found = fields(a=None, b=None, c=None)

    assert found.text("a") is None
    assert found.integer("b", 1, 2) is None
    assert found.flag("c") is False
    with pytest.raises(InvalidInput, match='"a" is missing'):
        fields(a=None).need("a")


@pytest.mark.parametrize("value", [3, -1, "1", True, [1], float("nan"), float("inf")], ids=str)
def test_a_number_out_of_range_or_kind_is_refused_by_name(value):
    with pytest.raises(InvalidInput, match='^"x" must be a number from 0 to 2'):
        fields(x=value).number("x", 0, 2)


@pytest.mark.parametrize("value", [0, 5, 1.0, "1", True, {}], ids=str)
def test_an_integer_is_no_float_and_no_boolean(value):
    with pytest.raises(InvalidInput, match='^"x" must be an integer from 1 to 4'):
        fields(x=value).integer("x", 1, 4)


def test_numbers_stay_as_they_were_sent():
    assert fields(x=1).number("x", 0, 2) == 1
    assert fields(x=0.5).number("x", 0, 2) == 0.5
    assert fields(x=4).integer("x", 1, 4) == 4


def test_words_texts_and_flags_are_checked():
    assert fields(x="b").choice("x", ("a", "b"), "a") == "b"
    assert fields().choice("x", ("a", "b"), "a") == "a"
    for bad in ("c", 1):
        with pytest.raises(InvalidInput, match="one of a, b"):
            fields(x=bad).choice("x", ("a", "b"), "a")
    with pytest.raises(InvalidInput, match="must be a text"):
        fields(x=1).text("x")
    with pytest.raises(InvalidInput, match="true or false"):
        fields(x=0).flag("x")


def test_what_is_not_offered_may_be_asked_for_in_vain_only_by_asking_for_nothing():
    for nothing in (None, [], {}, "", False, "none"):
        fields(x=nothing).refuse("x", "why", "none")
    for thing in ([1], {"a": 1}, "b", True, 0, 1):
        with pytest.raises(InvalidInput, match='^"x" is not offered: why'):
            fields(x=thing).refuse("x", "why", "none")


def test_what_is_left_goes_to_the_model_where_it_is_a_scalar():
    found = fields(a=1, b=0.5, c="x", d=True, e=None, f=[1], g={})
    found.ignore("f", "g")

    assert found.scalars() == {"a": 1, "b": 0.5, "c": "x", "d": True}


@pytest.mark.parametrize("value", [[1], {"a": 1}, float("nan"), 1 << 64], ids=str)
def test_what_is_left_and_no_scalar_is_refused(value):
    with pytest.raises(InvalidInput, match='^"x" is .*no model takes'):
        fields(x=value).scalars()


def test_parameters_are_bounded():
    assert len(fields(a="x" * 60_000).scalars()["a"]) == 60_000
    for many in ({"a": "x" * 70_000}, {str(i): "x" * 100 for i in range(1000)}):
        with pytest.raises(InvalidInput, match="at most 65536 characters"):
            Fields(many).scalars()


@pytest.mark.parametrize("body", [None, [], "x", 1], ids=str)
def test_a_body_is_an_object(body):
    with pytest.raises(InvalidInput, match="must be an object"):
        model_of(body)


@pytest.mark.parametrize("value", [None, "", 1, ["m"]], ids=str)
def test_a_body_names_its_model(value):
    with pytest.raises(InvalidInput, match='^"model" '):
        model_of({"model": value})
    assert model_of({"model": "m@2"}) == "m@2"


@pytest.mark.parametrize(
    ("name", "parts"),
    [("m", ("m",)), ("m@3", ("m", "3")), ("a@b@c", ("a@b", "c")), ("m@", ("m", ""))],
)
def test_a_version_follows_an_at_sign(name, parts):
    assert split_model(name) == parts


TRICKY = st.text('"model\\:{},x ', max_size=40)
VALUES = st.one_of(TRICKY, st.integers(0, 99), st.booleans(), st.none(), st.lists(TRICKY, max_size=3),
                   st.dictionaries(st.sampled_from(["model", "a"]), TRICKY, max_size=2))  # fmt: skip


@given(st.dictionaries(st.sampled_from(["input", "user", "a", "encoding_format"]), VALUES),
       TRICKY, st.integers(0, 4), st.booleans())  # fmt: skip
def test_a_name_that_is_found_unread_is_the_models(others, name, place, spaced):
    items = list(others.items())
    items.insert(min(place, len(items)), ("model", name))
    body = orjson.dumps(dict(items), option=orjson.OPT_INDENT_2 if spaced else None)

    assert peeked_model(body) in (None, name)


@pytest.mark.parametrize("large", ["x" * 100_000, ['é"\\' * 50_000], [[1, 2]] * 50_000])
@pytest.mark.parametrize("first", [True, False])
def test_the_name_is_found_where_clients_write_it(large, first):
    named = {"model": "m@1"}
    body = {**named, "input": large} if first else {"input": large, **named}
    body |= {"encoding_format": "base64", "dimensions": 12, "user": None}

    assert peeked_model(orjson.dumps(body)) == "m@1"
    assert peeked_model(memoryview(orjson.dumps(body))) == "m@1"


def test_a_name_within_something_else_is_not_taken_for_it():
    assert peeked_model(b'{"a": {"model": "x"}}') is None
    assert peeked_model(rb'{"a": "\"model\":\"x\"}') is None
    assert peeked_model(rb'{"x\"model": "y"}') is None
    assert peeked_model(b'{"model": "x\\u0041"}') is None


def test_tokens_are_estimated_by_bytes():
    assert estimated([b"", b"abcd", b"abcde", "é".encode() * 4]) == 1 + 1 + 2 + 2


def test_usage_is_complete():
    assert usage(3) == {"prompt_tokens": 3, "total_tokens": 3}
    assert usage(3, 4) == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def test_half_a_surrogate_pair_is_no_text():
    assert utf8("é", "prompt") == "é".encode()
    with pytest.raises(InvalidInput, match='^"prompt" '):
        utf8("\ud800", "prompt")


def test_a_model_for_something_else_is_refused_with_what_to_write():
    assert "its task is 'classify'" in not_for("embed", "classify", "embed").message
    assert "task: embed" in not_for("embed", None, "embed").help
