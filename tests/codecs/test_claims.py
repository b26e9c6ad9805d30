"""A small body that claims much is refused before memory is spent on it, and soon."""

import io
import struct
import time
import tracemalloc
import zipfile

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.codecs.fuzzing import SIGNATURES, mutated
from tests.codecs.seeds import tensors

from inferd.codecs import registry
from inferd.codecs.media import JSON, JSON_LINES, NPY, NPZ
from inferd.codecs.protobuf import infer, predict, tensorproto
from inferd.codecs.protobuf.messages import parse
from inferd.core.errors import InvalidInput, Unsupported
from inferd.core.plan import BatchPlan

HUGE = 2**62
SPENT = 8 << 20
"""Bytes that reading a small body may cost beside a few times its own size."""


def refused(decode, body):
    """Make sure that a body is refused, within a second, and has cost little memory."""
    begin = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises((InvalidInput, Unsupported)):
            decode(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < SPENT + 8 * len(body)
    assert time.process_time() - begin < 1


def decode(name, key):
    return registry.decoder(name, SIGNATURES[key], BatchPlan()).decode


def tensor(name, datatype, shape, **more):
    return {"name": name, "datatype": datatype, "shape": shape, **more}


SHAPES = [[HUGE, 3], [2**32, 2**32], [HUGE] * 32, [10**18, 10**18], [10**9, 3]]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("datatype", ["FP32", "BF16", "BYTES", "INT8"])
@pytest.mark.parametrize("data", [{"data": []}, {"data": [1]}], ids=["none", "one"])
def test_a_shape_of_the_protocol(datatype, shape, data):
    body = orjson.dumps({"inputs": [tensor("x", datatype, shape, **data)]})

    for key in ("vector", "wide", "cube"):
        refused(decode("oip", key), body)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("size", [0, 4, HUGE, 2**70])
@pytest.mark.parametrize(
    ("key", "datatype"), [("vector", "FP32"), ("wide", "INT8"), ("text", "BYTES")]
)
def test_a_binary_tensor_of_the_protocol(key, datatype, shape, size):
    name = SIGNATURES[key].inputs[0].name
    if key == "text":
        shape = shape[:1]
    head = orjson.dumps(
        {
            "inputs": [
                tensor(name, datatype, shape, parameters={"binary_data_size": min(size, 2**63)})
            ]
        }
    )
    refused(decode(registry.split_door(len(head)), key), head + b"\0\0\0\0")


@pytest.mark.parametrize("count", [1, 2**20, 2**32 - 1, HUGE])
def test_texts_of_the_protocol(count):
    head = orjson.dumps(
        {"inputs": [tensor("text", "BYTES", [count], parameters={"binary_data_size": 4})]}
    )

    refused(decode(registry.split_door(len(head)), "text"), head + b"\xff\xff\xff\xff")


def npy(shape, descr="<f4", data=b""):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


ARRAYS = {
    "long": npy(f"({HUGE}, 3)"),
    "many axes": npy("(" + "9," * 60 + ")"),
    "overflow": npy("(4294967296, 4294967296)"),
    "nothing of much": npy(f"(0, {HUGE})"),
    "wide texts": npy("(1,)", "<U99999999"),
    "no texts": npy("(99999999999, )", "|S1"),
    "header": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b"{",
    "digits": npy("(" + "9" * 3000 + ",)"),
}


@pytest.mark.parametrize("body", ARRAYS.values(), ids=ARRAYS)
def test_an_array(body):
    refused(decode(NPY, "vector"), body)
    refused(decode(NPY, "text"), body)
    refused(decode(registry.sagemaker_door("application/octet-stream", JSON), "vector"), body)


def archive(*members, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, data in members:
            made.writestr(name, data)
    return out.getvalue()


def lying(size):
    """Return an archive whose directory says that its bomb is small."""
    body = archive(("x.npy", bytes(80 << 20)))
    at = body.index(b"PK\x01\x02")
    return body[: at + 24] + struct.pack("<I", size) + body[at + 28 :]


ARCHIVES = {
    "a bomb": archive(("x.npy", bytes(80 << 20))),
    "bombs": archive(*((f"{i}.npy", bytes(40 << 20)) for i in range(2))),
    "a bomb that says it is small": lying(100),
    "a bomb that says it is nothing": lying(0),
    "many": archive(*((f"{i}", b"") for i in range(300))),
    "other methods": archive(("x.npy", npy("(1, 3)", data=bytes(12))), method=zipfile.ZIP_LZMA),
    "an array that claims": archive(("x.npy", npy(f"({HUGE}, 3)"))),
}


@pytest.mark.parametrize("body", ARCHIVES.values(), ids=ARCHIVES)
def test_an_archive(body):
    sagemaker = decode(registry.sagemaker_door(NPZ, JSON), "vector")
    limit = SPENT

    tracemalloc.start()
    begin = time.process_time()
    with pytest.raises(InvalidInput):
        sagemaker(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < limit + (160 << 20)  # arrays may be 64 MiB, and grow while they are expanded
    assert time.process_time() - begin < 3


def test_a_directory_of_a_million_entries():
    entry = b"PK\x01\x02" + bytes(42)
    size = 1_000_000 * len(entry)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, size, 0, 0)

    refused(decode(registry.sagemaker_door(NPZ, JSON), "vector"), entry * 1_000_000 + end)


def test_lines_without_end():
    refused(decode(registry.sagemaker_door(JSON_LINES, JSON), "vector"), b"\n" * (3 << 20))


DEEP = [b"[" * 200_000, b'{"data":' * 100_000, b"[" * 60 + b"1", b'{"a":[' * 50_000]


@pytest.mark.parametrize("name", registry.JSON_DOORS)
@pytest.mark.parametrize("body", DEEP, ids=["lists", "objects", "almost too deep", "both"])
def test_nesting(name, body):
    key = "text" if name == "openai_embeddings" else "vector"

    refused(decode(name, key), body)


# ------------------------------------------------------------------------------------- protobuf


def inferring(key):
    codec = infer.InferCodec(SIGNATURES[key], BatchPlan(), "m", "1")
    return lambda body: codec.decode(parse(infer.REQUEST, body))


def predicting(key):
    codec = predict.PredictCodec(SIGNATURES[key], BatchPlan(), "m", "1")
    return lambda body: codec.decode(parse(predict.REQUEST, body))


def infer_message(sig, shape=None, raw=True, contents=()):
    message = infer.REQUEST(model_name="m", id="1")
    for name, array in tensors(sig).items():
        spec = sig.input(name)
        entry = message.inputs.add(
            name=name, datatype=spec.dtype.name, shape=array.shape if shape is None else shape
        )
        if raw:
            message.raw_input_contents.append(bytes(infer.to_raw(array)))
        else:
            entry.contents.fp32_contents.extend(contents)
    return message.SerializeToString()


def predict_message(sig, shape=None, values=None):
    message = predict.REQUEST()
    message.model_spec.name = "m"
    for name, array in tensors(sig).items():
        tensor = message.inputs[name]
        tensor.MergeFromString(tensorproto.write(array))
        if shape is not None:
            del tensor.tensor_shape.dim[:]
            for size in shape:
                tensor.tensor_shape.dim.add(size=size)
            tensor.ClearField("float_val")
            tensor.float_val.extend(values)
    return message.SerializeToString(deterministic=True)  # the order of a map differs by process


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("values", [(), (1.0,)], ids=["none", "one"])
def test_a_shape_of_protobuf(shape, values):
    for key in ("vector", "cube"):
        sig = SIGNATURES[key]
        for body in (infer_message(sig, shape), infer_message(sig, shape, False, values)):
            refused(inferring(key), body)
    refused(predicting("vector"), predict_message(SIGNATURES["vector"], shape, values))


@pytest.mark.parametrize("shape", [[0, HUGE], [0] * 2 + [2**40] * 30], ids=["two", "many"])
def test_a_shape_of_nothing_that_no_array_has(shape):
    sig = SIGNATURES["wide"]

    refused(inferring("wide"), infer_message(sig, shape))
    refused(predicting("wide"), predict_message(sig, shape, ()))


@pytest.mark.parametrize("key", SIGNATURES)
@pytest.mark.parametrize(
    ("made", "write"), [(inferring, infer_message), (predicting, predict_message)],
    ids=["infer", "predict"],
)  # fmt: skip
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_message_is_read_or_refused(made, write, key, data):
    sig = SIGNATURES[key]
    body = data.draw(st.binary(max_size=60) | mutated([write(sig)]))
    try:
        decoded = made(key)(body)
    except (InvalidInput, Unsupported):
        return
    orjson.dumps([decoded.parameters, decoded.form, decoded.id])
    for spec in sig.inputs:
        array = decoded.inputs.get(spec.name)
        if array is None:  # left out: its default is filled in later
            assert spec.default is not None
            continue
        assert array.dtype == spec.dtype.numpy
        assert all(w in (-1, n) for n, w in zip(array.shape, spec.shape, strict=True))
