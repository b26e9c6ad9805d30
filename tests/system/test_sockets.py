"""What arrives broken on the wire: codings, lengths, halves of bodies, clients that leave a stream."""

import contextlib
import gzip
import json
import socket
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.codecs.fuzzing import mutated
from tests.system.fuzzed import repository
from tests.system.serving import serving, until

from inferd.codecs.accept import ranges
from inferd.codecs.media import JSON_LINES, JSON_LINES_NAMES

SECONDS = 5.0
MANY = settings(
    max_examples=150, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
GOOD = json.dumps({"data": [[1, 2, 3, 4], [5, 6, 7, 8]]}).encode()
PREDICT = "/models/numbers/predict"
REFUSED = {400, 406, 411, 413, 415}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sockets")
    with serving(folder / "server", repository(folder / "models")) as server:
        yield server


@pytest.fixture(autouse=True)
def at_rest(server):
    """Whatever a test did, the server is at rest and well soon after."""
    workers = {name: server.workers(name) for name in ("numbers", "story")}
    yield
    # The question itself is one request, on one connection.
    until(lambda: server.metrics()["inferd_in_flight"] <= 1, SECONDS)
    assert server.metrics()["inferd_receiving_bytes"] == 0
    assert not any(server.metrics_of("inferd_queue_items").values())
    assert {name: server.workers(name) for name in workers} == workers
    assert server.ask(PREDICT, [1, 2, 3, 4]).result == [3, 5, 7, 9]


def ask(server, path, body, headers):
    """Send raw bytes, read the answer to its end; return (status, head, body)."""
    with socket.create_connection(server.data, timeout=SECONDS) as sock:
        head = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close"]
        head += [f"{name}: {value}" for name, value in headers]
        head.append(f"Content-Length: {len(body)}")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := sock.recv(65536):
                answer += piece
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), head.decode("latin-1").lower(), rest


PACKED = [
    gzip.compress(GOOD), zlib.compress(GOOD), gzip.compress(gzip.compress(GOOD)), GOOD,
    gzip.compress(GOOD) + b"more", gzip.compress(GOOD[:20]) + gzip.compress(GOOD[20:]),
    zlib.compress(GOOD)[2:-4], gzip.compress(b""), b"", gzip.compress(b"0" * (200 << 20)),
]  # fmt: skip
CODINGS = [
    "gzip", "deflate", "x-gzip", "GZIP", "br", "identity", "gzip, gzip", "gzip, deflate", "", ",", "*",
    "gzip;q=1", "none", "gzip\t", "a" * 300,
]  # fmt: skip


@MANY
@given(
    body=st.sampled_from(PACKED) | mutated(PACKED[:3]),
    coding=st.sampled_from(CODINGS[:2]) | st.sampled_from(CODINGS),
    accepted=st.sampled_from(["gzip", "deflate;q=0", "*", "", "br, gzip;q=0.1", "identity;q=0"]),
)
def test_compressed_bodies(server, body, coding, accepted):
    sent = [("Content-Type", "application/json"), ("Accept-Encoding", accepted)]

    status, head, answer = ask(server, PREDICT, body, [*sent, ("Content-Encoding", coding)])

    assert status == 200 or status in REFUSED, head
    if status == 200 and "content-encoding: gzip" in head:
        answer = gzip.decompress(answer)
    if status == 200:
        assert json.loads(answer)["result"]


LENGTHS = [
    "-1", "0", "1", "7", "100000", "999999999999", "9" * 30, "abc", "1e3", "0x10", "+5", "", " 12 ",
    "1,2", "\xb2",
]  # fmt: skip


@MANY
@given(
    size=st.sampled_from(LENGTHS) | st.integers(0, 400).map(str),
    tail=st.binary(max_size=40),
    path=st.sampled_from(["/v2/models/numbers/infer", "/v2/models/several/infer", PREDICT]),
    media=st.sampled_from(["application/octet-stream", "application/json", "text/csv"]),
)
def test_json_parts_of_any_said_length(server, size, tail, path, media):
    text = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,4],"parameters":{"binary_data_size":16}}]}'
    sent = [("Content-Type", media), ("Inference-Header-Content-Length", size)]

    status, head, _ = ask(server, path, text + tail, sent)

    assert status == 200 or status in REFUSED, head


ACCEPTED = [
    "application/json", "text/csv", "application/x-npy", "application/x-npz", "application/jsonlines",
    "text/event-stream", "application/x-ndjson", "text/plain", "image/png", "*/*", "text/*",
    "application/octet-stream", "*", "/", "", "a/b;q=x", "application/*;q=0.5", "text/csv;q=0",
    "application/json;q=0.1", "\xff/\xff",
]  # fmt: skip


@MANY
@given(
    accept=st.lists(st.sampled_from(ACCEPTED), max_size=4).map(", ".join),
    model=st.sampled_from(["numbers", "several", "story", "texts"]),
    path=st.sampled_from(
        ["/models/{}/predict", "/endpoints/{}/invocations", "/endpoints/{}/invocations-response-stream",
         "/v2/models/{}/generate_stream", "/v1/models/{}:predict"]
    ),
)  # fmt: skip
def test_any_accept(server, accept, model, path):
    value = {
        "numbers": [1, 2, 3, 4], "several": {"a": [1, 2], "b": 3, "c": "x"}, "story": "a", "texts": "b",
    }[model]  # fmt: skip
    inputs = {
        "numbers": {"x": value},
        "several": value,
        "story": {"prompt": value},
        "texts": {"text": value},
    }
    body = {"data": value}
    if "generate" in path:
        body = inputs[model]
    if ":predict" in path:
        body = {"instances": [value]}
    sent = [("Content-Type", "application/json"), ("Accept", accept)]

    status, head, _ = ask(server, path.format(model), json.dumps(body).encode(), sent)

    assert status == 200 or status in REFUSED, head
    if status == 200 and path.endswith("/invocations") and ranges(accept):
        media = head.partition("content-type: ")[2].partition("\r\n")[0].partition(";")[0]
        names = [media, *(JSON_LINES_NAMES if media == JSON_LINES else ())]  # it has several
        assert any(r.weight and r.precision(n) for r in ranges(accept) for n in names), accept


@pytest.mark.parametrize("coding", [None, "gzip"], ids=["plain", "gzip"])
def test_half_of_a_body_and_then_nothing(server, coding):
    body = gzip.compress(GOOD) if coding else GOOD
    more = f"Content-Encoding: {coding}\r\n" if coding else ""
    head = (
        f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    )

    for at in range(200):
        with socket.create_connection(server.data, timeout=SECONDS) as sock:
            sock.sendall((head.encode() + body)[: len(head) - 5 + at % (len(body) + 4)])

    assert server.ask(PREDICT, [1, 2, 3, 4]).status == 200


STREAMS = {
    "/v2/models/story/generate_stream": {"prompt": "slow", "max_tokens": 400},
    "/models/story/predict": {"data": "slow", "parameters": {"max_tokens": 400}},
    "/v1/chat/completions": {
        "model": "story", "stream": True, "max_tokens": 400,
        "messages": [{"role": "user", "content": "slow"}],
    },
    "/endpoints/story/invocations-response-stream": {"inputs": "slow", "parameters": {"max_tokens": 400}},
}  # fmt: skip


def test_500_streams_closed_midway_leave_every_place_free(server):
    """Each in another place: before its head, at its head, after some of its pieces."""
    for number in range(500):
        path, value = list(STREAMS.items())[number % len(STREAMS)]
        body = json.dumps(value).encode()
        with socket.create_connection(server.data, timeout=SECONDS) as sock:
            sock.sendall(
                f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream, */*\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            for _ in range(number % 4):
                assert sock.recv(4096)

    def told():
        """How many stories are being told, as the model itself says: this one alone."""
        return server.ask("/models/story/predict", "quick").result.split()[-1]

    until(lambda: told() == "7/1", SECONDS)
