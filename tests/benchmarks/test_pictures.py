"""Requests of one picture: all forms hold the same tensors, and answers are read back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import load, pictures
from inferd.codecs.oip import OIPCodec
from inferd.codecs.simple import SimpleCodec
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import FP32

SIGNATURE = Signature(
    (TensorSpec("image", FP32, (-1, 3, 224, 224)),), (TensorSpec("means", FP32, (-1, 3)),)
)
MEANS = np.array([[1.5, -2.0, 0.25]], np.float32)


def _parts(name: str) -> tuple[dict[str, str], bytes]:
    head, _, body = pictures.probe(name).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return dict(line.split(": ") for line in lines), body


@pytest.mark.parametrize("name", ["B", "J", "N"])
def test_a_request_says_how_long_it_is(name: str) -> None:
    headers, body = _parts(name)

    assert int(headers["Content-Length"]) == len(body)


def test_every_form_holds_the_same_tensor() -> None:
    headers, binary = _parts("B")
    size = int(headers["Inference-Header-Content-Length"])
    forms = [
        OIPCodec(SIGNATURE).decode(binary, size),
        OIPCodec(SIGNATURE).decode(_parts("J")[1]),
        SimpleCodec(SIGNATURE).decode(_parts("N")[1]),
    ]

    image = pictures.base()[np.newaxis].copy()
    image[0, 0, : pictures.ROWS] = pictures.own(1)[0]
    for decoded in forms:
        assert decoded.inputs is not None
        np.testing.assert_array_equal(decoded.inputs["image"], image)


def test_tensors_differ_by_more_than_answers_may() -> None:
    means = pictures.own(100).mean(axis=(1, 2)) * pictures.ROWS / pictures.SHAPE[1]

    assert np.median(np.diff(np.sort(means))) > 1e-2


def test_answers_in_json_and_binary_are_read() -> None:
    codec = OIPCodec(SIGNATURE)
    text = codec.encode({"means": MEANS}, model="b", version="1")
    binary = codec.encode({"means": MEANS}, model="b", version="1", form={"binary": ["means"]})

    assert isinstance(text, bytes)
    np.testing.assert_array_equal(pictures.json_result(text), MEANS[0])
    np.testing.assert_array_equal(pictures.binary_result(binary.body), MEANS[0])


def test_a_binary_answer_of_another_size_is_none() -> None:
    output = {"name": "means", "shape": [1, 4], "parameters": {"binary_data_size": 16}}

    with pytest.raises(ValueError, match="three numbers"):
        pictures.binary_result(json.dumps({"outputs": [output]}).encode() + bytes(12))


def test_the_length_of_the_json_part_is_not_that_of_the_body() -> None:
    data = (
        b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: 2\r\nContent-Length: 14\r\n\r\n"
        b"{}            "
    )

    assert load.complete(data[:-1]) == 0
    assert load.complete(data) == len(data)
    assert load.complete(data.replace(b"Content-Length: 14", b"content-length:14")) == len(data) - 1
