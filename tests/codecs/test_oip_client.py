import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.codecs.signatures import arrays, signature

from inferd.codecs.oip import OIPCodec
from inferd.codecs.oip_client import decode_response, encode_parts, encode_request
from inferd.codecs.rawtensor import BF16
from inferd.core.errors import InvalidInput, Unsupported

JSON_TYPES = (
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP32",
    "FP64", "BYTES",
)  # fmt: skip
ROWS = [(name.lower(), name, [-1, -1]) for name in JSON_TYPES]
ALL = signature(ROWS, ROWS)
BINARY_ROWS = [*ROWS, ("fp16", "FP16", [-1, 2, -1])]
ALL_BINARY = signature(BINARY_ROWS, BINARY_ROWS)


def round_trip(sig, inputs, *, binary):
    """Send inputs to a server's codec and have them answered as outputs."""
    body, size = encode_request(inputs, None, "7", {"k": 1}, binary=binary)
    decoded = OIPCodec(sig).decode(body, size)
    assert (decoded.id, decoded.parameters) == ("7", {"k": 1})
    answer = OIPCodec(sig).encode(decoded.inputs, False, "7", "m", "1", decoded.form)
    if not binary:
        return decoded, decode_response(answer)
    headers = dict(answer.headers)
    return decoded, decode_response(answer.body, int(headers[b"Inference-Header-Content-Length"]))


@pytest.mark.parametrize(
    ("sig", "binary"), [(ALL, False), (ALL_BINARY, True)], ids=["json", "binary"]
)
@given(data=st.data(), batch=st.integers(0, 3))
def test_what_is_written_is_what_is_read(sig, binary, data, batch):
    inputs = {spec.name: data.draw(arrays(spec, batch)) for spec in sig.inputs}

    decoded, (outputs, rest) = round_trip(sig, inputs, binary=binary)

    assert rest == {"model_name": "m", "model_version": "1", "id": "7"}
    for name, array in inputs.items():
        for read in (decoded.inputs[name], outputs[name]):
            assert read.dtype == array.dtype
            np.testing.assert_array_equal(read, array)


@given(st.lists(st.binary(max_size=6), min_size=1, max_size=4), st.sampled_from([np.nan, -np.inf]))
def test_binary_carries_what_json_cannot(elements, number):
    sig = signature(
        [("t", "BYTES", [-1]), ("f", "FP64", [-1])], [("t", "BYTES", [-1]), ("f", "FP64", [-1])]
    )
    texts = np.empty(len(elements), object)
    texts[:] = elements
    inputs = {"t": texts, "f": np.full(len(elements), number)}

    _, (outputs, _) = round_trip(sig, inputs, binary=True)

    assert outputs["t"].tolist() == elements
    np.testing.assert_array_equal(outputs["f"], inputs["f"])


def test_outputs_may_be_named_and_have_parameters():
    x = {"x": np.float32([1])}
    body, size = encode_request(x, {"y": {"classification": 3}}, binary=True)
    plain, none = encode_request(x, ["y", "z"])

    assert orjson.loads(body[:size])["outputs"] == [
        {"name": "y", "parameters": {"classification": 3, "binary_data": True}}
    ]
    assert none is None
    assert orjson.loads(plain)["outputs"] == [{"name": "y"}, {"name": "z"}]
    assert "parameters" not in orjson.loads(plain)


def test_what_json_cannot_carry_is_refused_before_it_is_sent():
    with pytest.raises(Unsupported, match="FP16"):
        encode_request({"x": np.float16([1])})


def test_answers_in_binary_are_views():
    body, size = encode_request({"y": np.arange(4.0)}, binary=True)
    answer = body.replace(b'"inputs"', b'"outputs"', 1)

    outputs, _ = decode_response(answer, size + 1)

    assert not outputs["y"].flags.owndata
    assert outputs["y"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b'{"outputs":{}}',
        b'{"outputs":[1]}',
        b'{"outputs":[{"name":"y"}]}',
        b'{"outputs":[{"name":"y","datatype":"FP32","shape":[2],"data":[1]}]}',
        b'{"outputs":[{"name":"y","datatype":"FP32","shape":[1],"parameters":[1],"data":[1]}]}',
    ],
)
def test_what_is_no_answer_is_refused(body):
    with pytest.raises(InvalidInput):
        decode_response(body)


def test_the_pieces_of_a_body_are_the_memory_of_the_tensors():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    parts, size = encode_parts({"x": x}, binary=True)

    assert len(parts) == 2
    assert size == len(parts[0])
    assert size % 8 == 0
    assert np.shares_memory(np.frombuffer(parts[1], np.float32), x)
    assert b"".join(parts) == encode_request({"x": x}, binary=True)[0]
    assert encode_parts({"x": x})[1] is None


def test_floats_go_as_bf16_where_that_is_asked_for():
    parts, _ = encode_parts({"x": np.ones(3, np.float32)}, binary=True, dtypes={"x": BF16})

    assert b'"datatype":"BF16"' in parts[0]
    assert len(parts[1]) == 6
