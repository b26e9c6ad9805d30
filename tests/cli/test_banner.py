import base64
import io
import json
import shlex
import subprocess
import wave

import numpy as np
import pytest

from inferd.cli.banner import Served, inputs_line, kind, render, runtime_of, sample_curl
from inferd.codecs.simple import SimpleCodec
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BOOL, BYTES, FP32, INT64
from inferd.routing.table import FAILED, READY, Version

URL = "http://127.0.0.1:8000"
OUTPUT = (TensorSpec("y", FP32, (-1, 3)),)


def version(*inputs, batched=True, name="iris", state=READY):
    signature = Signature(inputs, OUTPUT, batched)
    return Version(
        name, "1", state, "why not", signature, runtime="onnx", platform="onnxruntime 1.32"
    )


def sent(line):
    """Run what the line does before it calls curl, and give its URL, headers and body."""
    before, _, call = line.rpartition(" | ") if " | curl" in line else ("", "", line)
    words = shlex.split(call)
    assert words[:2] == ["curl", "-sS"]
    piped = (
        subprocess.run(before, shell=True, capture_output=True, timeout=20, check=True)
        if before
        else None
    )
    body = piped.stdout if piped else words[words.index("-d") + 1].encode()
    return words[2], words[words.index("-H") + 1], body


CASES = {
    "row": (TensorSpec("x", FP32, (-1, 4)),),
    "two inputs": (TensorSpec("a", FP32, (-1, 2)), TensorSpec("it's", INT64, (-1, -1))),
    "number": (TensorSpec("x", FP32, (-1,)),),
    "flags": (TensorSpec("x", BOOL, (-1, 2)),),
    "text": (TensorSpec("x", BYTES, (-1,), content="text"),),
    "a vector": (TensorSpec("x", FP32, (-1, 384)),),
    "picture as numbers": (TensorSpec("x", FP32, (-1, 3, 224, 224)),),
    "large of two": (TensorSpec("a", FP32, (-1, 900)), TensorSpec("b", FP32, (-1, 900))),
}


def test_the_call_leaves_out_what_is_the_default():
    text = TensorSpec("text", BYTES, (-1,), content="text", default="")
    served = version(text, TensorSpec("k", INT64, (-1,), default=5))

    _, _, body = sent(sample_curl(served, URL))

    assert json.loads(body) == {"data": {"text": "hello world"}}


@pytest.mark.parametrize("inputs", CASES.values(), ids=CASES)
def test_the_call_carries_a_body_that_fits_the_signature(inputs):
    served = version(*inputs)
    url, header, body = sent(sample_curl(served, URL))
    decoded = SimpleCodec(served.signature).decode(body)

    assert url == f"{URL}/models/iris/predict"
    assert header == "Content-Type: application/json"
    assert decoded.single
    assert set(decoded.inputs) == {spec.name for spec in inputs}
    assert len(sample_curl(served, URL)) < 500, "nobody wants to see a screen of numbers"


def test_an_image_is_sent_as_bytes():
    line = sample_curl(version(TensorSpec("x", BYTES, (-1,), content="image")), URL)
    _, header, body = sent(line)

    assert header == "Content-Type: image/png"
    assert body.startswith(b"\x89PNG")


def test_a_recording_is_sent_as_a_file():
    line = sample_curl(version(TensorSpec("x", BYTES, (-1,), content="audio")), URL)
    _, header, body = sent(line)

    assert header == "Content-Type: audio/wav"
    with wave.open(io.BytesIO(body)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (1, 16_000, 16_000)


def test_a_sample_of_the_model_is_preferred_and_its_type_kept():
    spec = TensorSpec("x", BYTES, (-1,), content="image")
    jpeg = np.array([b"\xff\xd8\xff\xe0"], dtype=object)
    line = sample_curl(version(spec), URL, {"x": jpeg})

    assert "image/jpeg" in line
    assert base64.b64encode(jpeg[0]).decode() in line

    line = sample_curl(
        version(*CASES["row"]), URL, {"x": np.array([[5.1, 3.5, 1.4, 0.2]], np.float32)}
    )

    assert json.loads(sent(line)[2]) == {
        "data": [pytest.approx(v, abs=1e-6) for v in (5.1, 3.5, 1.4, 0.2)]
    }


@pytest.mark.parametrize(
    "inputs",
    [CASES["row"], CASES["picture as numbers"], (TensorSpec("x", BYTES, (-1,), content="image"),)],
    ids=["short", "long", "image"],
)
def test_a_unix_socket_is_named_to_curl(inputs):
    line = sample_curl(version(*inputs), "http://localhost", socket="/run/a b.sock")
    call = shlex.split(line.rpartition(" | ")[2])

    assert call[:5] == [
        "curl", "-sS", "--unix-socket", "/run/a b.sock", "http://localhost/models/iris/predict",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("platform", "framework", "shown"),
    [
        ("onnx", "onnxruntime 1.32.0", "onnx, onnxruntime 1.32.0"),
        ("python", "python 3.12.1", "python 3.12.1"),
        ("onnx", None, "onnx"),
        ("", None, ""),
    ],
    ids=["adapter and library", "one name", "not loaded", "nothing"],
)
def test_the_framework_is_told_with_its_version(platform, framework, shown):
    told = {"runtime": {"name": platform, "version": framework}} if framework else {}

    assert runtime_of(Version("m", "1", platform=platform, describe=lambda: told)) == shown


def test_an_unbatched_model_is_asked_as_a_whole():
    served = version(TensorSpec("x", FP32, (2, 3)), batched=False)

    assert np.shape(json.loads(sent(sample_curl(served, URL))[2])["data"]) == (2, 3)


def test_what_the_model_s_author_gave_is_written_out_as_it_is():
    spec = TensorSpec("x", FP32, (-1, 200))
    given = np.arange(200, dtype=np.float32)[None]

    _, _, body = sent(sample_curl(version(spec), URL, {"x": given}))

    assert json.loads(body)["data"] == given[0].tolist()


def test_a_name_with_special_signs_is_quoted_for_url_and_shell():
    url, _, _ = sent(sample_curl(version(*CASES["row"], name="it's $(a) b"), URL))

    assert url == f"{URL}/models/it%27s%20%24%28a%29%20b/predict"


def test_everything_served_is_shown():
    good, bad = version(*CASES["row"]), version(name="net", state=FAILED)
    text = render(Served([good, bad], URL, "http://127.0.0.1:8002", notes=["remember"]))

    assert "iris  version 1  (onnxruntime 1.32)" in text
    assert "x float32[?, 4] -> y float32[?, 3]" in text
    assert "failed: why not" in text
    assert f"models   {URL}" in text
    assert "control  http://127.0.0.1:8002" in text
    assert text.endswith("remember\n")


def test_tensors_are_written_for_people():
    assert kind(TensorSpec("x", BYTES, (-1,), content="image")) == "image[?]"
    assert kind(TensorSpec("x", BYTES, ())) == "text[]"
    assert inputs_line(Signature((), OUTPUT)) == "nothing -> y float32[?, 3]"


def test_grpc_is_shown_where_it_is_served():
    assert "grpc     127.0.0.1:8001\n" in render(Served([], URL, grpc="127.0.0.1:8001"))
    assert "grpc" not in render(Served([], URL))


def test_the_steps_of_a_pipeline_are_named():
    pipeline = version(*CASES["row"])
    pipeline.describe = lambda: {"pipeline": {"steps": [{"name": "cut"}, {"name": "join"}]}}
    lines = render(Served([pipeline], URL)).splitlines()
    assert lines[2] == "  steps: cut, join"
    assert "steps" not in render(Served([version(*CASES["row"])], URL))


def test_a_page_has_its_address_in_it():
    plain, paged = (version(*CASES["row"], name=name) for name in ("plain", "a b"))
    paged.page = {"index.html": object()}

    text = render(Served([plain, paged], URL))

    assert f"page     {URL}/ui/a%20b/\n" in text
    assert text.count("/ui/") == 1
