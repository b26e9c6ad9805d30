import asyncio
import io
import threading

import numpy as np
import pytest
from tests.api.serving import Numpy, Server, headers, value, version
from tests.codecs.signatures import signature

from inferd.api.coding import compress, expand
from inferd.api.inference import server_timing
from inferd.api.offload import Inline
from inferd.api.settings import ApiSettings
from inferd.codecs.npy import NpyCodec
from inferd.core.errors import Overloaded
from inferd.core.message import Request, Response, StepTiming, Timings
from inferd.core.plan import BatchPlan

SMALL = ApiSettings(offload_bytes=200)


class Elsewhere(Inline):
    """An offload that remembers what it was given."""

    def __init__(self):
        self.doors = []

    async def decode(self, door, *rest):
        self.doors.append(("decode", door))
        return await super().decode(door, *rest)

    async def encode(self, door, *rest):
        self.doors.append(("encode", door))
        return await super().encode(door, *rest)


def wide(x):
    return {"y": np.tile(x, 100)}


@pytest.mark.parametrize(
    ("path", "media", "body", "door"),
    [
        ("/predict", "application/json", b'{"data": [1, 2, 3]' + b" " * 200 + b"}", "simple"),
        ("/predict", "text/csv", b"1,2,3\n" * 40, "text/csv"),
        (
            "/v2/models/m/infer",
            "application/json",
            b'{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}]'
            + b" " * 200 + b"}",
            "oip",
        ),
    ],
    ids=["simple", "csv", "oip"],
)  # fmt: skip
def test_large_bodies_and_answers_are_coded_elsewhere(path, media, body, door):
    offload = Elsewhere()
    server = Server(version(function=wide), settings=SMALL, offload=offload)

    response = server.post(path, body, content_type=media)

    assert response.status == 200
    assert offload.doors == [
        ("decode", door), ("encode", "oip" if door == "oip" else "simple"),
    ]  # fmt: skip


def test_what_is_slow_to_read_where_it_is_is_read_in_a_thread(monkeypatch):
    threads = []
    decode = NpyCodec.decode

    def seen(self, body):
        threads.append(threading.current_thread() is threading.main_thread())
        return decode(self, body)

    monkeypatch.setattr(NpyCodec, "decode", seen)
    server = Server(version(), settings=SMALL)
    for order in "CF":
        out = io.BytesIO()
        np.save(out, np.arange(300, dtype=np.float32).reshape(100, 3, order=order))
        response = server.post("/predict", out.getvalue(), content_type="application/x-npy")
        assert response.status == 200
    assert threads == [True, False]


def test_small_ones_are_not():
    offload = Elsewhere()
    server = Server(version(), settings=SMALL, offload=offload)

    assert server.post("/predict", {"data": [1, 2, 3]}).status == 200
    assert offload.doors == []


def test_errors_of_the_offload_are_answered():
    server = Server(version(), settings=SMALL)

    response = server.post("/predict", b'{"data": [1, 2]' + b" " * 200 + b"}")

    assert (response.status, value(response)["error"]["kind"]) == (400, "invalid_input")


def test_timings_are_told_when_asked_for():
    server = Server(version())

    asked = headers(server.post("/predict", {"data": [1, 2, 3]}, x_server_timing="1"))
    plain = headers(server.post("/predict", {"data": [1, 2, 3]}))

    assert asked["server-timing"] == (
        "decode;dur=0.000, queue;dur=1.000, batch;dur=2.000, run;dur=3.000, encode;dur=0.000"
    )
    assert "server-timing" not in plain


def test_timings_are_observed():
    server = Server(version())
    server.post("/predict", {"data": [1, 2, 3]})

    ((request, status, sent, seconds, timings, model),) = server.observed
    assert (status, sent, seconds, model) == (200, len(b'{"result":2.0}'), 0.5, "m")
    assert timings.run == 0.003
    assert request.context.version == "1"


async def pieces(*arrays):
    for array in arrays:
        yield {"y": np.array(array, np.float32)}


@pytest.mark.parametrize("data", [[1, 2, 3], [[1, 2, 3]]], ids=["one example", "a batch"])
def test_a_streamed_answer_is_awaited_where_it_is_wanted_whole(data):
    async def stream(request):
        return Response("m", "1", {}, Timings(), pieces([[1.0]], [[2.0, 3.0]]))

    sig = signature([("x", "FP32", [-1, 3])], [("y", "FP32", [-1, -1])])
    model = version(sig=sig)
    model.servable = stream

    response = Server(model).post("/predict", {"data": data})

    assert value(response)["result"] in ([1.0, 2.0, 3.0], [[1.0, 2.0, 3.0]])


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_bodies_are_coded_both_ways(coding):
    server = Server(version())
    body = compress(b'{"data": [1, 2, 6]}', coding)

    response = server.post("/predict", body, content_encoding=coding, accept_encoding=coding)

    assert expand(response.body, coding, 1000) == b'{"result":3.0}'
    assert (b"Content-Encoding", coding.encode()) in response.headers


def test_a_bomb_is_refused_before_it_is_one():
    body = compress(b" " * 2_000_000, "gzip")

    response = Server(version(), settings=ApiSettings(json_body_bytes=10_000)).post(
        "/predict", body, content_encoding="gzip"
    )

    assert response.status == 413


def test_a_small_answer_stays_as_it_is_for_who_reads_anything():
    response = Server(version()).post(
        "/predict", {"data": [1, 2, 6]}, accept_encoding="gzip, deflate, br"
    )

    assert response.body == b'{"result":3.0}'


def test_a_missing_output_is_the_models_fault():
    sig = signature([("x", "FP32", [-1, 3])], [("y", "FP32", [-1]), ("z", "FP32", [-1])])
    server = Server(version(sig=sig, function=lambda x: {"y": x[:, 0]}))

    response = server.post("/predict", {"data": [1, 2, 3], "outputs": ["z"]})

    assert (response.status, value(response)["error"]["kind"]) == (500, "model_failed")


def test_a_new_signature_gets_a_new_codec():
    model = version()
    server = Server(model)
    assert server.post("/predict", {"data": [1, 2, 3]}).status == 200

    server.table.put(version(sig=signature([("x", "FP32", [-1, 2])])))

    assert server.post("/predict", {"data": [1, 2, 3]}).status == 400
    assert server.post("/predict", {"data": [1, 2]}).status == 200


def test_a_row_that_is_refused_is_the_answer():
    sequences = signature([("ids", "INT64", [-1, -1])], [("y", "INT64", [-1, -1])])
    model = version(sig=sequences, plan=BatchPlan(split=True), error=Overloaded("full"))

    assert Server(model).post("/predict", {"data": [[1], [2, 3]]}).status == 429


def test_the_timings_of_rows_are_the_longest():
    sequences = signature([("ids", "INT64", [-1, -1])], [("y", "INT64", [-1, -1])])
    model = version(sig=sequences, function=lambda ids: {"y": ids})
    server = Server(model)

    response = server.post("/predict", {"data": [[1], [2, 3]]}, x_server_timing="1")

    assert "run;dur=3.000" in headers(response)["server-timing"]


def test_server_timing_is_in_milliseconds():
    name, text = server_timing(Timings(queue=0.0015))

    assert (name, text.split(b", ")[1]) == (b"Server-Timing", b"queue;dur=1.500")


def test_a_servable_of_the_tests_is_real():
    assert asyncio.run(Numpy(wide)(Request("m", {"x": np.ones(1)}))).outputs["y"].size == 100


def test_the_times_of_steps_follow_those_of_stages():
    steps = (
        StepTiming("cut", 1.0, 1.25), StepTiming("cut", 1.0, 1.5), StepTiming("say", 2.0, 2.0, skipped=True),
        StepTiming("ask!fallback", 2.0, 2.125, error="model_failed"),
    )  # fmt: skip
    name, value = server_timing(Timings(run=0.5, steps=steps))
    assert name == b"Server-Timing"
    assert value.decode().split(", ") == [
        "decode;dur=0.000", "queue;dur=0.000", "batch;dur=0.000", "run;dur=500.000", "encode;dur=0.000",
        "step-cut;dur=500.000", "step-ask-fallback;dur=125.000",
    ]  # fmt: skip
    assert b"step" not in server_timing(Timings())[1]
