from hypothesis import given
from hypothesis import strategies as st

from inferd.codecs.protobuf.messages import inference
from inferd.codecs.protobuf.wire import put, tag, varint

RESPONSE = inference("ModelInferResponse")


@given(st.integers(0, 2**64 - 1))
def test_a_number_is_written_as_the_library_does(value):
    cls = inference("StatisticDuration")

    assert cls.FromString(b"\x08" + varint(value)).count == value


@given(st.text(max_size=300), st.lists(st.binary(max_size=300), max_size=3))
def test_pieces_behind_each_other_are_one_message(id, tensors):
    parts = [RESPONSE(model_name="m").SerializeToString()]
    put(parts, tag(3), id.encode())
    for raw in tensors:
        put(parts, tag(6), raw)

    read = RESPONSE.FromString(b"".join(parts))

    assert (read.model_name, read.id, list(read.raw_output_contents)) == ("m", id, tensors)
