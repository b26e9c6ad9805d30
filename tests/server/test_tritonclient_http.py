"""Triton's own HTTP client, unmodified, against a running server."""

import asyncio
import contextlib
import http.client
import json

import numpy as np
import pytest
from tests.server.oip_models import DATATYPES, repository, tensors
from tests.system.serving import serving

triton = pytest.importorskip("tritonclient.http")
aio = pytest.importorskip("tritonclient.http.aio")
from tritonclient.utils import InferenceServerException  # noqa: E402

X = np.arange(8, dtype=np.float32).reshape(2, 4)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tritonclient")
    with serving(folder / "server", repository(folder / "models")) as running:
        yield running


@pytest.fixture(scope="module")
def url(server):
    return f"{server.data[0]}:{server.data[1]}"


@pytest.fixture
def client(url):
    with triton.InferenceServerClient(url, concurrency=4) as client:
        yield client


def given(name, array, *, binary=True, module=triton):
    from tritonclient.utils import np_to_triton_dtype

    tensor = module.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    return tensor.set_data_from_numpy(array, binary_data=binary)


def wanted(name, *, binary=True, classes=0):
    return triton.InferRequestedOutput(name, binary_data=binary, class_count=classes)


def test_health_and_metadata(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("affine")
    assert client.is_model_ready("image", "3")
    assert not client.is_model_ready("nothing")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata("affine")
    assert metadata["versions"] == ["1"]
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]


def test_configuration(client):
    config = client.get_model_config("image", "3")

    assert config["max_batch_size"] > 0
    assert config["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [3, 224, 224]}]


@pytest.mark.parametrize("sent", [True, False], ids=["binary in", "json in"])
@pytest.mark.parametrize("asked", [True, False, None], ids=["binary out", "json out", "unsaid"])
def test_infer(client, sent, asked):
    outputs = None if asked is None else [wanted("y", binary=asked)]

    result = client.infer("affine", [given("x", X, binary=sent)], outputs=outputs, request_id="7")

    np.testing.assert_array_equal(result.as_numpy("y"), X + 1)
    assert result.get_response()["id"] == "7"
    assert result.get_response()["model_name"] == "affine"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_compression_both_ways(client, coding, binary):
    result = client.infer(
        "affine", [given("x", X, binary=binary)], outputs=[wanted("y", binary=binary)],
        request_compression_algorithm=coding, response_compression_algorithm=coding,
    )  # fmt: skip

    np.testing.assert_array_equal(result.as_numpy("y"), X + 1)


@pytest.mark.parametrize("shape", [(2, 3), (1, 1), (3, 0)], ids=str)
def test_every_datatype_goes_through_in_binary(client, shape):
    inputs = tensors(*shape)

    result = client.infer("echo", [given(name, array) for name, array in inputs.items()])

    for name, array in inputs.items():
        answered = result.as_numpy(f"{name}_out")
        assert answered.dtype == array.dtype
        np.testing.assert_array_equal(answered, array)


def test_what_json_can_carry_goes_through_in_json(client):
    inputs = tensors()
    inputs["bytes"] = np.array([["a", "\u00e9", ""], ["d", "e", "f"]], object)
    names = [n.lower() for n in DATATYPES]

    result = client.infer(
        "echo", [given(name, inputs[name], binary=name == "fp16") for name in names],
        outputs=[wanted(f"{name}_out", binary=name == "fp16") for name in names],
    )  # fmt: skip

    for name in names:
        answered = result.as_numpy(f"{name}_out")
        if name in ("fp32", "fp64"):  # infinities are null, as NaN is
            assert np.isnan(answered.ravel()[0])
            np.testing.assert_array_equal(answered.ravel()[2:], inputs[name].ravel()[2:])
        elif name == "bytes":
            assert answered.tolist() == inputs[name].tolist()
        else:
            np.testing.assert_array_equal(answered, inputs[name])


def test_a_large_tensor(client):
    x = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)

    for sent, asked in ((True, True), (True, False), (False, True)):
        result = client.infer(
            "image", [given("x", x, binary=sent)], outputs=[wanted("y", binary=asked)]
        )

        np.testing.assert_allclose(result.as_numpy("y"), x, rtol=1e-6)


def test_many_at_once(client):
    pending = [client.async_infer("affine", [given("x", X + i)]) for i in range(20)]

    for i, request in enumerate(pending):
        np.testing.assert_array_equal(request.get_result().as_numpy("y"), X + i + 1)


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_classes(client, binary):
    x = np.float32([[0.25, 2, 1], [3, 0.5, 4]])

    result = client.infer(
        "scores", [given("x", x)], outputs=[wanted("y", binary=binary, classes=2)]
    )
    found = [[t.decode() if binary else t for t in row] for row in result.as_numpy("y").tolist()]

    assert found == [["3.0:1:dog", "2.0:2:cow"], ["5.0:2:cow", "4.0:0:cat"]]


def test_parameters_and_ids(client):
    result = client.infer(
        "affine", [given("x", X)], request_id="42", priority=1, timeout=5_000_000,
        sequence_id=5, sequence_start=True, parameters={"k": "v"},
    )  # fmt: skip

    assert result.get_response()["id"] == "42"


@pytest.mark.parametrize(
    ("model", "tensor", "status", "message"),
    [
        ("nothing", X, "404", "no model named"),
        ("affine", X.astype(np.float64), "400", "takes FP32, got FP64"),
        ("affine", X[:, :3], "400", "must have shape"),
    ],
    ids=["unknown model", "another datatype", "another shape"],
)
@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_errors_have_a_status_and_a_text(client, model, tensor, status, message, binary):
    with pytest.raises(InferenceServerException) as refused:
        client.infer(model, [given("x", tensor, binary=binary)])

    assert refused.value.status() == status
    assert message in refused.value.message()


def test_statistics(client):
    def told():
        (row,) = client.get_inference_statistics("scores")["model_stats"]
        return row

    before = told()
    client.infer("scores", [given("x", np.zeros((5, 3), np.float32))])
    with pytest.raises(InferenceServerException):
        client.infer("scores", [given("x", np.zeros((5, 4), np.float32))])
    after = told()

    def grew(stage):
        was, now = before["inference_stats"][stage], after["inference_stats"][stage]
        return now["count"] - was["count"], now["ns"] - was["ns"]

    assert after["inference_count"] - before["inference_count"] == 5
    assert after["execution_count"] - before["execution_count"] == 1
    assert grew("success")[0] == 1
    assert grew("success")[1] > grew("compute_infer")[1] > 0
    assert grew("fail")[0] == 1
    everything = client.get_inference_statistics()["model_stats"]
    assert [(r["name"], r["version"]) for r in everything] == [
        ("affine", "1"), ("echo", "1"), ("image", "3"), ("scores", "1"), ("teller", "1"),
    ]  # fmt: skip


def test_a_version_nobody_asked_has_done_nothing(client):
    (row,) = client.get_inference_statistics("teller", "1")["model_stats"]

    assert (row["inference_count"], row["execution_count"]) == (0, 0)


def test_the_repository(client):
    assert {(r["name"], r["state"]) for r in client.get_model_repository_index()} == {
        (name, "READY") for name in ("affine", "echo", "image", "scores", "teller")
    }
    for verb in (client.load_model, client.unload_model):
        with pytest.raises(InferenceServerException, match="not loaded or unloaded") as refused:
            verb("affine")
        assert refused.value.status() == "403"


def test_the_asynchronous_client(url):
    async def go():
        async with aio.InferenceServerClient(url) as client:
            assert await client.is_server_ready()
            metadata = await client.get_model_metadata("affine")
            results = await asyncio.gather(
                *(
                    client.infer(
                        "affine", [given("x", X + i, binary=i % 2 == 0, module=aio)],
                        request_compression_algorithm="gzip" if i % 3 == 0 else None,
                        response_compression_algorithm="deflate" if i % 4 == 0 else None,
                    )
                    for i in range(12)
                )
            )  # fmt: skip
            return metadata, [result.as_numpy("y") for result in results]

    metadata, found = asyncio.run(go())

    assert metadata["name"] == "affine"
    for i, y in enumerate(found):
        np.testing.assert_array_equal(y, X + i + 1)


def test_bf16_for_an_input_of_fp32(client):
    dtypes = pytest.importorskip("ml_dtypes")
    tensor = triton.InferInput("x", [2, 4], "BF16")
    tensor.set_data_from_numpy(X.astype(dtypes.bfloat16))

    np.testing.assert_array_equal(client.infer("affine", [tensor]).as_numpy("y"), X + 1)


def raw(server, path, body, headers=()):
    with contextlib.closing(http.client.HTTPConnection(*server.data, timeout=30)) as connection:
        connection.request("POST", path, body, dict(headers))
        response = connection.getresponse()
        return response, response.read()


def test_a_body_without_a_json_part(server):
    response, body = raw(
        server, "/v2/models/affine/infer", X[0].tobytes(),
        {"Inference-Header-Content-Length": "0", "Content-Type": "application/octet-stream"},
    )  # fmt: skip
    size = int(response.headers["Inference-Header-Content-Length"])

    assert response.status == 200
    assert json.loads(body[:size])["outputs"][0]["shape"] == [1, 4]
    assert body[size:] == (X[:1] + 1).tobytes()


def test_generate_and_its_stream(server):
    _, whole = raw(server, "/v2/models/teller/generate", b'{"text_input": "hello"}')
    response, events = raw(server, "/v2/models/teller/generate_stream", b'{"text_input": "hello"}')

    assert json.loads(whole) == {
        "model_name": "teller", "model_version": "1", "text_output": "caf\u00e9 for two",
    }  # fmt: skip
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    texts = [json.loads(e[6:])["text_output"] for e in events.decode().split("\n\n") if e]
    assert "".join(texts) == "caf\u00e9 for two"
    assert len(texts) == 5
