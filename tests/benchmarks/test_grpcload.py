"""The load generator of gRPC against a server of gRPC's own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from benchmarks import calls, grpcload, http2

pb = pytest.importorskip("tritonclient.grpc").service_pb2
services = pytest.importorskip("tritonclient.grpc").service_pb2_grpc
PAUSE = 0.002


def _answer(request: pb.ModelInferRequest) -> pb.ModelInferResponse:
    row = np.frombuffer(request.raw_input_contents[0], np.float32)
    return pb.ModelInferResponse(raw_output_contents=[(2 * row).tobytes()])


class _Doubles(services.GRPCInferenceServiceServicer):
    def ModelInfer(self, request, context):
        time.sleep(PAUSE)
        if np.frombuffer(request.raw_input_contents[0], np.float32)[0] == 13:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return _answer(request)

    def ModelStreamInfer(self, requests, context):
        for request in requests:
            time.sleep(PAUSE)
            yield pb.ModelStreamInferResponse(infer_response=_answer(request))


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(8))
    services.add_GRPCInferenceServiceServicer_to_server(_Doubles(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(0).wait()


def _rows(*first: float) -> np.ndarray:
    return np.array([[value, 1, 2, 3] for value in first], np.float32)


def _job(port: int, seconds: float = 0.3) -> dict[str, object]:
    return {"port": port, "connections": 2, "streams": 2, "seconds": seconds, "warm": 0.0}


@pytest.mark.parametrize("name", ["G", "S"], ids=["unary", "streams"])
def test_a_job_counts_and_checks(port: int, name: str) -> None:
    rows = _rows(*range(100, 3000))

    row, cursor = grpcload.run_job(calls.build(name, rows, 2 * rows), _job(port), 0)

    assert row["answered"] == cursor > 4
    assert (row["wrong"], row["refused"], row["broken"], row["repeated"]) == (0, 0, 0, 0)
    assert 0 < row["p50_ms"] <= row["p99_ms"]


@pytest.mark.parametrize("name", ["G", "S"], ids=["unary", "streams"])
def test_more_is_sent_than_the_windows_of_the_beginning_allow(port: int, name: str) -> None:
    rows = np.ones((400, 4000), np.float32)

    row, _ = grpcload.run_job(calls.build(name, rows, 2 * rows), _job(port), 0)

    assert row["answered"] * rows[0].nbytes > 4 * http2.WINDOW_BYTES
    assert (row["wrong"], row["refused"], row["broken"]) == (0, 0, 0)


def test_a_refusal_is_no_answer_and_a_wrong_answer_is_found(port: int) -> None:
    rows = _rows(*[13, 1] * 1000)
    expected = 2 * rows
    expected[1::2] = 7

    row, cursor = grpcload.run_job(calls.build("G", rows, expected), _job(port), 0)

    assert row["refused"] == -(-cursor // 2)
    assert row["wrong"] == cursor // 2


def test_a_server_is_asked_whether_it_is_there(port: int) -> None:
    assert grpcload.ask(port, calls.message(_rows(1)[0])) == 200
    assert grpcload.ask(port, calls.message(_rows(13)[0])) == 0
    assert grpcload.ask(1, calls.message(_rows(1)[0])) == 0
