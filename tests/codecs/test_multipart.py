"""Forms: parts as they were sent, and what is no form or too much of one."""

import contextlib
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.codecs.multipart import (
    MAX_FIELD,
    MAX_HEADER,
    MAX_HEADERS,
    MAX_PARTS,
    Form,
    Part,
    boundary_of,
    read,
)
from inferd.core.errors import InvalidInput, TooLarge

EDGE = b"--edge"


def part(name, data, file=None, *headers):
    """One part as clients write it."""
    shown = f'form-data; name="{name}"' + (f'; filename="{file}"' if file is not None else "")
    lines = [f"Content-Disposition: {shown}".encode(), *headers]
    return EDGE + b"\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + data + b"\r\n"


def form(*parts):
    return b"".join(parts) + EDGE + b"--\r\n"


def test_parts_are_fields_and_files():
    body = form(
        part("model", b"m"),
        part("file", b"RIFF\r\n--edg\x00", "a b.wav", b"Content-Type: audio/wav"),
    )

    assert read(body, b"edge") == [
        Part("model", b"m"),
        Part("file", b"RIFF\r\n--edg\x00", "a b.wav"),
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "file", "x[]"]), st.binary(max_size=40), st.booleans()), max_size=5
    ),
    st.integers(1, 60),
)  # fmt: skip
@settings(deadline=None)
def test_what_was_sent_is_read_wherever_the_body_is_cut(parts, size):
    parts = [(n, d, f) for n, d, f in parts if b"\r\n" + EDGE not in b"\r\n" + d]
    body = form(*(part(n, d, "f" if f else None) for n, d, f in parts))

    assert read(body, b"edge", size) == [Part(n, d, "f" if f else None) for n, d, f in parts]


def test_data_that_looks_like_a_boundary_is_data():
    data = b"\r\n--edg\r\n--ed\r\n-\r\n--edge!" * 7
    for size in range(1, 40):
        assert read(form(part("file", data, "f")), b"edge", size)[0].data == data


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "ends before its last boundary"),
        (b"model=m", "no multipart/form-data"),
        (b"--edge", "ends before"),
        (form(part("a", b"1"))[:-6], "ends before"),
        (form(part("a", b"1")).replace(b"--edge", b"--egde"), "no multipart/form-data"),
        (form(EDGE + b"\r\n\r\n1\r\n"), "has no name"),
        (form(part("", b"1")), "has no name"),
        (form(part("a b", b"1")), "the name 'a b'"),
        (form(part("a\xe9", b"1")), "the name"),
        (form(part("x" * 65, b"1")), "the name"),
        (form(part("a", b"1")).replace(b"form-data;", b"attachment;"), "the name 'a'"),
        (form(part("a", b"MQ==", None, b"Content-Transfer-Encoding: base64")), "encoded as 'base64'"),
        (form(EDGE + b"\r\nContent Disposition: x\r\n\r\n1\r\n"), "invalid character"),
        (form(EDGE + b"\r\nA: " + b"x" * MAX_HEADER + b"\r\n\r\n1\r\n"), "header size"),
        (form(part("a", b"1", None, *[b"A: b"] * MAX_HEADERS)), "header count"),
        (b"--edge  \r\nA: b\r\n\r\n1\r\n--edge--", "no multipart/form-data"),
        (form(part("a", b"1")).replace(b"\r\n--edge--", b"\r\n--edge \t\r\n"), "blanks follow"),
        (form(part("a", b"1\r\n--edge x")), "blanks follow"),
    ],
    ids=["nothing", "urlencoded", "begun", "unended", "other", "nameless", "empty", "blank", "accent",
         "long", "kind", "base64", "header", "header-size", "headers", "first-padding", "padding", "blanks"],
)  # fmt: skip
def test_what_is_no_form_is_refused(body, says):
    with pytest.raises(InvalidInput, match=says):
        read(body, b"edge")


@pytest.mark.parametrize(
    "body",
    [form(*[part("a", b"1")] * (MAX_PARTS + 1)), form(part("a", b"\r\n--edgeX" * 100_000))],
    ids=["parts", "almost"],
)
def test_there_are_only_so_many_parts(body):
    with pytest.raises(TooLarge, match=f"more than {MAX_PARTS} parts"):
        read(body, b"edge")
    assert len(read(form(*[part("a", b"1")] * MAX_PARTS), b"edge")) == MAX_PARTS


def test_padding_is_refused_wherever_it_is_cut():
    body = form(part("a", b"1")).replace(b"\r\n--edge--", b"\r\n--edge" + b" " * 30 + b"\r\n")
    for size in range(1, 100):
        with pytest.raises(InvalidInput):
            read(body, b"edge", size)


def test_what_follows_the_last_boundary_is_nothing():
    assert read(form(part("a", b"1")) + b"more" * 100_000, b"edge") == [Part("a", b"1")]


def test_what_is_wrong_is_answered_and_not_logged(caplog):
    with caplog.at_level(logging.DEBUG), contextlib.suppress(InvalidInput):
        read(b"--egde\r\n", b"edge")

    assert not caplog.records


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_whatever_is_sent_is_read_or_refused(data):
    body = bytearray(
        form(part("model", b"m"), part("file", b"\x00\xff" * 20, "f"), part("x[]", b"1"))
    )
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(body)))
        end = at + data.draw(st.integers(0, 8))
        body[at:end] = data.draw(
            st.sampled_from([b"", b"\r\n", EDGE, b"--", b"\r\n\r\n", b": ", b'"'])
            | st.binary(max_size=4)
        )
    with contextlib.suppress(InvalidInput, TooLarge):
        for found in read(bytes(body), b"edge"):
            assert isinstance(found.data, bytes) and found.name


# ------------------------------------------------------------------------------------- boundaries


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'multipart/form-data; charset=utf-8; boundary="a b\'c"', b"a b'c"),
        (b"Multipart/Form-Data;BOUNDARY=" + b"x" * 70, b"x" * 70),
    ],
    ids=["plain", "quoted", "longest"],
)
def test_a_boundary_is_named_by_the_type(header, wanted):
    assert boundary_of(header) == wanted


@pytest.mark.parametrize(
    "header",
    [b"", b"multipart/form-data", b"multipart/form-data; boundary=", b"multipart/form-data; boundary=" + b"x" * 71],
    ids=["nothing", "none", "empty", "long"],
)  # fmt: skip
def test_a_type_without_a_boundary_is_refused(header):
    with pytest.raises(InvalidInput, match="boundary"):
        boundary_of(header)


# ------------------------------------------------------------------------------------------ forms


def test_fields_are_texts_and_lists_of_them():
    found = Form(
        [Part("file", b"\xff", "f"), Part("a", "é".encode()), Part("b[]", b"1"), Part("b[]", b"2")]
    )

    assert found.fields(but="file") == {"a": "é", "b": ["1", "2"]}
    assert found.file("file") == b"\xff"


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([Part("a", b"1"), Part("a", b"2")], '"a" is given 2 times'),
        ([Part("a", b"\xff")], '"a" is not UTF-8: bad byte at offset 0'),
        ([Part("a", b"1"), Part("a[]", b"2")], '"a" is given both alone and as a list'),
        ([Part("a", b"x" * (MAX_FIELD + 1))], '"a" is 65537 bytes'),
    ],
    ids=["twice", "bytes", "both", "large"],
)
def test_fields_that_are_none_are_refused(parts, says):
    with pytest.raises((InvalidInput, TooLarge), match=says):
        Form(parts).fields(but="file")


@pytest.mark.parametrize(
    ("parts", "says"),
    [([], '"file" is missing'), ([Part("file", b"", "a")] * 2, '"file" is given 2 times')],
    ids=["none", "two"],
)
def test_a_file_that_is_needed_is_there_once(parts, says):
    with pytest.raises(InvalidInput, match=says):
        Form(parts).file("file")
