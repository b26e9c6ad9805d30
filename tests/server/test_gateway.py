"""A server in front of others: ``--deployment``, asked as if the models were its own."""

import json
import signal
import socket

import numpy as np
import pytest
from tests.system import models
from tests.system.serving import Server, run, serving, until

from inferd import Client


@pytest.fixture(scope="module")
def affine(tmp_path_factory):
    return models.affine(tmp_path_factory.mktemp("gateway") / "affine.onnx")


@pytest.fixture(scope="module")
def far(affine, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("far") / "s", affine, "--instances", 1) as server:
        yield server


def deployment(folder, **urls):
    folder.mkdir(exist_ok=True)
    path = folder / "deployment.yaml"
    path.write_text(json.dumps({"services": {name: {"url": url} for name, url in urls.items()}}))
    return path


def http(server):
    return "http://{}:{}".format(*server.data)


@pytest.fixture(scope="module")
def gateway(far, tmp_path_factory):
    folder = tmp_path_factory.mktemp("front")
    path = folder / "deployment.yaml"
    services = {
        "affine": {"url": http(far)},
        "other": {"url": f"grpc://{far.grpc}", "model": "affine"},
    }
    path.write_text(json.dumps({"services": services}))
    with serving(folder / "s", "--deployment", path) as server:
        until(lambda: server.ask("/readyz").status == 200, 10)
        yield server


@pytest.mark.parametrize("model", ["affine", "other"])
def test_every_dialect_answers_as_the_other_side_does(gateway, far, model):
    x = [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]
    told = far.ask("/models/affine/predict", x).result
    assert gateway.ask(f"/models/{model}/predict", x).result == told

    body = json.dumps({"instances": x})
    kind = {"Content-Type": "application/json"}
    found = gateway.ask(f"/v1/models/{model}:predict", body=body, headers=kind)
    assert found.json["predictions"] == told
    with Client(http(gateway)) as client:
        np.testing.assert_array_equal(
            client.predict(model, {"x": np.array(x, np.float32)})["y"], told
        )


def test_grpc_of_the_gateway(gateway):
    from tritonclient.grpc import InferenceServerClient, InferInput

    with InferenceServerClient(gateway.grpc) as client:
        for model in ("affine", "other"):
            given = InferInput("x", [1, 4], "FP32")
            given.set_data_from_numpy(np.ones((1, 4), np.float32))
            answer = client.infer(model, [given])
            assert answer.as_numpy("y").tolist() == [[3, 3, 3, 3]]


def test_it_is_described(gateway, far):
    described = gateway.describe("affine")
    assert described["platform"] == "remote"
    assert described["service"] == "affine"
    assert described["replicas"][0]["address"] == "{}:{}".format(*far.data)
    metadata = gateway.ask("/v2/models/other").json
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert "affine  version 1  (remote)" in gateway.banner


def test_no_worker_runs_in_a_gateway(gateway):
    assert len(gateway.processes()) == 1


def test_errors_pass_through(gateway):
    answer = gateway.ask("/models/affine/predict", [1.0, 2.0])
    assert answer.status == 400


def test_the_request_id_is_that_of_both_logs(gateway, far):
    for model in ("affine", "other"):
        sent = f"both-{model}"
        gateway.ask(f"/models/{model}/predict", [1.0, 2, 3, 4], headers={"X-Request-Id": sent})
        until(lambda sent=sent: sent in far.access and sent in gateway.access, 5)


def test_not_ready_with_the_reason_until_it_was_once_ready(affine, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = deployment(tmp_path, affine=f"http://127.0.0.1:{port}")
    with serving(tmp_path / "front", "--deployment", path) as front:
        answer = front.ask("/readyz")
        assert answer.status == 503
        assert "Connection refused" in answer.json["reasons"][0]
        assert front.ask("/models/affine/predict", [1.0, 2, 3, 4]).status == 503
        far = Server(tmp_path / "far", [affine, "--instances", 1, "--port", port]).wait_up()
        try:
            until(lambda: front.ask("/readyz").status == 200, 10)
            assert front.ask("/models/affine/predict", [1.0, 2, 3, 4]).result == [3, 5, 7, 9]
            far.stop(signal.SIGKILL)
            assert front.ask("/readyz").status == 200
            answer = front.ask("/models/affine/predict", [1.0, 2, 3, 4])
            assert answer.status == 503
            assert "service 'affine'" in answer.json["error"]["message"]
        finally:
            far.kill()


def test_a_model_with_a_service_is_not_loaded_here(affine, far, tmp_path):
    other = models.affine(tmp_path / "local.onnx", plus=7.0)
    path = deployment(tmp_path, affine=http(far))
    with serving(tmp_path / "s", affine, other, "--deployment", path) as server:
        until(lambda: server.ask("/readyz").status == 200, 10)
        assert server.describe("affine")["platform"] == "remote"
        assert server.describe("local")["platform"] != "remote"
        assert len(server.processes()) == 1 + len(server.workers("local"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services: {asr: {url: 'http://h:1', retires: 1}}", "deployment.yaml:1: services.asr.retires"),
        ("services: {asr: {url: ftp://h}}", "does not begin with"),
        (None, "deployment.yaml"),
    ],
    ids=["key", "url", "absent"],
)  # fmt: skip
def test_a_mistake_in_the_deployment_stops_the_start(tmp_path, text, said):
    path = tmp_path / "deployment.yaml"
    if text is not None:
        path.write_text(text)
    done = run("serve", "--deployment", path, "--port", 0, "--admin-port", 0, "--grpc-port", 0)

    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_deployment_there_must_be_a_path():
    assert "nothing to serve" in run("serve").stderr
