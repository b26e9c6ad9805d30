import numpy as np
import pytest
from tests.api.serving import Server, headers, value, version

from inferd.routing.table import FAILED

TENSOR = {"name": "x", "shape": [2, 3], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6]}


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_server_metadata(path):
    server = Server(version(), product=("inferd", "9.9"))

    assert value(server.get(path)) == {
        "name": "inferd", "version": "9.9", "extensions": ["schedule_policy"],
    }  # fmt: skip


def test_live_and_ready_say_both():
    server = Server(version())

    assert value(server.get("/v2/health/live")) == {"live": True}
    assert value(server.get("/v2/health/ready")) == {"live": True, "ready": True}


def test_not_ready_is_503_with_a_body():
    model = version()
    model.state, model.reason = FAILED, "no memory"
    response = Server(model).get("/v2/health/ready")

    assert response.status == 503
    assert value(response)["ready"] is False


def test_models_are_listed():
    assert value(Server(version("b"), version("a")).get("/v2/models")) == {"models": ["a", "b"]}


def test_model_metadata():
    server = Server(version(), version(number="v10"))
    tensors = {
        "platform": "numpy_function",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}],
    }

    assert value(server.get("/v2/models/m")) == {"name": "m", "versions": ["v10", "1"], **tensors}
    assert value(server.get("/v2/models/m/versions/v10")) == {
        "name": "m", "versions": ["v10"], **tensors,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/models/m/ready", 200),
        ("/v2/models/m/versions/1/ready", 200),
        ("/v2/models/broken/ready", 503),
        ("/v2/models/none/ready", 404),
        ("/v2/models/m/versions/2/ready", 404),
        ("/v2/models/none", 404),
        ("/v2/models/broken", 503),
    ],
)
def test_model_readiness(path, status):
    broken = version("broken")
    broken.state, broken.reason, broken.signature = FAILED, "bad file", None

    response = Server(version(), broken).get(path)

    assert response.status == status
    assert ("retry-after" in headers(response)) == (status == 503)
    if status == 404:
        assert isinstance(value(response)["error"], str)


@pytest.mark.parametrize("path", ["/v2/models/m/infer", "/v2/models/m/versions/1/infer"])
def test_infer(path):
    response = Server(version()).post(path, {"id": "42", "inputs": [TENSOR]})

    assert value(response) == {
        "model_name": "m",
        "model_version": "1",
        "id": "42",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [2, 1], "data": [2.0, 5.0]}],
    }


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/v2/models/m/infer", {"id": 5, "inputs": [TENSOR]}, 400, '"id" must be a string'),
        ("/v2/models/m/infer", b"{", 400, "not valid JSON"),
        ("/v2/models/n/infer", {"inputs": [TENSOR]}, 404, "no model named 'n'"),
        ("/v2/models/m/infer", {"inputs": [{**TENSOR, "datatype": "FP16"}]}, 400, "no JSON form"),
        ("/v2/nothing", b"", 404, "no route"),
    ],
)
def test_errors_are_texts(path, body, status, message):
    response = Server(version()).post(path, body)

    assert response.status == status
    assert message in value(response)["error"]


def test_the_schedule_parameters_are_obeyed():
    model = version()
    server = Server(model)

    server.post(
        "/v2/models/m/infer",
        {"inputs": [TENSOR], "parameters": {"priority": 1, "timeout": 250_000, "k": 1}},
    )
    server.post(
        "/v2/models/m/infer",
        {"inputs": [TENSOR], "parameters": {"timeout": 10_000_000}},
        x_request_timeout="2s",
    )

    first, second = model.servable.seen
    assert (first.priority, first.parameters) == (1, {"k": 1})
    assert first.deadline == pytest.approx(server.clock() + 0.25)
    assert second.deadline == pytest.approx(server.clock() + 2)


def test_values_that_are_no_numbers_are_null():
    model = version(function=lambda x: {"y": np.float32([[np.nan], [np.inf]])})

    response = Server(model).post("/v2/models/m/infer", {"inputs": [TENSOR]})

    assert value(response)["outputs"][0]["data"] == [None, None]
