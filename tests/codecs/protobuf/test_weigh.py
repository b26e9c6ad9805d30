import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.codecs.protobuf.test_infer import typed

from inferd.codecs.protobuf import infer, predict
from inferd.codecs.protobuf.messages import parse
from inferd.codecs.protobuf.weigh import FEW, LARGE, MANY, MAX_PACKED, check, fields, is_intricate
from inferd.codecs.protobuf.wire import put, tag
from inferd.core.errors import InvalidInput, TooLarge

PAIRS = 32 << 20
"""Fields of two bytes, as many as a body may hold: gigabytes, and seconds, if they were parsed."""


def inside(number, body):
    parts = []
    put(parts, tag(number), body)
    return b"".join(parts)


def within(cls, number):
    """Return a message of nothing but empty fields, alone, in a tensor, and in its values or shape."""
    body = (tag(number) + b"\0") * PAIRS
    if cls is infer.REQUEST:
        return body, inside(5, body), inside(5, inside(5, body))
    entry = inside(1, b"x")
    return body, inside(2, entry + inside(2, body)), inside(2, entry + inside(2, inside(2, body)))


@pytest.mark.parametrize("cls", [infer.REQUEST, predict.REQUEST], ids=lambda c: c.DESCRIPTOR.name)
@pytest.mark.parametrize("number", [2, 5, 7, 8, 900])
def test_a_message_of_countless_fields_is_refused_unparsed(cls, number):
    for body in within(cls, number):
        if len(body) < LARGE or fields(cls, body, FEW) <= FEW:
            continue  # bytes that the message does not look into
        with pytest.raises(TooLarge, match=f"over {MANY} fields"):
            parse(cls, body, MANY)


def test_the_fields_of_messages_in_messages_are_counted():
    message = typed("BYTES", [1, 3], bytes_contents=[b"a", b"", b"b" * 300])
    message.parameters["p"].string_param = "text"

    # model_name, input, its name, datatype, shape and contents, three texts; the parameter, its key,
    # its value and the text in that
    assert fields(infer.REQUEST, message.SerializeToString(), FEW) == 9 + 4


def test_a_large_tensor_has_few_fields_and_many_texts_have_many():
    numbers = typed("FP32", [1, LARGE], fp32_contents=[1.0] * LARGE).SerializeToString()
    texts = typed("BYTES", [1, LARGE], bytes_contents=[b"a"] * LARGE).SerializeToString()

    assert not is_intricate(infer.REQUEST, numbers)
    assert parse(infer.REQUEST, numbers).inputs[0].contents.fp32_contents[-1] == 1
    assert is_intricate(infer.REQUEST, texts)
    with pytest.raises(TooLarge, match="send the tensors raw"):
        parse(infer.REQUEST, texts)
    assert len(parse(infer.REQUEST, texts, MANY).inputs[0].contents.bytes_contents) == LARGE


def test_packed_integers_are_bounded_and_floats_are_not():
    most = bytes(MAX_PACKED + 1)

    with pytest.raises(TooLarge, match="bytes of integers"):
        check(infer.REQUEST, inside(5, inside(5, inside(3, most))))
    with pytest.raises(TooLarge, match="bytes of integers"):
        check(predict.REQUEST, inside(2, inside(2, inside(7, most))))
    check(infer.REQUEST, inside(5, inside(5, inside(6, most))))
    check(infer.REQUEST, inside(7, most))


@given(st.binary(max_size=200))
def test_any_bytes_are_counted(data):
    assert 0 <= fields(infer.REQUEST, data, FEW) <= len(data)


@pytest.mark.parametrize("body", [b"\x08" + b"\xff" * LARGE, b"\x2a\xff" * 9 + bytes(LARGE)])
def test_what_is_malformed_is_left_to_the_parser(body):
    with pytest.raises(InvalidInput):
        parse(infer.REQUEST, body, MANY)
