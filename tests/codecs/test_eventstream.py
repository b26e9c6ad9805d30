import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.codecs.eventstream import PART_BYTES, failure, message, parts

botocore = pytest.importorskip("botocore.eventstream")


def decoded(data):
    buffer = botocore.EventStreamBuffer()
    buffer.add_data(data)
    return list(buffer)


@given(
    st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=50), max_size=5),
    st.binary(max_size=300),
)
def test_botocore_reads_what_is_written(headers, payload):
    (found,) = decoded(message(headers, payload))

    assert found.headers == headers
    assert found.payload == payload


def test_a_payload_is_cut_into_events():
    payload = bytes(range(256)) * 10_000
    found = [m for part in parts(payload) for m in decoded(part)]

    assert len(found) == -(-len(payload) // PART_BYTES)
    assert b"".join(m.payload for m in found) == payload
    assert {m.headers[":event-type"] for m in found} == {"PayloadPart"}
    assert {m.headers[":message-type"] for m in found} == {"event"}
    assert list(parts(b"")) == []


def test_a_failure_is_an_exception_of_its_name():
    (found,) = decoded(failure("ModelStreamError", "it broke", "model_failed"))

    assert found.headers[":message-type"] == "exception"
    assert found.headers[":exception-type"] == "ModelStreamError"
    assert found.payload == b'{"Message":"it broke","ErrorCode":"model_failed"}'


def test_a_changed_byte_is_found_out():
    data = bytearray(message({"a": "b"}, b"payload"))
    data[-6] ^= 1

    with pytest.raises(botocore.ChecksumMismatch):
        decoded(bytes(data))
