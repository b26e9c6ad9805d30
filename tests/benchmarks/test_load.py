"""The load generator: responses found in any pieces, answers told apart, both loops."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from benchmarks.pool import Pool, request

from benchmarks import bodies, load

PLAIN = b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"result":1.5}'
TIGHT = b'HTTP/1.1 200 OK\r\ncontent-length:14\r\n\r\n{"result":1.5}'
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b'a\r\n{"result":\r\n4\r\n1.5}\r\n0\r\n\r\n'
)
FORMS = pytest.mark.parametrize(
    "data", [PLAIN, TIGHT, CHUNKED], ids=["length", "length-without-space", "chunked"]
)


@FORMS
def test_a_response_is_complete_at_its_last_byte_only(data: bytes) -> None:
    assert [n for n in range(len(data) + 1) if load.complete(data[:n])] == [len(data)]


@FORMS
def test_the_body_is_taken_out(data: bytes) -> None:
    assert load.body_of(data) == b'{"result":1.5}'


def test_only_200_has_a_body() -> None:
    assert load.body_of(b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n{}") == b""


def test_answers_of_other_requests_are_wrong() -> None:
    pool = Pool([b"", b""], np.array([[1.0], [2.0]], np.float32), np.ones(2))

    assert pool.wrong([0, 1], [b'{"result":[1.0]}', b'{"result":[2.0]}']) == 0
    assert pool.wrong([0, 1], [b'{"result":[2.0]}', b'{"result":[1.0]}']) == 2
    assert pool.wrong([0], [b'{"result":[[1.0]]}']) == 1
    assert pool.wrong([0], [b"no json"]) == 1


def test_lengths_are_those_of_sentences() -> None:
    lengths = bodies.lengths(2000)

    assert lengths.min() == 4
    assert lengths.max() == 128
    assert 18 <= np.median(lengths) <= 22


class _Doubles(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        value = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["data"]
        answer = json.dumps({"result": [2 * v for v in value]}).encode()
        self.send_response(503 if value[0] == 13 else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Doubles)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def _pool(*values: float) -> Pool:
    requests = [request(json.dumps({"data": [v]}).encode()) for v in values]
    expected = np.array([[2 * v] for v in values], np.float32)
    return Pool(requests, expected, np.full(len(values), 3))


@pytest.mark.parametrize("rate", [0, 200], ids=["closed", "open"])
def test_a_job_counts_and_checks(port: int, rate: int) -> None:
    job = {"port": port, "connections": 2, "seconds": 0.2, "warm": 0.0, "rate": rate}

    row, cursor = load.run_job(_pool(*range(100, 5000)), job, 0)

    assert row["answered"] == cursor > 0
    assert (row["wrong"], row["refused"], row["broken"], row["repeated"]) == (0, 0, 0, 0)
    assert row["units_rate"] == pytest.approx(3 * row["rate"])
    assert 0 < row["p50_ms"] <= row["p99_ms"]


def test_a_refusal_is_no_answer_and_a_wrong_answer_is_found(port: int) -> None:
    pool = _pool(*[13.0, 1.0] * 3000)
    pool.expected[1::2] = 7
    job = {"port": port, "connections": 1, "seconds": 0.1, "warm": 0.0}

    row, cursor = load.run_job(pool, job, 0)

    assert row["refused"] == -(-cursor // 2)
    assert row["wrong"] == cursor // 2
