"""Requests as the application sees them."""

import pytest

from inferd.transport.message import HTTPRequest

HEADERS = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]


@pytest.mark.parametrize("index", [None, {b"a": b"1", b"b": b"2"}], ids=["built", "given"])
def test_header_finds_the_first_value(index):
    request = HTTPRequest("GET", "/", b"/", b"", HEADERS, index=index)
    assert request.header(b"a") == b"1"
    assert request.header(b"b") == b"2"
    assert request.header(b"c") is None
