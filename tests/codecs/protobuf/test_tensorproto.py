import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.codecs.protobuf.test_infer import tensors

from inferd.codecs.protobuf.tensorproto import NUMBERS, TENSOR, read, write
from inferd.codecs.rawtensor import BF16, to_raw
from inferd.core.errors import InvalidInput, TooLarge
from inferd.core.signature import TensorSpec
from inferd.core.tensor import BYTES, DTYPES, FP16, FP32, INT8, INT64


def spec(dtype, *shape):
    return TensorSpec("x", dtype, shape)


def proto(number, shape, content=b"", **values):
    tensor = TENSOR(dtype=number, tensor_content=content, **values)
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@given(data=st.data())
def test_any_array_comes_back_as_it_was_in_typed_fields(dtype, data):
    array = data.draw(tensors(dtype))
    tensor = TENSOR.FromString(write(array))

    assert tensor.dtype == NUMBERS[dtype]
    assert not tensor.tensor_content
    np.testing.assert_array_equal(read(tensor, spec(dtype, *[-1] * array.ndim)), array)


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d is not BYTES], ids=str)
def test_raw_content_is_read(dtype):
    array = np.arange(4).reshape(2, 2).astype(dtype.numpy)
    tensor = proto(NUMBERS[dtype], [2, 2], array.tobytes())

    np.testing.assert_array_equal(read(tensor, spec(dtype, -1, 2)), array)


def test_floats_are_where_clients_read_them():
    tensor = TENSOR.FromString(write(np.array([[0.5, np.inf]], np.float32)))

    assert list(tensor.float_val) == [0.5, float("inf")]
    assert [d.size for d in tensor.tensor_shape.dim] == [1, 2]


def test_a_scalar_has_a_shape_of_no_axes():
    tensor = TENSOR.FromString(write(np.array(7)))

    assert tensor.HasField("tensor_shape")
    assert read(tensor, spec(INT64)).tolist() == 7


def test_the_last_value_is_repeated():
    tensor = proto(NUMBERS[FP32], [2, 2], float_val=[1, 2])

    assert read(tensor, spec(FP32, -1, 2)).tolist() == [[1, 2], [2, 2]]


def test_no_values_are_zeros():
    assert read(proto(NUMBERS[INT64], [3]), spec(INT64, -1)).tolist() == [0, 0, 0]
    assert read(proto(NUMBERS[BYTES], [2]), spec(BYTES, -1)).tolist() == [b"", b""]


def test_halves_are_their_bits():
    assert read(proto(NUMBERS[FP16], [2], half_val=[0x3C00, 0xC000]), spec(FP16, -1)).tolist() == [
        1, -2,
    ]  # fmt: skip
    bits = proto(14, [1], half_val=[0x3FC0])
    assert read(bits, spec(FP32, -1)).tolist() == [1.5]


def test_bfloats_are_taken_raw_where_the_model_takes_floats():
    raw = bytes(to_raw(np.array([1.5, -2], np.float32), BF16))

    assert read(proto(14, [2], raw), spec(FP32, -1)).tolist() == [1.5, -2]


BAD = {
    "other datatype": (proto(NUMBERS[INT64], [1, 2]), "takes DT_FLOAT, got DT_INT64"),
    "unheard of": (proto(99, [1, 2]), "got 99"),
    "other shape": (proto(1, [1, 3], float_val=[1]), r"must have shape \[any, 2\]"),
    "free axis": (proto(1, [-1, 2], float_val=[1]), "none free"),
    "too many": (proto(1, [1, 2], float_val=[1, 2, 3]), "3 values in float_val"),
    "too few bytes": (proto(1, [1, 2], b"1234"), "takes 8 bytes"),
    "other field": (proto(1, [1, 2], double_val=[1, 2]), "values in double_val"),
}


@pytest.mark.parametrize(("tensor", "said"), BAD.values(), ids=BAD)
def test_what_does_not_fit_is_invalid_input(tensor, said):
    with pytest.raises(InvalidInput, match=said):
        read(tensor, spec(FP32, -1, 2))


def test_a_shape_that_is_not_known_is_refused():
    tensor = TENSOR(dtype=1, float_val=[1])
    tensor.tensor_shape.unknown_rank = True

    with pytest.raises(InvalidInput, match="must be known"):
        read(tensor, spec(FP32, -1))


def test_raw_strings_are_refused():
    with pytest.raises(InvalidInput, match="string_val"):
        read(proto(7, [1], b"abc"), spec(BYTES, -1))


@pytest.mark.parametrize(
    ("tensor", "dtype"),
    [(proto(6, [1], int_val=[128]), INT8), (proto(19, [1], half_val=[-1]), FP16)],
    ids=["integer", "half"],
)
def test_what_does_not_fit_its_datatype_is_refused(tensor, dtype):
    with pytest.raises(InvalidInput):
        read(tensor, spec(dtype, -1))


def test_a_few_bytes_are_not_blown_up():
    with pytest.raises(TooLarge, match="repeats"):
        read(proto(1, [2**40], float_val=[1]), spec(FP32, -1))
    with pytest.raises(TooLarge, match="repeats"):
        read(proto(1, [2**60]), spec(FP32, -1))
