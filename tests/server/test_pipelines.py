"""Pipelines on a real server, asked by the clients of every dialect as a model is."""

import json
import socket
from contextlib import closing
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from tests.server.applications import everything, reading, write
from tests.system.serving import run, serving, until

from inferd import Client
from inferd.codecs.protobuf.messages import serving as messages
from inferd.codecs.protobuf.tensorproto import TENSOR
from inferd.codecs.protobuf.tensorproto import write as tensor

triton_http = pytest.importorskip("tritonclient.http")
triton_grpc = pytest.importorskip("tritonclient.grpc")
openai = pytest.importorskip("openai")
from tritonclient.utils import InferenceServerException  # noqa: E402

X = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)
BAD = np.array([[-2, 0, 0, 0]], np.float32)
ALIKE = pytest.mark.parametrize("model", ["double", "same"])
TOLD = "Ann one two three"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipelines")
    with serving(folder / "server", everything(folder / "models"), traces=True) as running:
        yield running


@pytest.fixture(scope="module")
def url(server):
    return f"http://{server.data[0]}:{server.data[1]}"


def post(url, path, body, **headers):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return httpx.post(
        url + path,
        content=body,
        headers={"Content-Type": "application/json", **headers},
        timeout=30,
    )


# -- one client, a model and a pipeline ---------------------------------------------------------------


def simple(server, url, model, x):
    return post(url, f"/models/{model}/predict", {"data": x.tolist()}).json()["result"]


def own_client(server, url, model, x):
    with Client(url) as client:
        return client.predict(model, x)["y"]


def tensor_bytes(server, url, model, x):
    head = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": list(x.shape),
                                   "parameters": {"binary_data_size": x.nbytes}}],
                       "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}).encode()  # fmt: skip
    told = {"Inference-Header-Content-Length": str(len(head))}
    answer = post(url, f"/v2/models/{model}/infer", head + x.tobytes(), **told)
    size = int(answer.headers["Inference-Header-Content-Length"])
    return np.frombuffer(answer.content[size:], np.float32).reshape(x.shape)


def v2_json(server, url, model, x):
    given = {"name": "x", "datatype": "FP32", "shape": list(x.shape), "data": x.ravel().tolist()}
    answer = post(url, f"/v2/models/{model}/infer", {"inputs": [given]}).json()
    (found,) = answer["outputs"]
    assert answer["model_name"] == model
    return np.array(found["data"]).reshape(found["shape"])


def tfs_rest(server, url, model, x):
    return post(url, f"/v1/models/{model}:predict", {"instances": x.tolist()}).json()["predictions"]


def tfs_grpc(server, url, model, x):
    message = messages("PredictRequest")()
    message.model_spec.name = model
    message.inputs["x"].CopyFrom(TENSOR.FromString(tensor(x)))
    path = "/tensorflow.serving.PredictionService/Predict"
    with grpc.insecure_channel(server.grpc) as channel:
        raw = channel.unary_unary(path)(message.SerializeToString(), timeout=30)
    found = messages("PredictResponse").FromString(raw).outputs["y"]
    return np.frombuffer(found.tensor_content, np.float32).reshape(x.shape) if (
        found.tensor_content
    ) else np.array(found.float_val, np.float32).reshape(x.shape)  # fmt: skip


def tritonclient_http(server, url, model, x):
    given = triton_http.InferInput("x", list(x.shape), "FP32").set_data_from_numpy(x)
    with triton_http.InferenceServerClient(url.removeprefix("http://")) as client:
        return client.infer(model, [given]).as_numpy("y")


def tritonclient_grpc(server, url, model, x):
    given = triton_grpc.InferInput("x", list(x.shape), "FP32").set_data_from_numpy(x)
    with triton_grpc.InferenceServerClient(server.grpc) as client:
        return client.infer(model, [given]).as_numpy("y")


CLIENTS = (
    simple, own_client, tensor_bytes, v2_json, tfs_rest, tfs_grpc, tritonclient_http, tritonclient_grpc,
)  # fmt: skip


@ALIKE
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
def test_a_client_of_a_model_works_against_the_pipeline(server, url, model, client):
    np.testing.assert_array_equal(np.asarray(client(server, url, model, X), np.float32), X * 2 + 1)


@ALIKE
def test_its_metadata_are_those_of_a_model(server, url, model):
    found = httpx.get(f"{url}/v2/models/{model}").json()
    assert found["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert found["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}]
    with triton_grpc.InferenceServerClient(server.grpc) as client:
        assert client.is_model_ready(model)
        assert client.get_model_metadata(model).inputs[0].shape == [-1, 4]
    told = httpx.get(f"{url}/v1/models/{model}").json()["model_version_status"]
    assert told[0]["state"] == "AVAILABLE"


# -- errors name the step, at every door ----------------------------------------------------------------

SAYS = "step 'keep': ValueError: a bad item"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/models/same/predict", {"data": BAD[0].tolist()}),
        ("/v2/models/same/infer", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4],
                                              "data": BAD[0].tolist()}]}),
        ("/v1/models/same:predict", {"instances": BAD.tolist()}),
    ],
    ids=["simple", "oip", "tfs"],
)  # fmt: skip
def test_a_step_that_raises_is_named(url, path, body):
    answer = post(url, path, body)
    assert answer.status_code == 500
    assert SAYS in answer.text


def test_a_step_that_raises_is_named_over_grpc(server, url):
    with pytest.raises(InferenceServerException, match=SAYS):
        tritonclient_grpc(server, url, "same", BAD)
    with pytest.raises(grpc.RpcError) as caught:
        tfs_grpc(server, url, "same", BAD)
    assert caught.value.code() is grpc.StatusCode.INTERNAL and SAYS in caught.value.details()


@pytest.mark.parametrize(
    ("x", "status", "says"),
    [
        ([1, 2, 3], 400, "must have shape [4], got [3]"),
        ([-1, 0, 0, 0], 500, "step 'read': step 'cut'"),
        ([-1.5, 0, 0, 0], 500, "step 'read': step 'cut': ValueError: a bad item"),
    ],
    ids=["shape", "worker ends", "nested"],
)
def test_what_is_wrong_inside_a_nested_one(url, x, status, says):
    answer = post(url, "/models/whole/predict", {"data": x})
    assert (answer.status_code, says in answer.text) == (status, True), answer.text


def test_a_step_that_hangs_ends_by_the_request_s_deadline(server, url):
    body = {"data": {"x": [-3, 0, 0, 0], "loud": False}}
    answer = post(url, "/models/reading/predict", body, **{"X-Request-Timeout": "300ms"})
    assert answer.status_code == 504
    assert "step 'cut'" in answer.text
    assert answer.elapsed.total_seconds() < 3


# -- what only pipelines have -------------------------------------------------------------------------


def result(url, x, loud=False, model="reading", **headers):
    answer = post(url, f"/models/{model}/predict", {"data": {"x": x, "loud": loud}}, **headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def test_lists_conditions_and_transforms(url):
    found = result(url, [2, 1, 1, 1], loud=True)
    assert (found["sum"], found["lengths"], found["text"]) == (28, [0, 1], "2 ROWS, PLAIN!")
    assert sum(found["likely"]) == pytest.approx(1)
    assert result(url, [0, 1, 1, 1])["text"] == "0 rows, plain"
    many = post(url, "/models/reading/predict",
                {"data": {"x": [[3, 0, 0, 0], [0, 0, 0, 0]], "loud": [False, True]}}).json()["result"]  # fmt: skip
    assert [(row["sum"], row["lengths"], row["text"]) for row in many] == [
        (30, [0, 1, 2], "3 rows, plain"), (0, [], "0 ROWS, PLAIN!"),
    ]  # fmt: skip


def test_a_pipeline_asks_another(url):
    assert post(url, "/models/whole/predict", {"data": [2, 1, 1, 1]}).json()["result"] == {
        "sum": 5 * (11 + 7 + 7 + 7), "text": "5 rows, plain",
    }  # fmt: skip


def test_the_time_of_each_step_is_told_where_it_is_asked_for(url):
    body = {"data": {"x": [2, 1, 1, 1], "loud": False}}
    assert "Server-Timing" not in post(url, "/models/reading/predict", body).headers
    told = post(url, "/models/reading/predict", body, **{"X-Server-Timing": "1"}).headers[
        "Server-Timing"
    ]
    names = [one.partition(";")[0] for one in told.split(", ")]
    assert names[:5] == ["decode", "queue", "batch", "run", "encode"]
    assert sorted(names[5:]) == [
        "step-cut",
        "step-double",
        "step-join",
        "step-likely",
    ]  # shout was skipped


def test_the_control_plane_shows_the_graph_and_its_times(server, url):
    result(url, [1, 1, 1, 1])
    found = server.describe("reading")
    assert [s["name"] for s in found["pipeline"]["steps"]] == [
        "cut",
        "double",
        "join",
        "likely",
        "shout",
    ]
    assert found["parts"] == ["double"] and found["in_front"] == ["likely"]
    assert found["step_times"]["double"]["runs"] >= 1
    assert [i["state"] for i in found["instances"]] == ["ready"]
    assert "steps: cut, double, join, likely, shout" in server.banner


def test_each_step_is_measured(server, url):
    def count(outcome, step):
        name = f'inferd_pipeline_step_seconds_count{{model="reading",outcome="{outcome}",step="{step}"}}'
        return server.metrics().get(name, 0)

    before = count("ok", "join"), count("skipped", "shout"), count("model_failed", "cut")
    result(url, [1, 1, 1, 1])
    post(url, "/models/reading/predict", {"data": {"x": [-2, 0, 0, 0], "loud": False}})
    after = count("ok", "join"), count("skipped", "shout"), count("model_failed", "cut")
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1]
    metrics = server.metrics()
    assert metrics['inferd_model_ready{model="reading",version="1"}'] == 1
    assert metrics['inferd_instances{model="reading",state="ready",version="1"}'] == 1


def test_the_stages_of_what_is_asked_are_those_of_the_models(server, url):
    def spent(model):
        found = server.metrics()
        names = (f'inferd_stage_seconds_{what}{{model="{model}",stage="{stage}",version="1"}}'
                 for what in ("count", "sum") for stage in ("queue", "run", "decode"))  # fmt: skip
        return [found.get(name, 0) for name in names]

    # "whole" asks the model, and a pipeline that asks it again.
    before = spent("double"), spent("reading")
    post(url, "/models/same/predict", {"data": [1, 1, 1, 1]})
    post(url, "/models/whole/predict", {"data": [2, 1, 1, 1]})
    after = spent("double"), spent("reading")
    double, reading = (
        [b - a for a, b in zip(*ab, strict=True)] for ab in zip(before, after, strict=True)
    )
    assert double[:3] == [3, 3, 0] and double[4] > 0
    assert reading[:3] == [1, 1, 0] and reading[4] > double[4] / 10


def test_rows_are_accounted_for(server, url):
    def told():
        (row,) = httpx.get(f"{url}/v2/models/same/stats").json()["model_stats"]
        with triton_grpc.InferenceServerClient(server.grpc) as client:
            (other,) = client.get_inference_statistics("same").model_stats
        assert (other.inference_count, other.execution_count) == (
            row["inference_count"], row["execution_count"],
        )  # fmt: skip
        return (
            row["inference_count"],
            row["execution_count"],
            row["inference_stats"]["success"]["count"],
        )

    before = told()
    post(url, "/models/same/predict", {"data": [1, 1, 1, 1]})
    post(url, "/models/same/predict", {"data": [[1, 1, 1, 1]] * 3})
    assert post(url, "/models/same/predict", {"data": BAD.tolist()}).status_code == 500
    assert [b - a for a, b in zip(before, told(), strict=True)] == [4, 2, 2]


def test_the_front_imports_no_library_for_its_steps(server):
    maps = Path(f"/proc/{server.pid}/maps").read_text()
    assert not [lib for lib in ("onnxruntime", "tokenizers") if lib in maps]


# -- in pieces ----------------------------------------------------------------------------------------

TELLS = pytest.mark.parametrize(
    ("model", "told"), [("teller", TOLD), ("telling", "Ann said one two three")]
)


@TELLS
def test_a_pipeline_streams_as_a_model_does(url, model, told):
    headers = {"Accept": "text/event-stream"}
    with httpx.stream(
        "POST", f"{url}/models/{model}/predict", json={"data": "Ann"}, headers=headers
    ) as answer:
        pieces = [json.loads(line[5:]) for line in answer.iter_lines() if line.startswith("data:")]
    texts = [piece["result"] for piece in pieces if "result" in piece]
    assert len(texts) == 4 and "".join(texts) == told


@TELLS
def test_openai_s_client_gets_completions_of_a_pipeline(url, model, told):
    with closing(openai.OpenAI(base_url=f"{url}/v1", api_key="-", max_retries=0)) as client:
        whole = client.completions.create(model=model, prompt="Ann")
        assert whole.choices[0].text == told
        with client.completions.create(model=model, prompt="Ann", stream=True) as stream:
            assert "".join(chunk.choices[0].text for chunk in stream if chunk.choices) == told


@TELLS
def test_a_pipeline_streams_over_grpc(server, model, told):
    import queue

    found = queue.Queue()
    text = np.array([b"Ann"], object)
    with triton_grpc.InferenceServerClient(server.grpc) as client:
        client.start_stream(lambda result, error: found.put(error or result))
        client.async_stream_infer(
            model, [triton_grpc.InferInput("prompt", [1], "BYTES").set_data_from_numpy(text)],
            enable_empty_final_response=True,
        )  # fmt: skip
        pieces = []
        while True:
            one = found.get(timeout=20)
            assert not isinstance(one, Exception), one
            array = one.as_numpy("text")
            if array is not None and array.size:
                pieces.append(array[0].decode())
            if one.get_response().parameters["triton_final_response"].bool_param:
                break
        client.stop_stream()
    assert "".join(pieces) == told


# -- by itself ------------------------------------------------------------------------------------------


def test_the_only_pipeline_answers_where_none_is_named(tmp_path):
    folder = reading(tmp_path) / "reading"
    with serving(tmp_path / "server", folder) as server:
        asked = {"x": [2, 1, 1, 1], "loud": True}
        assert server.ask(data=asked).result["text"] == "2 ROWS, PLAIN!"
        answer = server.ask("/invocations", body=json.dumps({"instances": [asked]}), headers=JSON)
        assert answer.json["predictions"][0]["sum"] == 28, answer.body
        assert server.ask("/ping").status == 200


def test_it_waits_for_a_service_and_answers_once_that_is_there(tmp_path):
    folder = everything(tmp_path / "models")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    deployment = tmp_path / "deployment.yaml"
    deployment.write_text(f"services:\n  double: {{url: 'http://127.0.0.1:{port}'}}\n")
    with serving(tmp_path / "front", folder / "same", "--deployment", deployment) as front:
        asked = front.ask(data=[1, 2, 3, 4])
        assert (asked.status, "waits for model 'double'" in asked.json["error"]["message"]) == (
            503,
            True,
        )
        with serving(tmp_path / "back", folder / "reading" / "double", "--port", port):
            until(lambda: front.ask("/readyz").status == 200, 15)
            assert front.ask(data=[1, 2, 3, 4]).result == [3, 5, 7, 9]
            found = front.metrics()
            assert found['inferd_service_requests_total{outcome="ok",service="double"}'] == 1
            assert found['inferd_service_replicas{service="double",state="up"}'] == 1
            assert found['inferd_service_breaker{service="double",state="closed"}'] == 1
            assert found['inferd_service_retries_total{service="double"}'] == 0
        gone = front.ask(data=[1, 2, 3, 4])
        assert (gone.status, "step 'double'" in gone.json["error"]["message"]) == (503, True)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"pipeline.yaml": "inputs: [x]\nsteps:\n  a: {model: doubel, inputs: {x: x}}\noutputs: {y: a.y}\n"},
         ("pipeline.yaml:3", "no model named 'doubel'", "did you mean 'double'?")),
        ({"pipeline.yaml": "inputs: [x]\nsteps:\n  a: {python: 'steps:cutt', inputs: {x: x}}\noutputs: {y: a.y}\n"},
         ("pipeline.yaml:3", "step 'a'", "has no 'cutt'")),
        ({"pipeline.yaml": "inputs: [x]\nsteps:\n  a: {python: 'more:f', inputs: {x: x}}\noutputs: {y: a.y}\n",
          "more.py": "def f(x): return x\n"},
         ("pipeline.yaml:3", "more.py:1: f: nothing says what 'x' is", "hint what it takes")),
        ({"pipeline.yaml": "inputs: {x: {dtype: float64, shape: [4]}}\nsteps:\n  a: {model: double, inputs: {x: x}}\n"
                           "outputs: {y: a.y}\n"},
         ("pipeline.yaml:3", "float32[4]", "float64[4]")),
        ({"pipeline.yaml": "inputs: [x]\nsteps:\n  a: {model: double, inputs: {x: x}}\noutputs: {y: a.y}\n",
          "model.yaml": "batching: auto\n"},
         ("model.yaml:1: batching", "means nothing for a pipeline")),
    ],
    ids=["model", "function", "hints", "types", "model.yaml"],
)  # fmt: skip
def test_a_pipeline_that_cannot_be_ends_the_start(tmp_path, files, says):
    write(reading(tmp_path) / "reading", files)
    ended = run("serve", tmp_path / "reading", "--port", 0, "--admin-port", 0, "--grpc-port", 0,
                "--state-dir", tmp_path / "state")  # fmt: skip
    assert ended.returncode in {1, 2}, ended.stderr
    assert [part for part in says if part not in ended.stderr] == [], ended.stderr
