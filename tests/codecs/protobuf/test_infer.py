import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.codecs.signatures import signature

from inferd.codecs.protobuf.infer import REQUEST, RESPONSE, InferCodec, failed
from inferd.codecs.protobuf.messages import inference, parse
from inferd.codecs.rawtensor import BF16, from_raw, to_raw
from inferd.core.errors import InvalidInput, Unsupported
from inferd.core.message import HIGH, NORMAL
from inferd.core.plan import BatchPlan
from inferd.core.tensor import BYTES, DTYPES

STREAM = inference("ModelStreamInferResponse")
NUMBERS = [d for d in DTYPES if d is not BYTES]


def codec(inputs=(("x", "FP32", [-1, 2]),), outputs=(("y", "FP32", [-1, 2]),), **plan):
    return InferCodec(signature(inputs, outputs), BatchPlan(**plan), "m", "3")


def request(**tensors):
    """Return a request of raw tensors."""
    message = REQUEST(model_name="m")
    for name, (datatype, array) in tensors.items():
        message.inputs.add(name=name, datatype=datatype, shape=array.shape)
        message.raw_input_contents.append(bytes(to_raw(array)))
    return message


def typed(datatype, shape, name="x", **contents):
    message = REQUEST(model_name="m")
    entry = message.inputs.add(name=name, datatype=datatype, shape=shape)
    for field, values in contents.items():
        getattr(entry.contents, field).extend(values)
    return message


X = np.array([[1, 2], [3, 4]], np.float32)


def tensors(dtype):
    shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)
    if dtype is BYTES:
        return shapes.flatmap(
            lambda shape: st.lists(
                st.binary(max_size=6), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))
            ).map(lambda texts: _texts(texts, shape))
        )
    return hnp.arrays(dtype.numpy, shapes, elements=hnp.from_dtype(dtype.numpy))


def _texts(texts, shape):
    array = np.empty(len(texts), object)
    array[:] = texts
    return array.reshape(shape)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@given(data=st.data())
def test_a_raw_tensor_of_any_datatype_comes_back_as_it_was(dtype, data):
    array = data.draw(tensors(dtype))
    free = [-1] * array.ndim
    both = codec([("x", dtype.name, free)], [("y", dtype.name, free)])
    decoded = both.decode(request(x=(dtype.name, array)))
    answer = RESPONSE.FromString(both.encode({"y": decoded.inputs["x"]}, "7"))

    (output,) = answer.outputs
    back = from_raw(answer.raw_output_contents[0], dtype, tuple(output.shape), "y")
    assert (output.name, output.datatype) == ("y", dtype.name)
    assert (answer.model_name, answer.model_version, answer.id) == ("m", "3", "7")
    np.testing.assert_array_equal(back, array)


TYPED = {
    "BOOL": ("bool_contents", [True, False]),
    "INT8": ("int_contents", [-128, 127]),
    "INT16": ("int_contents", [-32768, 3]),
    "INT32": ("int_contents", [-(2**31), 5]),
    "INT64": ("int64_contents", [2**53 + 1, -(2**63)]),
    "UINT8": ("uint_contents", [0, 255]),
    "UINT16": ("uint_contents", [0, 65535]),
    "UINT32": ("uint_contents", [0, 2**32 - 1]),
    "UINT64": ("uint64_contents", [2**64 - 1, 0]),
    "FP32": ("fp32_contents", [0.5, float("-inf")]),
    "FP64": ("fp64_contents", [1e300, -0.0]),
    "BYTES": ("bytes_contents", [b"\xff\x00", b""]),
}


@pytest.mark.parametrize("dtype", TYPED, ids=str)
def test_typed_contents_are_read_from_the_field_of_their_datatype(dtype):
    field, values = TYPED[dtype]
    decoded = codec([("x", dtype, [-1, 2])]).decode(typed(dtype, [1, 2], **{field: values}))

    assert decoded.inputs["x"].tolist() == [values]


@pytest.mark.parametrize("dtype", ["FP16", "BF16"])
def test_halves_have_no_typed_contents(dtype):
    kind = "FP32" if dtype == "BF16" else dtype

    with pytest.raises(InvalidInput, match="no typed contents"):
        codec([("x", kind, [-1, 2])]).decode(typed(dtype, [1, 2], fp32_contents=[1, 2]))


def test_bf16_is_taken_raw_where_the_model_takes_floats():
    message = REQUEST()
    message.inputs.add(name="x", datatype="BF16", shape=[2, 2])
    message.raw_input_contents.append(bytes(to_raw(X, BF16)))

    np.testing.assert_array_equal(codec().decode(message).inputs["x"], X)


def test_an_empty_tensor_needs_no_contents():
    both = codec([("x", "FP32", [-1, -1])])

    assert both.decode(typed("FP32", [1, 0])).inputs["x"].shape == (1, 0)
    assert both.decode(request(x=("FP32", np.empty((0, 3), np.float32)))).inputs["x"].size == 0


def test_inputs_come_in_the_order_of_the_signature():
    both = codec([("a", "FP32", [-1, 2]), ("b", "INT64", [-1])])
    decoded = both.decode(request(b=("INT64", np.array([1, 2])), a=("FP32", X)))

    assert list(decoded.inputs) == ["a", "b"]
    np.testing.assert_array_equal(decoded.inputs["a"], X)


def with_parameter(message, key, **value):
    for field, given_ in value.items():
        setattr(message.parameters[key], field, given_)
    return message


def test_priority_and_timeout_are_taken_out_of_the_parameters():
    message = with_parameter(request(x=("FP32", X)), "priority", uint64_param=1)
    with_parameter(message, "timeout", int64_param=1500)
    with_parameter(message, "temperature", double_param=0.5)
    message.id = "a"
    decoded = codec().decode(message)

    assert (decoded.priority, decoded.timeout, decoded.id) == (HIGH, 0.0015, "a")
    assert decoded.parameters == {"temperature": 0.5}
    normal = with_parameter(request(x=("FP32", X)), "priority", int64_param=0)
    assert codec().decode(normal).priority == NORMAL


def test_outputs_are_chosen_and_classified():
    both = codec(outputs=[("y", "FP32", [-1, 2]), ("z", "FP32", [-1, 2])])
    message = request(x=("FP32", X))
    message.outputs.add(name="z").parameters["classification"].int64_param = 1
    decoded = both.decode(message)
    answer = RESPONSE.FromString(both.encode({"z": X}, None, decoded.form))

    assert decoded.outputs == ("z",)
    assert answer.outputs[0].datatype == "BYTES"
    assert list(answer.outputs[0].shape) == [2, 1]
    assert answer.raw_output_contents[0] == b"\x05\0\0\x002.0:1\x05\0\0\x004.0:1"


def test_all_outputs_in_their_order_are_no_choice():
    message = request(x=("FP32", X))
    message.outputs.add(name="y")

    assert codec().decode(message).outputs is None


def test_rows_are_taken_apart_where_the_plan_says_so():
    decoded = codec(split=True).decode(request(x=("FP32", X)))

    assert decoded.inputs is None
    assert [row["x"].tolist() for row in decoded.rows] == [[[1, 2]], [[3, 4]]]
    both = codec(split=True)
    answer = RESPONSE.FromString(both.encode([{"y": X[:1]}, {"y": X[1:]}]))
    assert list(answer.outputs[0].shape) == [2, 2]


def shaped(shape):
    message = request(x=("FP32", X))
    del message.inputs[0].shape[:]
    message.inputs[0].shape.extend(shape)
    return message


def both_contents():
    message = request(x=("FP32", X))
    message.inputs[0].contents.fp32_contents.append(1)
    return message


def twice():
    message = request(x=("FP32", X))
    message.inputs.append(message.inputs[0])
    message.raw_input_contents.append(message.raw_input_contents[0])
    return message


def asking(*names, **parameters):
    message = request(x=("FP32", X))
    for name in names:
        message.outputs.add(name=name)
    return message


def shared():
    message = request(x=("FP32", X))
    message.inputs[0].parameters["shared_memory_region"].string_param = "r"
    return message


BAD = {
    "no inputs": (REQUEST(), "input 'x' is missing"),
    "unknown input": (request(z=("FP32", X)), "no input named 'z'"),
    "given twice": (twice(), "given twice"),
    "other datatype": (request(x=("FP64", X.astype("f8"))), "takes FP32, got FP64"),
    "unknown datatype": (request(x=("FP31", X)), "unknown datatype"),
    "other shape": (shaped([4, 1]), r"must have shape \[any, 2\]"),
    "free axis": (shaped([-1, 2]), "none free"),
    "too few bytes": (shaped([3, 2]), "takes 24 bytes"),
    "huge shape": (shaped([2**40, 2]), "bytes"),
    "many axes": (shaped([1] * 40), "at most 32"),
    "more raw than inputs": (
        REQUEST(raw_input_contents=[b"", b""], inputs=request(x=("FP32", X)).inputs), "2 entries",
    ),
    "raw and typed": (both_contents(), "beside raw_input_contents"),
    "too few values": (typed("FP32", [1, 2], fp32_contents=[1]), "1 values in fp32_contents"),
    "other field": (typed("FP32", [1, 2], fp64_contents=[1, 2]), "0 values in fp32_contents"),
    "unknown output": (asking("q"), "no output named 'q'"),
    "asked twice": (asking("y", "y"), "asked for twice"),
    "reserved": (
        with_parameter(request(x=("FP32", X)), "triton_x", bool_param=True), "is not known",
    ),
    "no value": (with_parameter(request(x=("FP32", X)), "a"), "no value"),
    "final flag": (
        with_parameter(request(x=("FP32", X)), "triton_enable_empty_final_response",
                       string_param="yes"), "true or false",
    ),
}  # fmt: skip
BAD["no value"][0].parameters["a"].SetInParent()


@pytest.mark.parametrize(("message", "said"), BAD.values(), ids=BAD)
def test_what_does_not_fit_is_invalid_input(message, said):
    with pytest.raises(InvalidInput, match=said):
        codec().decode(message)


def test_batches_must_agree():
    both = codec([("a", "FP32", [-1, 2]), ("b", "INT64", [-1])])

    with pytest.raises(InvalidInput, match=r"batch of 2 and input 'b' one of 3"):
        both.decode(request(a=("FP32", X), b=("INT64", np.arange(3))))


def test_shared_memory_is_not_offered():
    with pytest.raises(Unsupported, match="shared memory"):
        codec().decode(shared())


@given(st.binary(max_size=200))
def test_any_message_is_read_or_refused(data):
    with contextlib.suppress(InvalidInput, Unsupported):
        codec().decode(parse(REQUEST, data))


def test_a_streams_message_holds_the_answer_and_whether_it_is_the_last():
    both = codec()
    message = STREAM.FromString(both.encode({"y": X}, "7", final=False, streamed=True))
    last = STREAM.FromString(both.empty("7"))

    assert message.infer_response.id == "7"
    assert not message.infer_response.parameters["triton_final_response"].bool_param
    assert message.infer_response.raw_output_contents[0] == X.tobytes()
    assert last.infer_response.parameters["triton_final_response"].bool_param
    assert not last.infer_response.outputs


def test_the_final_flag_is_told_where_it_is_asked_for():
    message = with_parameter(
        request(x=("FP32", X)), "triton_enable_empty_final_response", bool_param=True
    )

    assert codec().decode(message).form == {"final": True}
    assert codec().decode(request(x=("FP32", X))).form is None


def test_a_streams_error_names_its_request():
    message = STREAM.FromString(failed("it is wrong: äö", "9"))

    assert message.error_message == "it is wrong: äö"
    assert message.infer_response.id == "9"


def test_shapes_are_remembered_without_end_in_sight():
    both = codec(outputs=[("y", "FP32", [-1, -1])])
    for size in range(600):
        answer = RESPONSE.FromString(both.encode({"y": np.zeros((1, size), np.float32)}))
        assert answer.outputs[0].shape[1] == size
    assert len(both._heads) <= 256


def test_an_input_that_has_a_default_may_be_left_out():
    inputs = [("x", "FP32", [-1, 2]), ("scale", "INT64", [-1], {"default": 2})]
    x, scale = np.ones((1, 2), np.float32), np.ones(1, np.int64)

    assert list(codec(inputs).decode(request(x=("FP32", x))).inputs) == ["x"]
    with pytest.raises(InvalidInput, match="input 'x' is missing"):
        codec(inputs).decode(request(scale=("INT64", scale)))
