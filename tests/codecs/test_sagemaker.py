import contextlib
import io
import re

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.codecs.signatures import signature

from inferd.codecs.base import Encoded
from inferd.codecs.media import CSV, JSON, JSON_LINES, NPY, NPZ, OCTETS, TEXT
from inferd.codecs.registry import decoder, encoder, offloaded, sagemaker_door
from inferd.codecs.sagemaker import SageMakerCodec, bodies, is_protocol, streams
from inferd.core.errors import InferdError, InvalidInput, UnsupportedMedia
from inferd.core.plan import BatchPlan

VECTOR = signature([("x", "FP32", [-1, 3])], [("y", "FP32", [-1])])
NUMBER = signature([("x", "FP32", [-1, 1])], [("y", "FP32", [-1])])
TEXTS = signature([("text", "BYTES", [-1])], [("y", "FP32", [-1])])
NAMED = signature([("age", "INT64", [-1]), ("city", "BYTES", [-1])], [("y", "FP32", [-1])])
FEATURES = signature([("features", "FP32", [-1, 3])], [("y", "FP32", [-1])])
PLAIN = signature([("x", "FP32", [3])], [("y", "FP32", [3])], batched=False)


def ask(body, sig=VECTOR, media=JSON, accept=JSON, plan=None):
    """Decode, answer each row with its number, encode."""
    codec = SageMakerCodec(sig, plan, body=media, answer=accept)
    decoded = codec.decode(orjson.dumps(body) if not isinstance(body, bytes) else body)
    if decoded.rows is not None:
        outputs = [{"y": np.array([i], np.float32)} for i in range(len(decoded.rows))]
    else:
        rows = len(next(iter(decoded.inputs.values()))) if sig.batched else 3
        outputs = {"y": np.arange(rows, dtype=np.float32)}
    answer = codec.encode(outputs, decoded.single, decoded.id, "m", "1", decoded.form)
    return decoded, answer.body if isinstance(answer, Encoded) else orjson.loads(answer)


@pytest.mark.parametrize(
    ("sig", "body", "answer"),
    [
        (VECTOR, {"instances": [[1, 2, 3], [4, 5, 6]]}, {"predictions": [0, 1]}),
        (VECTOR, {"instances": [1, 2, 3]}, {"predictions": [0]}),
        (VECTOR, {"instances": [{"features": [1, 2, 3]}] * 2}, {"predictions": [0, 1]}),
        (VECTOR, {"instances": [{"x": [1, 2, 3]}]}, {"predictions": [0]}),
        (FEATURES, {"instances": [{"features": [1, 2, 3]}]}, {"predictions": [0]}),
        (NUMBER, {"instances": [1, [2], 3]}, {"predictions": [0, 1, 2]}),
        (NAMED, {"instances": [{"age": 3, "city": "Bonn"}] * 2}, {"predictions": [0, 1]}),
        (TEXTS, {"instances": ["good", "bad"]}, {"predictions": [0, 1]}),
        (VECTOR, {"inputs": [[1, 2, 3]]}, {"predictions": [0]}),
        (VECTOR, {"inputs": [1, 2, 3], "parameters": {"a": 1}}, {"predictions": 0}),
        (NAMED, {"inputs": {"age": [3, 4], "city": ["Bonn", "Ulm"]}}, {"predictions": [0, 1]}),
        (TEXTS, {"inputs": "good"}, {"predictions": 0}),
        (VECTOR, {"data": [1, 2, 3]}, {"result": 0}),
        (VECTOR, [[1, 2, 3], [1, 2, 3]], [0, 1]),
        (VECTOR, [1, 2, 3], 0),
        (TEXTS, "good", 0),
        (TEXTS, {"b64": "/w=="}, 0),
        (PLAIN, {"instances": [[1, 2, 3]]}, {"predictions": [0, 1, 2]}),
        (PLAIN, {"inputs": [1, 2, 3]}, {"predictions": [0, 1, 2]}),
    ],
)  # fmt: skip
def test_json_is_answered_in_kind(sig, body, answer):
    assert ask(body, sig)[1] == answer


def test_the_protocols_request_is_answered_by_its_response():
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}
    decoded, answer = ask({"id": "7", "inputs": [tensor]})

    assert decoded.inputs["x"].tolist() == [[1, 2, 3]]
    assert answer["id"] == "7" and answer["model_name"] == "m"
    assert answer["outputs"][0]["data"] == [0]
    assert not is_protocol({"inputs": []}) and not is_protocol({"inputs": [{"name": "x"}]})


def test_what_a_body_holds_beside_its_examples():
    decoded, _ = ask(
        {"inputs": [1, 2, 3], "parameters": {"top": 3}, "outputs": ["y"], "stream": True,
         "signature_name": "serving_default"}
    )  # fmt: skip

    assert decoded.parameters == {"top": 3}
    assert decoded.outputs == ("y",)
    assert streams(decoded.form)
    assert not streams(ask([1, 2, 3])[0].form) and not streams(None)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, 'no "instances"'),
        ({"instances": None}, 'no "instances"'),
        ({"instances": []}, "holds no examples"),
        ({"instances": 3}, "must be a list"),
        ({"instances": [[1, 2]]}, "must have shape"),
        ({"instances": [[1, 2, 3], [1, 2]]}, "has 2 values"),
        ({"instances": [[1, 2, 3]], "inputs": [[1, 2, 3]]}, '"instances" and "inputs"'),
        ({"instances": [[1, 2, 3]], "more": 1}, "unknown key 'more'"),
        ({"inputs": [1, 2, 3], "stream": "yes"}, '"stream" must be'),
        ({"requestType": "NEW_SESSION"}, "stateful sessions are not enabled"),
        (b"null", "is null"),
        (b"{", "not valid JSON"),
        (b"[[1, 2, true]]", r"the body\[0\]\[2\] must be a number"),
        ({"instances": [[1, 2, 3], [1, 2, "a"]]}, r"instances\[1\]\[2\] must be a number"),
        ({"inputs": {"x": [1, "a", 3]}}, r"inputs.x\[1\] must be a number"),
    ],
)
def test_what_is_wrong_is_said(body, says):
    with pytest.raises(InvalidInput) as caught:
        ask(body)
    assert re.search(says, caught.value.message)


@pytest.mark.parametrize("wrap", ["features", "inputs", "data"])
def test_lines_are_examples(wrap):
    lines = b'[1,2,3]\n{"x":[1,2,3]}\n' + orjson.dumps({wrap: [1, 2, 3]}) + b"\n"

    assert ask(lines, media=JSON_LINES)[1] == {"predictions": [0, 1, 2]}
    assert ask(lines, media=JSON_LINES, accept=JSON_LINES)[1] == b"0.0\n1.0\n2.0\n"


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


@pytest.mark.parametrize(
    ("sig", "media", "body", "answer"),
    [
        (VECTOR, CSV, b"1,2,3\n4,5,6\n", {"predictions": [0, 1]}),
        (NAMED, CSV, b"city,age\nBonn,3\n", {"predictions": [0]}),
        (VECTOR, NPY, npy(np.ones((2, 3))), {"predictions": [0, 1]}),
        (VECTOR, NPY, npy(np.ones(3)), {"predictions": 0}),
        (VECTOR, OCTETS, npy(np.ones((2, 3))), {"predictions": [0, 1]}),
        (TEXTS, OCTETS, b"\xff\0", {"predictions": 0}),
        (TEXTS, TEXT, b"good", {"predictions": 0}),
    ],
)
def test_other_bodies_give_predictions(sig, media, body, answer):
    assert ask(body, sig, media)[1] == answer


def test_an_archive_of_arrays():
    out = io.BytesIO()
    np.savez(out, age=np.array([1, 2]), city=np.array(["a", "b"]))

    decoded, answer = ask(out.getvalue(), NAMED, NPZ, NPZ)

    assert decoded.raw and decoded.inputs["city"].tolist() == [b"a", b"b"]
    with np.load(io.BytesIO(answer)) as found:
        assert found["y"].tolist() == [0, 1]


def test_rows_that_run_apart():
    decoded, answer = ask({"instances": [[1, 2, 3]] * 3}, plan=BatchPlan(split=True))

    assert len(decoded.rows) == 3
    assert answer == {"predictions": [0, 1, 2]}


def test_the_types_a_model_takes_follow_from_its_inputs():
    assert bodies(VECTOR) == (JSON, CSV, NPY, NPZ, JSON_LINES, OCTETS)
    assert bodies(NAMED) == (JSON, CSV, NPZ, JSON_LINES)
    assert bodies(PLAIN) == (JSON, NPY, NPZ, OCTETS)
    for media in (TEXT, "image/png", "application/x-own"):
        with pytest.raises(UnsupportedMedia, match="it takes|takes"):
            SageMakerCodec(VECTOR, body=media)
    with pytest.raises(UnsupportedMedia, match="no npy array"):
        ask(b"123", media=OCTETS)


def test_a_name_makes_the_codec_anywhere():
    door = sagemaker_door(CSV, JSON_LINES)

    assert decoder(door, VECTOR, BatchPlan()).decode(b"1,2,3\n").inputs["x"].shape == (1, 3)
    answer = encoder(door, VECTOR).encode({"y": np.ones(2, np.float32)}, False)
    assert answer == Encoded(b"1.0\n1.0\n", b"application/jsonlines")
    assert offloaded(door) and not offloaded(sagemaker_door(NPY, JSON))


@settings(max_examples=300)
@given(st.sampled_from([JSON, JSON_LINES, CSV, NPY, NPZ, OCTETS]), st.binary(max_size=80))
def test_any_body_is_read_or_refused(media, body):
    with contextlib.suppress(InferdError):
        SageMakerCodec(VECTOR, body=media).decode(body)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["instances", "inputs", "data", "x", "features", "b64"]), inner
        )
    ),
    max_leaves=8,
)


@settings(max_examples=500)
@given(JSONS, st.sampled_from([VECTOR, NUMBER, NAMED, TEXTS, PLAIN]))
def test_any_json_is_read_or_refused(value, sig):
    with contextlib.suppress(InferdError, orjson.JSONEncodeError):
        SageMakerCodec(sig).decode(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))


OPTIONAL = signature([("text", "BYTES", [-1]), ("times", "INT64", [-1], {"default": 2})])


@pytest.mark.parametrize(
    ("body", "media"),
    [
        ({"instances": ["a"]}, JSON), ({"instances": [{"text": "a"}]}, JSON), ({"inputs": "a"}, JSON),
        ({"data": {"text": "a"}}, JSON), ("a", JSON), (b'{"text": "a"}', JSON_LINES),
        (b"a", TEXT), (b"a", OCTETS), (b"text\na\n", CSV),
    ],
    ids=["bare", "named", "inputs", "data", "value", "lines", "text", "octets", "csv"],
)  # fmt: skip
def test_an_input_that_has_a_default_may_be_left_out(body, media):
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    decoded = SageMakerCodec(OPTIONAL, body=media).decode(raw)

    assert decoded.inputs["text"].tolist() == [b"a"]
