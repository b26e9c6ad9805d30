"""What a client writes the codec reads, and back, for every datatype, form and kind of shape."""

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.codecs.signatures import signature

from inferd.codecs.tfclient import decode_response, encode_request
from inferd.codecs.tfserving import COLUMN, ROW, TFServingCodec
from inferd.core.errors import InvalidInput
from inferd.core.tensor import BYTES, DTYPES

FORMS = [ROW, COLUMN]
SHAPES = st.sampled_from([[-1], [-1, 2], [-1, -1], [-1, 1, 3], [-1, -1, 2]])


def drawn(data, dtype, shape, *, empty=True):
    sizes = []
    for n in shape:  # lists do not show how long an axis is inside one of size 0
        least, most = (0, 0) if 0 in sizes else (int(not empty), 3)
        sizes.append(data.draw(st.integers(least, most)) if n < 0 else n)
    if dtype is BYTES:
        count = int(np.prod(sizes))
        texts = data.draw(
            st.lists(st.binary(max_size=4) | st.text(max_size=3).map(str.encode),
                     min_size=count, max_size=count)
        )  # fmt: skip
        array = np.empty(count, object)
        array[:] = texts
        return array.reshape(sizes)
    return data.draw(hnp.arrays(dtype.numpy, tuple(sizes)))


def same(found, wanted):
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def travel(sig, tensors, form):
    """Send tensors as a request, and as the answer of a model with the same outputs."""
    codec = TFServingCodec(sig)
    decoded = codec.decode(encode_request(tensors, form))
    same(decoded.inputs, tensors)
    assert decoded.form == form
    return decode_response(codec.encode(tensors, form=form), sig)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@given(data=st.data(), shape=SHAPES)
def test_one_tensor_travels_both_ways(dtype, form, data, shape):
    sig = signature([("x", dtype.name, shape)], [("x", dtype.name, shape)])
    tensors = {"x": drawn(data, dtype, shape, empty=form == COLUMN)}

    same(travel(sig, tensors, form), tensors)


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data(), rows=st.integers(1, 3))
def test_tensors_of_every_datatype_travel_together(form, data, rows):
    specs = [(f"{d.name}{i}", d.name, [-1, *s]) for d in DTYPES for i, s in enumerate(([], [2]))]
    specs.append(("raw_bytes", "BYTES", [-1]))
    sig = signature(specs, specs)
    tensors = {s.name: drawn(data, s.dtype, (rows, *s.shape[1:])) for s in sig.inputs}

    same(travel(sig, tensors, form), tensors)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@given(data=st.data())
def test_scalars_and_tensors_without_a_batch_travel_as_columns(dtype, data):
    specs = [("one", dtype.name, []), ("two", dtype.name, [2]), ("none", dtype.name, [0, 2])]
    sig = signature(specs, specs, batched=False)
    tensors = {s.name: drawn(data, dtype, s.shape) for s in sig.inputs}

    same(travel(sig, tensors, COLUMN), tensors)


def test_answers_of_unequal_rows_are_read_row_by_row():
    sig = signature([("ids", "INT64", [-1, -1])], [("y", "FP32", [-1, -1]), ("n", "INT64", [-1])])
    rows = [
        {"y": np.float32([[1.0]]), "n": np.int64([1])},
        {"y": np.float32([[2.0, np.inf]]), "n": np.int64([2])},
    ]

    for form in FORMS:
        found = decode_response(TFServingCodec(sig).encode(rows, form=form), sig)
        for row, wanted in zip(found, rows, strict=True):
            same(row, wanted)


def test_the_request_is_what_clients_of_the_protocol_send():
    x, t = np.float32([[1, np.nan]]), np.array([b"\xff"], object)

    assert encode_request({"x": x}) == b'{"instances":[[1.0,NaN]]}'
    assert encode_request({"x": x}, COLUMN, "s", {"k": 1}) == (
        b'{"signature_name":"s","parameters":{"k":1},"inputs":[[1.0,NaN]]}'
    )
    assert encode_request({"x": x, "t": t}) == (
        b'{"instances":[{"x":[1.0,NaN],"t":{"b64":"/w=="}}]}'
    )
    with pytest.raises(InvalidInput, match="no rows in common"):
        encode_request({"x": x, "t": np.float32([1, 2])})


@pytest.mark.parametrize(
    "body",
    [{"error": "no"}, {"predictions": [[1, "a"]]}, {"predictions": 5}, {"outputs": {"y": 1}}, []],
    ids=str,
)
def test_what_is_no_answer_is_refused(body):
    two = signature([("x", "FP32", [-1])], [("y", "FP32", [-1, 1]), ("z", "FP32", [-1])])
    for sig in (signature([("x", "FP32", [-1, 1])]), two):
        with pytest.raises(InvalidInput):
            decode_response(orjson.dumps(body), sig)
