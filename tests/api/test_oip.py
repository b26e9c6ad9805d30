import gzip

import numpy as np
import orjson
import pytest
from tests.api.serving import Server, headers, value, version
from tests.codecs.signatures import signature

from inferd.api.settings import ApiSettings
from inferd.codecs.oip_client import decode_response, encode_request
from inferd.codecs.registry import decoder, encoder
from inferd.core.plan import BatchPlan
from inferd.routing.table import FAILED

SCORES = signature([("x", "FP32", [-1, 3])], [("y", "FP32", [-1, 3])])
TENSOR = {"name": "x", "shape": [2, 3], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6]}


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_server_metadata(path):
    server = Server(version(), product=("inferd", "9.9"))

    told = value(server.get(path))

    assert (told["name"], told["version"]) == ("inferd", "9.9")
    assert told["extensions"] == [
        "binary_tensor_data", "classification", "generate", "model_configuration",
        "model_repository", "parameters", "schedule_policy", "statistics",
    ]  # fmt: skip


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


def test_the_list_says_which_model_needs_no_name():
    pipeline = version("p")
    pipeline.parts = ("a",)

    assert "default" not in value(Server(version("p"), version("a")).get("/v2/models"))
    assert value(Server(pipeline, version("a")).get("/v2/models"))["default"] == "p"


def test_models_are_listed_with_the_states_of_their_versions():
    broken = version("a", "2")
    broken.state, broken.reason = FAILED, "no memory"

    assert value(Server(version("b"), version("a"), broken).get("/v2/models")) == {
        "models": ["a", "b"],
        "states": {
            "a": [
                {"version": "1", "state": "ready"},
                {"version": "2", "state": "failed", "reason": "no memory"},
            ],
            "b": [{"version": "1", "state": "ready"}],
        },
    }


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
        ("/v2/models/m/infer", {"inputs": [{**TENSOR, "datatype": "FP16"}]}, 400, "got FP16"),
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


LENGTH = "inference-header-content-length"


def ask_binary(server, x, path="/v2/models/m/infer", **more):
    body, size = encode_request({"x": x}, **more, binary=True)
    response = server.post(
        path, body, inference_header_content_length=size, content_type="application/octet-stream"
    )
    assert response.status == 200, response.body
    assert response.content_type == b"application/octet-stream"
    return decode_response(response.body, int(headers(response)[LENGTH]))


def test_infer_in_binary():
    x = np.float32([[1, 2, 3], [4, 5, 6]])

    outputs, rest = ask_binary(Server(version()), x, id="42")

    assert outputs["y"].tolist() == [[2], [5]]
    assert rest == {"model_name": "m", "model_version": "1", "id": "42"}


def test_a_large_tensor_in_binary_is_neither_read_nor_written_elsewhere():
    class Nowhere:
        async def decode(self, *_):
            raise AssertionError("decoded elsewhere")

        async def encode(self, *_):
            raise AssertionError("encoded elsewhere")

    sig = signature([("x", "FP32", [-1, 3, 224, 224])], [("y", "FP32", [-1, 3, 224, 224])])
    server = Server(version(sig=sig, function=lambda x: {"y": x + 1}), offload=Nowhere())
    x = np.ones((1, 3, 224, 224), np.float32)

    np.testing.assert_array_equal(ask_binary(server, x)[0]["y"], x + 1)


class Elsewhere:
    """Decodes here, and remembers under which name it was asked."""

    def __init__(self):
        self.doors = []

    async def decode(self, door, body, signature, plan, deadline):
        self.doors.append(door)
        return decoder(door, signature, plan).decode(body)

    async def encode(self, door, outputs, signature, plan, decoded, model, number, deadline):
        self.doors.append(door)
        return encoder(door, signature).encode(
            outputs, decoded.single, decoded.id, model, number, decoded.form
        )


def test_a_large_json_part_is_read_elsewhere():
    elsewhere = Elsewhere()
    sig = signature([("x", "FP32", [-1]), ("t", "BYTES", [-1])], [("y", "FP32", [-1])])
    model = version(sig=sig, function=lambda x, t: {"y": x})
    server = Server(model, offload=elsewhere)
    count = 100_000
    head = orjson.dumps({
        "inputs": [
            {"name": "x", "shape": [count], "datatype": "FP32", "parameters": {"binary_data_size": count * 4}},
            {"name": "t", "shape": [count], "datatype": "BYTES", "data": ["a"] * count},
        ],
    })  # fmt: skip

    response = server.post(
        "/v2/models/m/infer", head + bytes(count * 4), inference_header_content_length=len(head)
    )

    assert response.status == 200
    assert elsewhere.doors == [f"oip+{len(head)}", "oip"]


@pytest.mark.parametrize(
    ("size", "status", "message"),
    [
        ("1000", 400, "is 1000, and the body has"),
        ("1", 400, "not valid JSON"),
        ("x", 400, "is no size in bytes"),
        ("-1", 400, "is no size in bytes"),
        ("200000000", 413, "the JSON part is 200000000 bytes"),
    ],
)
def test_a_json_part_of_a_wrong_size_is_refused(size, status, message):
    body, _ = encode_request({"x": np.float32([[1, 2, 3]])}, binary=True)
    server = Server(version(), settings=ApiSettings(json_body_bytes=1 << 20))

    response = server.post("/v2/models/m/infer", body, inference_header_content_length=size)

    assert response.status == status
    assert message in value(response)["error"]


def test_a_body_without_a_json_part_is_one_example():
    x = np.float32([1, 2, 3])

    response = Server(version()).post(
        "/v2/models/m/infer", x.tobytes(), inference_header_content_length=0
    )
    outputs, _ = decode_response(response.body, int(headers(response)[LENGTH]))

    assert outputs["y"].tolist() == [[2]]


def test_the_size_of_the_json_part_is_that_before_compression():
    body, size = encode_request({"x": np.float32([[1, 2, 3]])}, binary=True)

    response = Server(version()).post(
        "/v2/models/m/infer", gzip.compress(body), content_encoding="gzip",
        inference_header_content_length=size, accept_encoding="gzip",
    )  # fmt: skip
    outputs, _ = decode_response(gzip.decompress(response.body), int(headers(response)[LENGTH]))

    assert headers(response)["content-encoding"] == "gzip"
    assert outputs["y"].tolist() == [[2]]


def test_an_answer_is_in_binary_though_the_request_was_json():
    sent = {"inputs": [TENSOR], "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}

    response = Server(version()).post("/v2/models/m/infer", sent)
    outputs, _ = decode_response(response.body, int(headers(response)[LENGTH]))

    assert outputs["y"].tolist() == [[2], [5]]


def test_a_half_float_goes_through_in_binary_alone():
    sig = signature([("x", "FP16", [-1, 2])], [("y", "FP16", [-1, 2])])
    server = Server(version(sig=sig, function=lambda x: {"y": x * 2}))
    x = np.float16([[1.5, -2]])
    body, size = encode_request({"x": x}, binary=True)
    json_answer = body.replace(b'"binary_data_output":true', b'"binary_data_output":false', 1)

    outputs, _ = ask_binary(server, x)
    refused = server.post(
        "/v2/models/m/infer", json_answer, inference_header_content_length=size + 1
    )

    assert outputs["y"].tolist() == [[3, -4]]
    assert refused.status == 501
    assert "in binary" in value(refused)["error"]


def test_a_model_that_answers_row_by_row_answers_in_binary_too():
    model = version(plan=BatchPlan(split=True))

    outputs, _ = ask_binary(Server(model), np.float32([[1, 2, 3], [4, 5, 6]]))

    assert outputs["y"].tolist() == [[2], [5]]
    assert len(model.servable.seen) == 2


def test_classes_are_told_instead_of_values():
    model = version(sig=SCORES, function=lambda x: {"y": x})

    response = Server(model).post(
        "/v2/models/m/infer",
        {"inputs": [TENSOR], "outputs": [{"name": "y", "parameters": {"classification": 2}}]},
    )

    assert value(response)["outputs"] == [
        {
            "name": "y",
            "datatype": "BYTES",
            "shape": [2, 2],
            "data": ["3.0:2", "2.0:1", "6.0:2", "5.0:1"],
        }
    ]


def test_reserved_parameters_are_refused():
    sent = {"inputs": [TENSOR], "parameters": {"triton_x": 1}}

    assert Server(version()).post("/v2/models/m/infer", sent).status == 400


def test_many_texts_are_written_elsewhere_in_binary_too():
    elsewhere = Elsewhere()
    sig = signature([("x", "FP32", [-1])], [("t", "BYTES", [-1])])
    texts = np.full(100_000, b"\xff", object)
    server = Server(version(sig=sig, function=lambda x: {"t": texts}), offload=elsewhere)

    outputs, _ = ask_binary(server, np.float32([1]))

    assert outputs["t"].tolist() == texts.tolist()
    assert elsewhere.doors == ["oip"]
