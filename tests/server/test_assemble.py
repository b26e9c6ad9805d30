"""A whole server, as a process: every plane and dialect once, on one server."""

import json

import pytest
from tests.system import models
from tests.system.serving import serving


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("assemble")
    (folder / "models" / "affine" / "1").mkdir(parents=True)
    models.affine(folder / "models" / "affine" / "1" / "affine.onnx")
    models.acts(folder / "models")
    with serving(folder / "server", folder / "models", traces=True) as running:
        yield running


def test_the_banner_names_models_addresses_and_calls(server):
    banner = server.banner

    assert "affine  version 1  (onnx, onnxruntime " in banner
    assert "acts  version 1  (python 3" in banner
    assert f"models   http://127.0.0.1:{server.data[1]}" in banner
    assert f"control  http://127.0.0.1:{server.admin[1]}" in banner
    assert banner.count("curl -sS http://127.0.0.1") == 2


@pytest.mark.parametrize("model", ["affine", "acts"])
def test_one_example_and_a_batch(server, model):
    path = f"/models/{model}/predict"

    assert server.ask(path, [1, 2, 3, 4]).body == b'{"result":[3.0,5.0,7.0,9.0]}'
    assert server.ask(path, [[1, 2, 3, 4]]).result == [[3, 5, 7, 9]]
    assert server.ask(path, {"x": [0, 0, 0, 0]}).result == [1, 1, 1, 1]
    assert server.ask(f"/models/{model}/versions/1/predict", [1, 2, 3, 4]).status == 200


def test_several_models_need_a_name(server):
    answer = server.ask("/predict", [1, 2, 3, 4])

    assert answer.status == 400
    assert "affine" in answer.body.decode()


def test_open_inference_protocol(server):
    body = {
        "id": "7",
        "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}],
    }

    answer = server.ask("/v2/models/affine/infer", body=json.dumps(body)).json

    assert answer["id"] == "7"
    assert answer["outputs"][0]["data"] == [3, 5, 7, 9]
    assert server.ask("/v2/models/affine/ready").json["ready"] is True
    assert server.ask("/v2/health/ready").json == {"live": True, "ready": True}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("admin", [False, True], ids=["data", "control"])
def test_health_on_both_planes(server, path, admin):
    assert server.ask(path, admin=admin).status == 200


def test_the_control_plane_describes_a_model(server):
    told = server.describe("affine")

    assert told["state"] == "ready"
    assert told["runtime"]["name"] == "onnx"
    assert told["signature"]["inputs"][0]["shape"] == [-1, 4]
    assert told["cost_curve"]["points"]
    assert told["instances"][0]["pid"] in [p.pid for p in server.processes()]


def test_openapi_and_page(server):
    assert server.ask("/openapi.json", admin=True).json["openapi"].startswith("3.1")
    assert b"<html" in server.ask("/", admin=True).body.lower()


@pytest.mark.parametrize(
    ("path", "status"), [("/metrics", 404), ("/openapi.json", 404), ("/nothing", 404)]
)
def test_the_data_plane_has_no_control(server, path, status):
    assert server.ask(path).status == status


def test_the_control_plane_answers_to_no_foreign_name(server):
    assert server.ask("/models", admin=True, headers={"Host": "evil.example"}).status in (403, 421)


def test_timings_on_request(server):
    timed = server.ask("/models/affine/predict", [1, 2, 3, 4], headers={"X-Server-Timing": "1"})

    assert "run;dur=" in timed.headers["Server-Timing"]
    assert "Server-Timing" not in server.ask("/models/affine/predict", [1, 2, 3, 4]).headers


def test_large_bodies_go_through_the_codec_worker(server):
    rows = [[i, 1, 2, 3] for i in range(30_000)]

    answer = server.ask("/models/affine/predict", rows).result

    assert [row[0] for row in answer] == [2 * i + 1 for i in range(30_000)]


def test_a_failing_model_tells_its_error_and_serves_on(server):
    failed = server.ask("/models/acts/predict", [models.RAISES, 0, 0, 0])

    assert failed.status == 500
    assert failed.json["error"]["kind"] == "model_failed"
    assert "ValueError: a bad item" in failed.json["error"]["message"]
    assert server.ask("/models/acts/predict", [1, 2, 3, 4]).status == 200
