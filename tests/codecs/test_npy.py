import contextlib
import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.codecs.signatures import signature

from inferd.codecs import npy
from inferd.codecs.npy import NpyCodec
from inferd.codecs.values import MAX_TEXTS
from inferd.core.errors import InvalidInput, TooLarge, UnsupportedMedia
from inferd.core.plan import BatchPlan

VECTOR = signature([("x", "FP32", [-1, 3])])
FIXED = signature([("x", "INT64", [2])], [("y", "FP32", [2])], batched=False)


def npy_bytes(array):
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def raw(header, data=b"", version=(1, 0)):
    text = header.encode()
    size = struct.pack("<H" if version[0] == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + size + text + data


@given(
    hnp.arrays(
        st.one_of(
            hnp.boolean_dtypes(), hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(),
            hnp.floating_dtypes(sizes=(16, 32, 64)),
        ),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3),
    ),
    st.booleans(),
)  # fmt: skip
def test_what_numpy_saves_is_read(array, fortran):
    saved = np.asfortranarray(array) if fortran else array

    read = npy.parse(npy_bytes(saved))

    assert read.dtype == array.dtype.newbyteorder("=")
    assert read.flags.c_contiguous
    np.testing.assert_array_equal(read, array)


def test_a_native_array_is_a_view_on_the_body():
    body = npy_bytes(np.arange(3, dtype=np.float32))

    assert np.shares_memory(npy.parse(body), np.frombuffer(body, np.uint8))


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n",
        "{'shape': (2,), 'fortran_order': False, 'descr': '<f4'}",
        '{"descr":"<f4","fortran_order":False,"shape":(2,)}',
    ],
    ids=["numpy", "other order", "double quotes"],
)
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)], ids=str)
def test_headers_of_other_writers(header, version):
    assert npy.parse(raw(header, bytes(8), version)).tolist() == [0, 0]


HEAD = "{'descr': %s, 'fortran_order': False, 'shape': %s, }"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not an npy file"),
        (b"PK\x03\x04 not an array", "not an npy file"),
        (raw(HEAD % ("'<f4'", "(2,)"), b"", (4, 0)), "npy format 4.0"),
        (b"\x93NUMPY\x01\x00\xff\x0f{}", "cut off"),
        (raw(" " * 5000), "the npy header is 5000 bytes"),
        (raw(HEAD % ("'<f4'", "(2,)"), bytes(7)), r"\[2\] takes 8 bytes, the body holds 7"),
        (raw(HEAD % ("'<f4'", "(2,)"), bytes(9)), "the body holds 9"),
        (raw(HEAD % ("'|O'", "(1,)"), bytes(8)), r"dtype '\|O' are not accepted"),
        (raw(HEAD % ("'<c8'", "(1,)"), bytes(8)), "not accepted"),
        (raw(HEAD % ("'<M8[s]'", "(1,)"), bytes(8)), "not accepted"),
        (raw(HEAD % ("'|V8'", "(1,)"), bytes(8)), "not accepted"),
        (raw(HEAD % ("'<f3'", "(1,)"), bytes(3)), "not known"),
        (raw(HEAD % ("'|S0'", "(99999999999,)")), "not accepted"),
        (raw(HEAD % ("[('a', '<f4')]", "(1,)"), bytes(4)), "plain array"),
        (raw(HEAD % ("__import__('os')", "(1,)"), bytes(4)), "plain array"),
        (raw(HEAD % ("'<f4'", "(-1,)"), bytes(4)), "plain array"),
        (raw(HEAD % ("'<f4'", "(1e3,)"), bytes(4)), "plain array"),
        (raw(HEAD % ("'<f4'", "(" + "1," * 40 + ")"), bytes(4)), "plain array"),
        (raw(HEAD % ("'<f4'", "(0, 999999999999999999, 999999999999999999)")), "cannot be read"),
        (raw(HEAD % ("'<f4'", "(999999999999999999, 9)")), "takes 35999999999999999964 bytes"),
        (raw("{'descr': '<f4', 'shape': (1,)}", bytes(4)), "plain array"),
        (raw("{'descr': '<f4', 'descr': '<f4', 'shape': (1,)}", bytes(4)), "plain array"),
        (raw("{'descr': '<f4', 'fortran_order': 'True', 'shape': (1,)}{", bytes(4)), "plain array"),
        (raw("\xe9"), "not plain text"),
    ],
)  # fmt: skip
def test_hostile_headers_are_refused(body, message):
    with pytest.raises(InvalidInput, match=message):
        npy.parse(body)


@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_are_refused_politely(body, marked):
    with contextlib.suppress(InvalidInput):
        npy.parse(b"\x93NUMPY\x01\x00" + body if marked else body)


@pytest.mark.parametrize(
    ("array", "single"),
    [
        (np.float32([1, 2, 3]), True),
        (np.float64([[1, 2, 3]]), False),
        (np.array([1, 2, 3]), True),
        (np.array([[1, 2, 3], [4, 5, 6]], ">u2"), False),
    ],
    ids=["example", "wider", "integers", "byte order"],
)
def test_rank_decides(array, single):
    decoded = NpyCodec(VECTOR).decode(npy_bytes(array))

    assert decoded.single is single
    assert decoded.inputs["x"].dtype == np.float32
    np.testing.assert_array_equal(decoded.inputs["x"], np.atleast_2d(array))


@pytest.mark.parametrize(
    ("sig", "array", "message"),
    [
        (VECTOR, np.float32([1, 2]), r"must have shape \[3\], got \[2\]"),
        (VECTOR, np.float32(1), r"a batch of input 'x' must have shape \[any, 3\], got \[\]"),
        (VECTOR, np.zeros((0, 3), np.float32), "no examples"),
        (VECTOR, np.array([True, False, True]), "takes FP32; the array holds bool"),
        (VECTOR, np.array([1e39, 0, 0]), "out of range"),
        (VECTOR, np.array(["a", "b", "c"]), "takes FP32"),
        (FIXED, np.float32([1, 2]), r"astype\('int64'\)"),
        (signature([("x", "UINT8", [-1])]), np.array([300], np.uint16), "out of range"),
        (signature([("x", "INT32", [-1])]), np.array([2**40]), "out of range"),
        (signature([("x", "BYTES", [-1])]), np.array([1]), "takes texts"),
    ],
)
def test_what_does_not_fit_is_refused(sig, array, message):
    with pytest.raises(InvalidInput, match=message):
        NpyCodec(sig).decode(npy_bytes(array))


def test_texts():
    decoded = NpyCodec(signature([("x", "BYTES", [-1])])).decode(npy_bytes(np.array(["ä", "b"])))

    assert decoded.inputs["x"].tolist() == ["ä".encode(), b"b"]


def test_the_count_of_texts_is_bounded():
    body = npy_bytes(np.zeros(MAX_TEXTS + 1, "S1"))

    with pytest.raises(TooLarge, match="1048577 texts"):
        NpyCodec(signature([("x", "BYTES", [-1])])).decode(body)


def test_a_plan_that_splits_gets_single_rows():
    decoded = NpyCodec(VECTOR, BatchPlan(split=True)).decode(npy_bytes(np.zeros((2, 3), "f4")))

    assert [row["x"].shape for row in decoded.rows] == [(1, 3), (1, 3)]


def test_a_model_of_two_inputs_takes_no_lone_array():
    with pytest.raises(UnsupportedMedia, match="takes 2 inputs"):
        NpyCodec(signature([("a", "FP32", [-1]), ("b", "FP32", [-1])])).decode(b"")


def test_an_unbatched_model_takes_its_tensor():
    assert NpyCodec(FIXED).decode(npy_bytes(np.array([1, 2]))).single
