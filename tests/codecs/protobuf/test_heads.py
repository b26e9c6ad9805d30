import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.codecs.protobuf.test_infer import X, request, typed, with_parameter

from inferd.codecs.protobuf.heads import Heads
from inferd.codecs.protobuf.messages import inference
from inferd.codecs.protobuf.wire import put, tag
from inferd.codecs.rawtensor import BF16, to_raw

REQUEST = inference("ModelInferRequest")


def body(array=X, **more):
    message = request(x=("FP32", array))
    for name, value in more.items():
        setattr(message, name, value)
    return message.SerializeToString()


def remembering(*bodies):
    heads = Heads()
    for each in bodies:
        heads.remember(each, REQUEST.FromString(each), X.shape, "whom")
    return heads


@given(st.lists(st.floats(width=32), min_size=4, max_size=4))
def test_a_message_that_begins_like_an_earlier_one_is_its_tensor(values):
    array = np.array(values, np.float32).reshape(2, 2)
    head = remembering(body()).find(body(array))

    assert head.whom == "whom"
    np.testing.assert_array_equal(head.tensors(body(array))["x"], array)


def test_tensors_lie_as_numbers_want_to():
    assert remembering(body()).find(body()).tensors(body())["x"].flags.aligned


OTHERS = {
    "model": body(model_name="n"),
    "version": body(model_version="1"),
    "shape": body(X.reshape(4, 1)),
    "size": body(X[:1]),
    "id": body(id="1"),
    "nothing": b"",
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_other_messages_are_not_known(other):
    assert remembering(body()).find(other) is None


def choosing():
    message = request(x=("FP32", X))
    message.outputs.add(name="y")
    return message


def asking_more():
    message = request(x=("FP32", X))
    message.inputs[0].parameters["a"].bool_param = True
    return message


def in_front():
    """A message whose tensor lies before its other fields."""
    parts = []
    put(parts, tag(7), X.tobytes())
    rest = request(x=("FP32", X))
    del rest.raw_input_contents[:]
    return b"".join([*parts, rest.SerializeToString()])


def hidden():
    """A message whose end only looks like its tensor: it is an unknown field's."""
    parts = [in_front()]
    inside = []
    put(inside, tag(7), X.tobytes())
    put(parts, tag(99), b"".join(inside))
    return b"".join(parts)


TEXTS = np.array([b"ab"], object)
NOT_PLAIN = {
    "id": body(id="1"),
    "typed": typed("FP32", [1, 2], fp32_contents=[1, 2]).SerializeToString(),
    "two": request(x=("FP32", X), z=("FP32", X)).SerializeToString(),
    "texts": request(x=("BYTES", TEXTS)).SerializeToString(),
    "empty": body(X[:0]),
    "outputs": choosing().SerializeToString(),
    "parameters": with_parameter(request(x=("FP32", X)), "a", bool_param=True).SerializeToString(),
    "parameters of the input": asking_more().SerializeToString(),
    "tensor in front": in_front(),
    "tensor that is none": hidden(),
}


@pytest.mark.parametrize("other", NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_what_is_not_plain_is_not_remembered(other):
    assert remembering(other).find(other) is None


def test_zeros_are_remembered_as_well():
    zeros = body(np.zeros((2, 2), np.float32))

    assert remembering(zeros).find(body()) is not None


def test_bf16_is_widened():
    message = REQUEST()
    message.inputs.add(name="x", datatype="BF16", shape=[2, 2])
    message.raw_input_contents.append(bytes(to_raw(X, BF16)))
    sent = message.SerializeToString()

    np.testing.assert_array_equal(remembering(sent).find(sent).tensors(sent)["x"], X)


def test_the_latest_of_each_size_is_kept_and_all_are_forgotten():
    heads = remembering(body(), body(model_name="n"))
    assert heads.find(body()) is None
    assert heads.find(body(model_name="n")) is not None
    heads.forget()
    assert heads.find(body(model_name="n")) is None


def test_sizes_are_bounded():
    heads = Heads()
    for rows in range(1, 600):
        sent = body(np.ones((rows, 2), np.float32))
        heads.remember(sent, REQUEST.FromString(sent), (rows, 2), "whom")
        assert heads.find(sent) is not None
    assert len(heads._known) <= 256
