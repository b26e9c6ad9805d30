import io

import numpy as np
import pytest
from tests.codecs.signatures import signature

from inferd.codecs.answers import ANSWERS, answerer, offers
from inferd.codecs.media import CSV, JSON, JSON_LINES, NPY, NPZ, OCTETS, TEXT
from inferd.core.errors import NotAcceptable, Unsupported

X = [("x", "FP32", [-1, 2])]
ROWS = signature(X, [("y", "FP32", [-1, 2])])
VALUES = signature(X, [("y", "INT64", [-1])])
TWO = signature(X, [("y", "FP32", [-1, 2]), ("label", "BYTES", [-1])])
IMAGE = signature(X, [("y", "UINT8", [-1, 8, 8, 3])])
WORDS = signature(X, [("y", "BYTES", [-1])])
PICTURE = signature(X, [("y", "BYTES", [-1], "image")])
WHOLE = signature([("x", "FP32", [2])], [("y", "FP32", [3])], batched=False)


@pytest.mark.parametrize(
    ("sig", "found"),
    [
        (ROWS, (JSON, CSV, NPY, NPZ, JSON_LINES)),
        (TWO, (JSON, CSV, NPZ, JSON_LINES)),
        (IMAGE, (JSON, NPY, NPZ, JSON_LINES)),
        (WORDS, ANSWERS),
        (PICTURE, (JSON, CSV, NPY, NPZ, JSON_LINES, OCTETS)),
        (WHOLE, (JSON, NPY, NPZ)),
    ],
    ids=["rows", "two", "image", "words", "picture", "whole"],
)
def test_the_outputs_say_in_which_types_a_model_answers(sig, found):
    assert offers(sig) == found


def written(sig, media, outputs, *, single=False):
    answer = answerer(media, sig).encode(outputs, single)
    assert answer.media.decode() == media
    return answer.body


def texts(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


@pytest.mark.parametrize(
    ("sig", "outputs", "table"),
    [
        (ROWS, {"y": np.array([[0.1, 2], [3, 4]], np.float32)}, b"0.1,2.0\n3.0,4.0\n"),
        (ROWS, {"y": np.array([[np.nan, np.inf]], np.float32)}, b"nan,inf\n"),
        (ROWS, {"y": np.empty((0, 2), np.float32)}, b""),
        (VALUES, {"y": np.array([2**62 + 1, -1])}, b"4611686018427387905\n-1\n"),
        (
            TWO,
            {"y": np.array([[1, 2]], np.float32), "label": texts(b'a "b", c\nd')},
            b'1.0,2.0,"a ""b"", c\nd"\n',
        ),
        (WORDS, {"y": texts("ä".encode(), "x")}, "ä\nx\n".encode()),
        (signature(X, [("y", "BOOL", [-1])]), {"y": np.array([True, False])}, b"true\nfalse\n"),
    ],
    ids=["floats", "not finite", "empty", "large", "texts", "words", "booleans"],
)
def test_a_table_has_a_row_for_each_example(sig, outputs, table):
    assert written(sig, CSV, outputs) == table


def test_rows_that_ran_apart_are_one_table():
    rows = [{"y": np.ones((1, 1), np.float32)}, {"y": np.ones((1, 3), np.float32)}]

    assert written(ROWS, CSV, rows) == b"1.0\n1.0,1.0,1.0\n"
    assert written(ROWS, JSON_LINES, rows) == b"[1.0]\n[1.0,1.0,1.0]\n"
    with pytest.raises(Unsupported, match="unequal shapes"):
        written(ROWS, NPY, rows)


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "float16", "uint8"])
def test_arrays_keep_datatype_and_shape(dtype):
    sent = np.arange(6).reshape(3, 2).astype(dtype)

    got = np.load(io.BytesIO(written(ROWS, NPY, {"y": sent})))
    one = np.load(io.BytesIO(written(ROWS, NPY, {"y": sent[:1]}, single=True)))

    assert got.dtype == sent.dtype and got.tolist() == sent.tolist()
    assert one.tolist() == sent[0].tolist()


def test_texts_are_arrays_without_pickle():
    good = np.load(io.BytesIO(written(WORDS, NPY, {"y": texts(b"a", "ü")})), allow_pickle=False)
    raw = np.load(io.BytesIO(written(WORDS, NPY, {"y": texts(b"\xff", b"a")})), allow_pickle=False)

    assert good.tolist() == ["a", "ü"]
    assert raw.tolist() == [b"\xff", b"a"]
    with pytest.raises(Unsupported, match="zero byte"):
        written(WORDS, NPY, {"y": texts(b"a\0")})


def test_arrays_by_name():
    body = written(TWO, NPZ, {"y": np.ones((1, 2), np.float32), "label": texts(b"a")}, single=True)

    with np.load(io.BytesIO(body)) as found:
        assert found["y"].tolist() == [1, 1] and found["label"].tolist() == "a"


def test_lines_are_results():
    body = written(
        TWO, JSON_LINES, {"y": np.ones((2, 2), np.float32), "label": texts(b"a", b"\xff")}
    )

    assert body == b'{"y":[1.0,1.0],"label":"a"}\n{"y":[1.0,1.0],"label":{"b64":"/w=="}}\n'
    assert written(VALUES, JSON_LINES, {"y": np.array([7])}, single=True) == b"7\n"


def test_one_text_may_stand_alone():
    assert written(WORDS, TEXT, {"y": texts(b"good")}, single=True) == b"good"
    assert written(PICTURE, OCTETS, {"y": texts(b"\x89PNG")}) == b"\x89PNG"
    with pytest.raises(Unsupported, match="2 answers"):
        written(WORDS, TEXT, {"y": texts(b"a", b"b")})


def test_bytes_that_are_no_text_have_no_place_in_a_table():
    with pytest.raises(Unsupported, match="not text"):
        written(WORDS, CSV, {"y": texts(b"\xff")})


@pytest.mark.parametrize(
    ("sig", "media"), [(TWO, NPY), (IMAGE, CSV), (ROWS, TEXT), (ROWS, "image/png"), (ROWS, JSON)]
)
def test_other_types_are_refused(sig, media):
    with pytest.raises(NotAcceptable):
        answerer(media, sig)
