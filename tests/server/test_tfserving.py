"""The sessions of docs/tensorflow-serving.md on a real server, and clients as people write them."""

import json
import re
import shlex
import urllib.error
import urllib.request
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.system import models
from tests.system.serving import serving

from inferd.codecs.tfclient import decode_response, encode_request
from inferd.codecs.tfserving import COLUMN, ROW
from inferd.core.signature import Signature

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "tensorflow-serving.md").read_text()
TALK = """
from collections.abc import Iterator
from inferd import Model

class Talk(Model):
    def predict(self, prompt: str, count: int = 2) -> Iterator[str]:
        for i in range(count):
            yield f"{prompt}{i} "
"""
FORM = "application/x-www-form-urlencoded"  # what curl -d sends unasked


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def sessions():
    """Return the commands of the page, each with what it prints."""
    parts = [p.partition("\n") for text in blocks("console") for p in re.split(r"(?m)^\$ ", text)]
    return [(command, printed.strip()) for command, _, printed in parts if command]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfserving")
    model = folder / "models" / "half_plus_three"
    (model / "1").mkdir(parents=True)
    plus_three, slope = blocks("python")
    (model / "1" / "half_plus_three.py").write_text(plus_three)
    (model / "model.yaml").write_text(*blocks("yaml"))
    (folder / "models" / "slope" / "1").mkdir(parents=True)
    (folder / "models" / "slope" / "1" / "slope.py").write_text(slope)
    (folder / "models" / "affine" / "1").mkdir(parents=True)
    models.affine(folder / "models" / "affine" / "1" / "affine.onnx")
    (folder / "models" / "affine" / "model.yaml").write_text("explainer: affine\n")
    (folder / "models" / "talk" / "1").mkdir(parents=True)
    (folder / "models" / "talk" / "1" / "talk.py").write_text(TALK)
    with serving(folder / "server", folder / "models") as running:
        yield running


@pytest.fixture
def url(server):
    return f"http://{server.data[0]}:{server.data[1]}"


@pytest.mark.parametrize(
    ("command", "printed"), sessions(), ids=[command[:90] for command, _ in sessions()]
)
def test_the_sessions_of_the_page_are_what_happens(url, command, printed):
    words = shlex.split(command)
    target = words[-1].replace("http://localhost:8000", url)
    body = words[words.index("-d") + 1].encode() if "-d" in words else None

    with opened(target, body) as answer:
        assert answer.read().decode() == printed


def opened(target, body):
    request = urllib.request.Request(target, body, {"Content-Type": FORM} if body else {})
    try:
        return urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        return error


def test_a_client_of_tensorflow_serving(url):
    """As its tutorials do it: json.dumps and a dictionary of headers."""
    data = json.dumps({"signature_name": "serving_default", "instances": [[1, 2, 3, 4]] * 3})
    response = httpx.post(
        f"{url}/v1/models/affine:predict", content=data,
        headers={"content-type": "application/json"},
    )  # fmt: skip

    assert np.array(response.json()["predictions"]).tolist() == [[3, 5, 7, 9]] * 3
    assert b"3.0" in response.content
    (state,) = httpx.get(f"{url}/v1/models/affine").json()["model_version_status"]
    assert (state["version"], state["state"]) == ("1", "AVAILABLE")


def test_a_client_of_kserve(url):
    """What its REST client asks of a server of the first protocol: life, readiness, predictions."""
    with httpx.Client(base_url=url) as client:
        assert "affine" in client.get("/v1/models").json()["models"]
        assert client.get("/v1/models/affine").json()["ready"] is True
        answer = client.post("/v1/models/affine:predict", json={"instances": [[1, 2, 3, 4]]})
        missing = client.get("/v1/models/none")

    assert answer.json()["predictions"] == [[3, 5, 7, 9]]
    assert (missing.status_code, list(missing.json())) == (404, ["error"])


def test_a_model_that_generates_answers_whole(url):
    body = {"instances": ["a", "b"], "parameters": {"count": 3}}

    answer = httpx.post(f"{url}/v1/models/talk:predict", json=body)

    assert answer.json() == {"predictions": ["a0 a1 a2 ", "b0 b1 b2 "]}


@pytest.mark.parametrize("rows", [1, 20_000], ids=["small", "large"])
def test_an_explainer_is_asked_small_and_through_the_codec_worker(url, rows):
    """A model may be its own."""
    body = {"instances": [[1, 2, 3, 4.5]] * rows}

    answer = httpx.post(f"{url}/v1/models/affine/versions/1:explain", json=body, timeout=60)

    assert answer.json() == {"explanations": [[3, 5, 7, 10]] * rows}


@pytest.mark.parametrize("form", [ROW, COLUMN])
@pytest.mark.parametrize("rows", [1, 20_000], ids=["small", "large"])
def test_tensors_in_tensors_out_small_and_through_the_codec_worker(url, server, form, rows):
    rng = np.random.default_rng(7)
    x = rng.standard_normal((rows, 4)).astype(np.float32)
    x[0] = [np.nan, np.inf, -np.inf, 1]
    sig = Signature.from_json(server.describe("affine")["signature"])

    response = httpx.post(
        f"{url}/v1/models/affine:predict", content=encode_request({"x": x}, form), timeout=60
    )

    (answer,) = decode_response(response.content, sig).values()
    np.testing.assert_array_equal(answer, x * 2 + 1)
