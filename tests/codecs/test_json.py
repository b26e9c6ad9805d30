import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.codecs import json
from inferd.core.errors import InvalidInput, Unsupported


@pytest.mark.parametrize(
    ("body", "depth"),
    [
        (b"1", 0),
        (b"[[1],[2]]", 2),
        (b'{"a":[{"b":1}]}', 3),
        (b'["]]]","[[[["]', 1),
        (rb'["\"[[[", [1]]', 2),
        (b'[["a", "[[[\\"[[', 2),
        (b'{"data":"' + b'\\"[' * 300_000, 1),
        (b'[["' + b'{\\"a\\":' * 100_000 + b'"], [[1]]]', 3),
    ],
    ids=[
        "scalar",
        "lists",
        "mixed",
        "brackets in texts",
        "escaped quote",
        "cut off",
        "long and cut off",
        "long text",
    ],
)
def test_depth_leaves_texts_out(body, depth):
    assert json.depth_of(body) == depth


def test_deep_nesting_is_refused_before_parsing():
    with pytest.raises(InvalidInput, match="nests 100000 deep; at most 64"):
        json.loads(b"[" * 100_000)
    with pytest.raises(InvalidInput, match="at most 64"):
        json.loads(b'{"a":' * 65 + b"1" + b"}" * 65)


def test_a_wide_body_is_not_deep():
    rows = b'{"data":[' + b",".join([b"[1]"] * 500) + b"]}"

    assert len(json.loads(rows)["data"]) == 500


def test_closing_brackets_in_texts_do_not_hide_depth():
    body = b'["' + b"]" * 200 + b'",' + b"[" * 100 + b"]" * 101

    with pytest.raises(InvalidInput, match="nests 101 deep"):
        json.loads(body)


def test_the_limit_itself_is_accepted():
    assert json.loads(b"[" * 64 + b"]" * 64)


def test_bare_nan_and_infinity_are_read():
    nan, high, low = json.loads(b'{"data":[NaN, Infinity, -Infinity]}')["data"]

    assert nan != nan
    assert (high, low) == (float("inf"), float("-inf"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b"  \n", "the body is empty"),
        (b'{"a": }', "at line 1 column 7"),
        (b'{"a":\n [1,}', "at line 2 column 5"),
        (b"\xff", "not valid JSON"),
        (b"[NaN, oops]", "not valid JSON"),
        (b"[NaN, \xff]", "not UTF-8"),
        (b"[NaN, " + b"9" * 5000 + b"]", "too long"),
        (b"[1e999]", "not valid JSON"),
    ],
    ids=["empty", "blank", "place", "line", "utf8", "nan", "nan utf8", "digits", "overflow"],
)
def test_bad_json_says_where(body, message):
    with pytest.raises(InvalidInput, match=message):
        json.loads(body)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32([0.1, 0.5]), b"[0.1,0.5]"),
        (np.float32(0.1), b"0.1"),
        (np.array(0.1, np.float32), b"0.1"),
        (np.array([1.5, np.nan, np.inf, -np.inf]), b"[1.5,null,null,null]"),
        (np.arange(6, dtype=np.float32).reshape(2, 3).T, b"[[0.0,3.0],[1.0,4.0],[2.0,5.0]]"),
        (np.array([1.5], ">f4"), b"[1.5]"),
        (np.array([True, False]), b"[true,false]"),
        (np.array([2**64 - 1], np.uint64), b"[18446744073709551615]"),
        (np.array([-(2**63)]), b"[-9223372036854775808]"),
        (np.array([[b"a"], ["b"]], object), b'[["a"],["b"]]'),
        (np.array("x", object), b'"x"'),
        (np.array([b"\xff"], object), b'[{"b64":"/w=="}]'),
        (np.array(["ab", "c"]), b'["ab","c"]'),
        (np.float16([0.5]), b"[0.5]"),
        (np.zeros(2, np.longlong), b"[0,0]"),
        (np.longlong(-(2**63)), b"-9223372036854775808"),
        (np.ulonglong(2**64 - 1), b"18446744073709551615"),
        (list(np.ones(2, np.longlong)), b"[1,1]"),
        (np.ones((2, 2), np.longlong).T, b"[[1,1],[1,1]]"),
        ([np.float32(0.1), np.longlong(3), np.bytes_(b"a")], b'[0.1,3,"a"]'),
        (np.zeros((0, 3)), b"[]"),
    ],
    ids=str,
)
def test_arrays_are_written_in_place(value, text):
    assert json.dumps({"r": value}) == b'{"r":' + text + b"}"


@pytest.mark.parametrize(
    "value",
    [np.array([1j]), object(), np.array([None], object), np.longdouble(0.5)],
    ids=["complex", "object", "none", "long double"],
)
def test_what_has_no_json_form_is_unsupported(value):
    with pytest.raises(Unsupported, match="cannot be written as JSON"):
        json.dumps({"r": value})


PIECES = [b'"', b"\\", b"[", b"]", b"{", b"}", b"a", b'\\"', b'"]"', b'""']


@given(st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join), st.integers(1, 9))
def test_depth_is_the_same_in_slices_of_any_size(body, size):
    whole = json.depth_of(body)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json, "_SLICE", size)

        assert json.depth_of(body) == whole


def test_bytes_that_are_no_json_are_not_called_deep():
    picture = b"\x89PNG" + b"[" * (json.MAX_DEPTH + 1)

    with pytest.raises(InvalidInput, match="not valid JSON") as caught:
        json.loads(picture)

    assert "Content-Type" in caught.value.help
