"""Triton's own client, unmodified, against a server with real models in real workers."""

import asyncio
import json
import queue
import textwrap
import time

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.system import models
from tests.system.serving import serving, until
from tritonclient.utils import InferenceServerException

from inferd.core.tensor import BYTES, DTYPES

ECHO = textwrap.dedent(
    """
    from inferd import Model

    NAMES = %r

    class Echo(Model):
        inputs = {name: (name, [-1, -1]) for name in NAMES}
        outputs = {f"{name}_back": (name, [-1, -1]) for name in NAMES}

        def predict(self, inputs):
            return {f"{name}_back": array for name, array in inputs.items()}
    """
)
COUNT = textwrap.dedent(
    """
    import time
    from pathlib import Path
    from inferd import Model

    class Count(Model):
        inputs = {"n": ("int64", [-1])}
        outputs = {"i": ("int64", [-1])}

        def __init__(self, record):
            self.record = Path(record)

        def predict(self, n):
            for i in range(int(n[0])):
                self.record.write_text(str(i))
                yield [i]
                time.sleep(0.005)
    """
)
NAMES = [d.name for d in DTYPES]


def write(folder, name, code, classname, **parameters):
    place = folder / name / "1"
    place.mkdir(parents=True)
    (place / f"{name}.py").write_text(code)
    lines = ["runtime: python", f"class: {name}:{classname}"]
    if parameters:
        lines.append("parameters: " + json.dumps(parameters))
    (folder / name / "model.yaml").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return tmp_path_factory.mktemp("count") / "record"


@pytest.fixture(scope="module")
def server(tmp_path_factory, record):
    folder = tmp_path_factory.mktemp("triton")
    repository = models.acts(folder / "models", seconds=0.3, quick=True, more=["instances: 1"])
    (repository / "affine" / "1").mkdir(parents=True)
    models.affine(repository / "affine" / "1" / "affine.onnx")
    write(repository, "echo", ECHO % NAMES, "Echo")
    write(repository, "count", COUNT, "Count", record=str(record))
    with serving(folder / "server", repository, "--log-format", "json", traces=True) as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    with triton.InferenceServerClient(server.grpc) as client:
        yield client


def inputs(**arrays):
    found = []
    for name, array in arrays.items():
        one = triton.InferInput(name, list(array.shape), _datatype(array))
        one.set_data_from_numpy(array)
        found.append(one)
    return found


def _datatype(array):
    return next(d.name for d in DTYPES if d.numpy == array.dtype)


X = np.arange(8, dtype=np.float32).reshape(2, 4)


def test_health_and_metadata(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("affine")
    assert client.is_model_ready("affine", "1")
    assert client.get_server_metadata().name == "inferd"
    metadata = client.get_model_metadata("affine", as_json=True)
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": ["-1", "4"]}]


def test_configuration_statistics_and_index(client):
    client.infer("affine", inputs(x=X))
    config = client.get_model_config("affine").config
    (statistics,) = client.get_inference_statistics("affine").model_stats
    names = {m.name: m.state for m in client.get_model_repository_index().models}

    assert config.input[0].name == "x"
    assert list(config.input[0].dims) == [4]
    assert client.get_model_config("count").config.model_transaction_policy.decoupled
    assert statistics.inference_stats.success.count >= 1
    assert statistics.inference_count >= 2
    assert names == dict.fromkeys(("acts", "affine", "count", "echo"), "READY")


def test_what_is_not_offered(client):
    for refused in (
        lambda: client.load_model("affine"),
        lambda: client.unload_model("affine"),
        client.get_trace_settings,
        client.get_log_settings,
        lambda: client.register_system_shared_memory("a", "/a", 8),
    ):
        with pytest.raises(InferenceServerException) as caught:
            refused()
        assert caught.value.status() in ("StatusCode.PERMISSION_DENIED", "StatusCode.UNIMPLEMENTED")
    assert not client.get_system_shared_memory_status().regions


def test_infer(client):
    answer = client.infer(
        "affine", inputs(x=X), "1", [triton.InferRequestedOutput("y")], request_id="42",
        priority=1, timeout=5_000_000, headers={"x-request-id": "abc"}, client_timeout=20,
    )  # fmt: skip

    np.testing.assert_array_equal(answer.as_numpy("y"), 2 * X + 1)
    assert answer.get_response().id == "42"
    assert (answer.get_response().model_name, answer.get_response().model_version) == (
        "affine", "1",
    )  # fmt: skip


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests(client, algorithm):
    x = np.zeros((2000, 4), np.float32)
    answer = client.infer("affine", inputs(x=x), compression_algorithm=algorithm)

    np.testing.assert_array_equal(answer.as_numpy("y"), 2 * x + 1)


def test_classification(client):
    outputs = [triton.InferRequestedOutput("y", class_count=2)]
    answer = client.infer("affine", inputs(x=X), outputs=outputs).as_numpy("y")

    assert answer.tolist() == [[b"7.0:3", b"5.0:2"], [b"15.0:3", b"13.0:2"]]


def test_async_infer(client):
    answers = queue.Queue()
    for i in range(20):
        client.async_infer(
            "affine", inputs(x=np.full((1, 4), i, np.float32)), request_id=str(i),
            callback=lambda result, error: answers.put((result, error)),
        )  # fmt: skip
    for _ in range(20):
        result, error = answers.get(timeout=20)
        assert error is None
        assert result.as_numpy("y")[0, 0] == 2 * int(result.get_response().id) + 1


def test_the_asyncio_client(server):
    async def ask():
        async with triton_aio.InferenceServerClient(server.grpc) as client:
            assert await client.is_model_ready("affine")
            several = await asyncio.gather(
                *(
                    client.infer("affine", inputs(x=np.full((1, 4), i, np.float32)))
                    for i in range(20)
                )
            )
            assert [r.as_numpy("y")[0, 0] for r in several] == [2 * i + 1 for i in range(20)]

            async def requests():
                for i in range(5):
                    x = np.full((1, 4), i, np.float32)
                    yield {"model_name": "affine", "inputs": inputs(x=x), "request_id": str(i)}

            async for result, error in client.stream_infer(requests()):
                assert error is None
                i = int(result.get_response().id)
                assert result.as_numpy("y")[0, 0] == 2 * i + 1

    asyncio.run(ask())


def streamed(client, *requests, stop=1, **start):
    """Send requests on a stream; return what came back until ``stop`` ends were seen."""
    answers, found = queue.Queue(), []
    client.start_stream(callback=lambda result, error: answers.put((result, error)), **start)
    try:
        for request in requests:
            client.async_stream_infer(**request)
        while stop:
            result, error = answers.get(timeout=20)
            found.append((result, error))
            final = error is not None or _is_final(result)
            stop -= final
    finally:
        client.stop_stream(cancel_requests=True)
    return found


def _is_final(result):
    return result.get_response().parameters["triton_final_response"].bool_param


def test_a_stream_of_requests(client):
    requests = [
        {"model_name": "affine", "inputs": inputs(x=np.full((1, 4), i, np.float32)),
         "request_id": str(i), "enable_empty_final_response": True}
        for i in range(10)
    ]  # fmt: skip
    requests.append({"model_name": "nobody", "inputs": inputs(x=X), "request_id": "x"})
    found = streamed(client, *requests, stop=11)

    answers = {r.get_response().id: r.as_numpy("y")[0, 0] for r, error in found if not error}
    assert answers == {str(i): 2 * i + 1 for i in range(10)}
    (said,) = [str(error) for _, error in found if error]
    assert "no model named 'nobody'" in said


def test_a_model_that_answers_in_pieces(client):
    found = streamed(
        client,
        {"model_name": "count", "inputs": inputs(n=np.array([5])), "request_id": "a",
         "enable_empty_final_response": True},
    )  # fmt: skip

    assert [r.as_numpy("i").tolist() for r, _ in found[:-1]] == [[i] for i in range(5)]
    assert found[-1][0].as_numpy("i") is None
    assert {r.get_response().id for r, _ in found} == {"a"}


def test_pieces_of_two_requests_are_each_in_order(client):
    found = streamed(
        client,
        *(
            {"model_name": "count", "inputs": inputs(n=np.array([8])), "request_id": id,
             "enable_empty_final_response": True}
            for id in "ab"
        ),
        stop=2,
    )  # fmt: skip

    for id in "ab":
        own = [r.as_numpy("i") for r, _ in found if r.get_response().id == id]
        assert [int(i[0]) for i in own if i is not None] == list(range(8))


def test_a_client_that_leaves_stops_the_generation(client, server, record):
    answers = queue.Queue()
    client.start_stream(callback=lambda result, error: answers.put((result, error)))
    client.async_stream_infer("count", inputs(n=np.array([100_000])))
    for _ in range(3):
        assert answers.get(timeout=20)[1] is None
    client.stop_stream(cancel_requests=True)

    until(lambda: server.metrics()["inferd_in_flight"] == 0, 5)
    time.sleep(0.05)
    last = record.read_text()
    time.sleep(0.1)
    assert record.read_text() == last


def test_strict_errors_end_the_stream(client):
    found = streamed(
        client, {"model_name": "nobody", "inputs": inputs(x=X)}, headers={"triton_grpc_error": "true"}
    )  # fmt: skip

    assert found[0][1].status() == "StatusCode.NOT_FOUND"


ERRORS = {
    "unknown model": ("nobody", {"x": X}, "NOT_FOUND"),
    "unknown input": ("affine", {"z": X}, "INVALID_ARGUMENT"),
    "other datatype": ("affine", {"x": X.astype(np.float64)}, "INVALID_ARGUMENT"),
    "other shape": ("affine", {"x": X[:, :3]}, "INVALID_ARGUMENT"),
    "the model's": ("acts", {"x": np.full((1, 4), models.RAISES, np.float32)}, "INTERNAL"),
}


@pytest.mark.parametrize(("model", "arrays", "status"), ERRORS.values(), ids=ERRORS)
def test_errors_are_those_of_http(client, model, arrays, status):
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, inputs(**arrays))

    assert caught.value.status() == f"StatusCode.{status}"


def test_the_deadline_of_a_call_reaches_queue_and_worker(client, server):
    before = server.metrics().get('inferd_expired_total{model="acts",version="1"}', 0)
    begin = time.monotonic()
    with pytest.raises(InferenceServerException) as caught:
        client.infer("acts", inputs(x=X[:1]), client_timeout=0.1)

    assert caught.value.status() == "StatusCode.DEADLINE_EXCEEDED"
    assert time.monotonic() - begin < 1
    until(lambda: server.metrics()["inferd_in_flight"] == 0, 5)
    with pytest.raises(InferenceServerException) as caught:
        client.infer("acts", inputs(x=X[:1]), timeout=100_000)
    assert caught.value.status() == "StatusCode.DEADLINE_EXCEEDED"
    assert "deadline passed" in str(caught.value)
    assert server.metrics()['inferd_expired_total{model="acts",version="1"}'] > before


def test_a_cancelled_call_is_dropped_before_it_runs(client, server):
    before = server.metrics()["inferd_cancelled_total"]
    first = client.async_infer("acts", inputs(x=X[:1]), callback=lambda result, error: None)
    waiting = client.async_infer("acts", inputs(x=X[:1]), callback=lambda result, error: None)
    time.sleep(0.05)
    waiting.cancel()
    first.cancel()

    until(lambda: server.metrics()["inferd_cancelled_total"] == before + 2, 5)
    until(lambda: server.metrics()["inferd_in_flight"] == 0, 5)


def test_requests_are_counted_and_logged_as_over_http(client, server):
    before = server.metrics()
    client.infer("affine", inputs(x=X), headers={"x-request-id": "logged-1"})
    after = server.metrics()

    name = 'inferd_requests_total{door="oip_grpc",model="affine",status="200",version="1"}'
    assert after[name] == before.get(name, 0) + 1
    assert after["inferd_answered_total"] == before["inferd_answered_total"] + 1
    until(lambda: "logged-1" in server.access, 5)
    (line,) = [json.loads(r) for r in server.access.splitlines() if "logged-1" in r]
    assert line["path"] == "/inference.GRPCInferenceService/ModelInfer"
    assert (line["status"], line["model"]) == (200, "affine")


def arrays(dtype, shape):
    if dtype is BYTES:
        count = int(np.prod(shape))
        return st.lists(st.binary(max_size=5), min_size=count, max_size=count).map(
            lambda texts: np.array([*texts, None], object)[:-1].reshape(shape)
        )
    return hnp.arrays(dtype.numpy, shape, elements=hnp.from_dtype(dtype.numpy))


SHAPES = st.tuples(st.integers(0, 3), st.integers(0, 3))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_datatype_comes_back_as_it_was(client, data):
    rows = data.draw(st.integers(1, 3))
    given_ = {
        d.name: data.draw(arrays(d, (rows, data.draw(st.integers(0, 3), "columns"))), d.name)
        for d in DTYPES
    }
    answer = client.infer("echo", inputs(**given_))

    for name, array in given_.items():
        back = answer.as_numpy(f"{name}_back")
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)


def test_values_at_the_edge(client):
    edge = {
        "INT64": np.array([[2**53 + 1, -(2**63), 2**63 - 1]]),
        "UINT64": np.array([[2**64 - 1, 0, 2**53 + 1]], np.uint64),
        "FP32": np.array([[np.nan, np.inf, -np.inf]], np.float32),
        "FP64": np.array([[np.nan, 1e308, -0.0]]),
        "BYTES": np.array([[b"\xff\xfe", b"", b"\x00"]], object),
    }
    rest = {d.name: np.zeros((1, 3), d.numpy) for d in DTYPES if d.name not in edge}
    answer = client.infer("echo", inputs(**edge, **rest))

    for name, array in edge.items():
        np.testing.assert_array_equal(answer.as_numpy(f"{name}_back"), array)
    assert np.signbit(answer.as_numpy("FP64_back")[0, 2])


def test_no_rows_are_answered_with_no_rows(client):
    answer = client.infer("affine", inputs(x=np.empty((0, 4), np.float32)))

    assert answer.as_numpy("y").shape == (0, 4)


def test_a_message_over_the_limit_is_refused(server):
    options = [("grpc.max_send_message_length", -1)]
    with triton.InferenceServerClient(server.grpc, channel_args=options) as client:
        with pytest.raises(InferenceServerException) as caught:
            client.infer("affine", inputs(x=np.zeros((4 * 1024 * 1024 + 9000, 4), np.float32)))
        assert caught.value.status() == "StatusCode.RESOURCE_EXHAUSTED"
        with pytest.raises(InferenceServerException) as caught:
            client.infer(
                "affine", inputs(x=np.zeros((4 * 1024 * 1024 + 9000, 4), np.float32)),
                compression_algorithm="gzip",
            )  # fmt: skip
        assert caught.value.status() == "StatusCode.RESOURCE_EXHAUSTED"


def test_plain_stubs_of_the_inference_service(server):
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    with grpc.insecure_channel(server.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        request = service_pb2.ModelInferRequest(model_name="affine")
        one = request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
        one.contents.fp32_contents.extend([1, 2, 3, 4])
        answer = stub.ModelInfer(request, timeout=20)

    assert np.frombuffer(answer.raw_output_contents[0], "<f4").tolist() == [3, 5, 7, 9]
