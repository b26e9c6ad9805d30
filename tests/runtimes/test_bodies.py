import contextlib
import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.core.errors import InvalidInput, ModelFailed, NotAcceptable, UnsupportedMedia
from inferd.runtimes.bodies import CSV, JSON, NPY, NPZ, read, written


def npy(array, **more):
    out = io.BytesIO()
    np.save(out, array, **more)
    return out.getvalue()


@pytest.mark.parametrize(
    ("body", "media", "value"),
    [
        (b"[[1, 2], [3, 4]]", JSON, [[1, 2], [3, 4]]),
        (b"[1.5]", "application/json; charset=utf-8", [1.5]),
        (b"1,2\r\n3,\r\n", CSV, [[1, 2], [3, None]]),
        (b"\xef\xbb\xbf1,2\n", CSV, [[1, 2]]),
        (b"a,1\nb,2\n", CSV, [["a", "1"], ["b", "2"]]),
        (npy(np.arange(3)), NPY, [0, 1, 2]),
    ],
)
def test_lists_and_tables_become_arrays(body, media, value):
    found = read(body, media)

    assert isinstance(found, np.ndarray)
    assert json.loads(json.dumps(found.tolist()).replace("NaN", "null")) == value


def test_other_json_stays_what_it_is():
    assert read(b'{"inputs": "a"}', JSON) == {"inputs": "a"}


def test_arrays_by_name():
    out = io.BytesIO()
    np.savez(out, a=np.ones(2), b=np.zeros(1))

    assert {k: v.tolist() for k, v in read(out.getvalue(), NPZ).items()} == {"a": [1, 1], "b": [0]}


def bomb():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", b"\0" * (80 << 20))
    return out.getvalue()


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (b"{", JSON), (b"[[1], [2, 3]]", JSON), (b"\xff", JSON), (b"[" * 5000, JSON),
        (b"", CSV), (b"1,2\n3\n", CSV), (b"\xff", CSV),
        (b"", NPY), (npy(np.array([{}], object), allow_pickle=True), NPY), (b"\x80\x04.", NPY),
        (b"PK", NPZ), (bomb(), NPZ), (b"1\r2,3\n", CSV),
        (npy(np.arange(3)).replace(b"(3,)", b"(9999999999999,)"), NPY),
    ],
)  # fmt: skip
def test_what_is_wrong_is_bad_input(body, media):
    with pytest.raises(InvalidInput, match="not valid"):
        read(body, media)


def test_other_types_are_refused():
    with pytest.raises(UnsupportedMedia, match="input_fn"):
        read(b"", "image/png")
    with pytest.raises(NotAcceptable, match="output_fn"):
        written([1], "image/png")


@pytest.mark.parametrize(
    ("prediction", "media", "body"),
    [
        (np.array([[1, 2]]), JSON, b"[[1, 2]]"),
        ({"a": np.float32(0.5), "b": (np.array([1]), b"x")}, JSON, b'{"a": 0.5, "b": [[1], "x"]}'),
        (np.array([[1, 2], [3, 4]]), CSV, b"1,2\n3,4\n"),
        ([1.5, 2], CSV, b"1.5\n2.0\n"),
        (np.float64(0.5), CSV, b"0.5\n"),
        (["a,b", "c"], CSV, b'"a,b"\nc\n'),
    ],
)
def test_predictions_are_written(prediction, media, body):
    assert written(prediction, media) == body


def test_arrays_are_written_without_pickle():
    assert np.load(io.BytesIO(written([1, 2], NPY))).tolist() == [1, 2]


@pytest.mark.parametrize("media", [JSON, CSV, NPY])
def test_what_cannot_be_written_is_the_scripts_fault(media):
    with pytest.raises(ModelFailed, match="output_fn"):
        written({1, object()}, media)


@given(st.sampled_from([JSON, CSV, NPY, NPZ]), st.binary(max_size=60))
def test_any_body_is_read_or_refused(media, body):
    with contextlib.suppress(InvalidInput):
        read(body, media)
