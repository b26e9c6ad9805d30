import dataclasses

import pytest

from inferd.api.call import Call
from inferd.api.guard import (
    UNWANTED_BYTES,
    Guard,
    allow_anonymous,
    media_of,
    timeout_of,
    whole_media,
)
from inferd.api.routes import ROUTES
from inferd.api.settings import ApiSettings
from inferd.core.clock import FakeClock
from inferd.core.errors import InvalidInput, LengthRequired, NotAllowed, UnsupportedMedia
from inferd.core.message import HIGH, NORMAL
from inferd.transport.message import HTTPRequest

PREDICT = next(r for r in ROUTES if r.template == "/predict")
INFER = next(r for r in ROUTES if r.template == "/v2/models/{name}/infer")
INVOKE = next(r for r in ROUTES if r.template == "/invocations")
ENDPOINT = next(r for r in ROUTES if r.template == "/endpoints/{name}/invocations")
READY = next(r for r in ROUTES if r.template == "/readyz")


def admit(route=PREDICT, *, received=1000.0, settings=ApiSettings(), sized=True, **headers):
    sent = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    if sized:
        sent.append((b"content-length", b"1"))
    request = HTTPRequest("POST", "/", b"/", b"", sent, received=received)
    call = Call("r", [])
    terms = Guard(settings, FakeClock(1000.0)).admit(request, route, call)
    return terms.limit, call


@pytest.mark.parametrize(
    ("content_type", "media", "limit"),
    [
        (None, "application/json", 8 << 20),
        ("application/json", "application/json", 8 << 20),
        ("Application/JSON; charset=UTF-8", "application/json", 8 << 20),
        ("application/x-www-form-urlencoded", "application/json", 8 << 20),
        ("text/csv;charset=utf-8;header=present", "text/csv", 8 << 20),
        ("text/plain; charset=us-ascii", "text/plain", 8 << 20),
        ("image/png", "image/png", 64 << 20),
        ("application/x-npy", "application/x-npy", 64 << 20),
    ],
)
def test_the_type_of_the_body_decides_its_limit(content_type, media, limit):
    given = {"content_type": content_type} if content_type else {}

    found, call = admit(**given)

    assert (call.media, found) == (media, limit)


@pytest.mark.parametrize(
    "content_type",
    ["application/xml", "multipart/form-data; boundary=x", "application/octet-stream", "",
     "application/json; charset=latin-1", "json", "application/x-pickle"],
)  # fmt: skip
def test_other_types_are_refused(content_type):
    with pytest.raises(UnsupportedMedia):
        admit(content_type=content_type)


def test_the_open_inference_protocol_takes_json_and_tensors():
    assert admit(INFER, content_type="application/json")[0] == 8 << 20
    assert admit(INFER, content_type="application/octet-stream")[0] == 64 << 20
    with pytest.raises(
        UnsupportedMedia, match="it takes application/json, application/octet-stream$"
    ):
        admit(INFER, content_type="image/png")


def test_the_size_of_a_leading_json_part_is_read_where_the_protocol_has_one():
    limit, call = admit(INFER, inference_header_content_length="12")

    assert (limit, call.terms.json_bytes, call.terms.view) == (64 << 20, 12, True)
    assert admit(PREDICT, inference_header_content_length="12")[1].terms.json_bytes is None
    with pytest.raises(InvalidInput, match="is no size in bytes"):
        admit(INFER, inference_header_content_length="-1")


def test_codings_are_noted():
    assert admit(content_encoding="identity")[1].terms.coding is None
    assert admit(content_encoding="GZIP")[1].terms.coding == "gzip"
    assert admit(accept_encoding="gzip")[1].terms.wish == ("gzip", True)
    with pytest.raises(UnsupportedMedia, match="content encoding 'br'"):
        admit(content_encoding="br")


def test_a_route_without_a_body_ignores_a_small_one():
    assert admit(READY, content_type="application/xml")[0] == UNWANTED_BYTES
    assert admit(READY, sized=False)[0] == UNWANTED_BYTES


def test_a_body_of_unsaid_length_is_refused():
    with pytest.raises(LengthRequired, match="neither Content-Length nor Transfer-Encoding"):
        admit(sized=False)
    assert admit(sized=False, transfer_encoding="chunked")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("250ms", 0.25), ("2s", 2), ("1.5", 1.5), ("3", 3), (" 2s ", 2), ("0.5ms", 0.0005)],
)
def test_the_client_may_set_a_deadline(value, seconds):
    assert admit(x_request_timeout=value)[1].deadline == pytest.approx(1000 + seconds)


@pytest.mark.parametrize(
    "value", ["", "0", "0ms", "-1", "1m", "abc", "1e3", "inf", "nan", "1,5", "1 s", "9" * 20]
)
def test_a_deadline_that_is_none_is_refused(value):
    with pytest.raises(InvalidInput, match="X-Request-Timeout"):
        timeout_of(value.encode())


def test_without_one_the_servers_deadline_counts_from_arrival():
    assert admit(received=990.0)[1].deadline == 1020
    assert admit(received=0.0)[1].deadline == 1030


def test_the_longest_deadline_is_the_servers():
    settings = ApiSettings(max_timeout=60)

    assert admit(x_request_timeout="9999", settings=settings)[1].deadline == 1060


def test_priority_and_timings_are_asked_for():
    _, call = admit(x_priority="High", x_server_timing="1")
    _, plain = admit(x_server_timing="0")

    assert (call.priority, call.timed) == (HIGH, True)
    assert (plain.priority, plain.timed) == (NORMAL, False)
    for wish in ("urgent", "admitted", "2"):
        with pytest.raises(InvalidInput, match=f"X-Priority '{wish}'"):
            admit(x_priority=wish)


def test_a_route_without_a_permission_is_open_to_nobody():
    with pytest.raises(NotAllowed):
        allow_anonymous(None, dataclasses.replace(PREDICT, permission=""))


def test_permission_is_asked_before_anything_else():
    def deny(principal, route):
        raise NotAllowed("no")

    request = HTTPRequest("POST", "/", b"/", b"", [(b"content-encoding", b"gzip")])
    with pytest.raises(NotAllowed):
        Guard(ApiSettings(), FakeClock(), deny).admit(request, PREDICT, Call("r", []))


def test_what_is_remembered_of_headers_is_bounded():
    assert media_of.cache_info().maxsize == 256
    assert timeout_of.cache_info().maxsize == 256


@pytest.mark.parametrize(
    ("content_type", "media", "limit"),
    [
        (None, "application/json", 8 << 20),
        ("Text/CSV; header=present", "text/csv", 8 << 20),
        ("application/x-ndjson", "application/jsonlines", 8 << 20),
        ("application/x-npz", "application/x-npz", 64 << 20),
        ('Multipart/Form-Data; boundary="AaB"', 'Multipart/Form-Data; boundary="AaB"', 64 << 20),
        ("anything", "anything", 64 << 20),
    ],
)
def test_where_whole_bodies_are_taken_every_type_is(content_type, media, limit):
    given = {"content_type": content_type} if content_type else {}

    found, call = admit(INVOKE, **given)

    assert (call.media, found) == (media, limit)


def test_a_known_type_in_a_foreign_charset_is_refused_all_the_same():
    with pytest.raises(UnsupportedMedia):
        whole_media(b"text/csv; charset=latin-1")


def test_the_runtime_api_may_rename_accept():
    renamed = {"x_amzn_sagemaker_accept": "text/csv", "accept": "*/*"}

    assert admit(ENDPOINT, **renamed)[1].terms.accept == "text/csv"
    assert admit(ENDPOINT, accept="text/csv")[1].terms.accept == "text/csv"
    assert admit(INVOKE, **renamed)[1].terms.accept == ""
