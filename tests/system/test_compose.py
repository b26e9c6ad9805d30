"""What ``inferd compose`` writes for a pipeline of three services, run by Docker, Compose and NGINX."""

import asyncio
import concurrent.futures
import contextlib
import http.client
import itertools
import json
import secrets
import ssl
import time

import numpy as np
import pytest
import trustme
from tests.system import chained
from tests.system.serving import serving, until
from tests.system.stack import Stack, ask, call, free_port, running
from tests.system.traffic import Load, request, run, summary
from tritonclient.grpc import InferInput, aio
from tritonclient.utils import InferenceServerException

pytestmark = pytest.mark.timeout(400)

RATE = 50
RETRIES = {
    "maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}  # fmt: skip
"""gRPC's own retry policy: NGINX never sends a call again that it has sent."""
POLICY = (
    "grpc.service_config",
    json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": RETRIES}]}),
)
ROW = [1.0, 2.0, 3.0, 4.0]
CHAIN = "/models/chain/predict"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return chained.write(tmp_path_factory.mktemp("repository") / "models")


@pytest.fixture(scope="module")
def stack(engine, repository, tmp_path_factory):
    """Two replicas of the pipeline and of one of its models, one of the other, and NGINX."""
    folder = tmp_path_factory.mktemp("stack") / "compose"
    options = ("--services", "double,shift", "--replicas", "2", "--memory", "512m")
    with running(engine, folder, repository, *options) as made:
        yield made


def test_answers_are_those_of_one_process(stack, repository, tmp_path):
    rows = [[float(i), -1.5, 0.25, 1e6] for i in range(10)]
    body, headers = binary(rows)
    with serving(tmp_path / "server", repository) as server:
        apart = f"{stack.http[0]}:{stack.http[1]}", stack.grpc
        alone = f"{server.data[0]}:{server.data[1]}", server.grpc
        for row in rows:
            told = [ask(at, CHAIN, row).result for at in (stack.http, server.data)]
            called = [call(grpc, "chain", row) for _, grpc in (apart, alone)]
            assert [*told, *called] == [chained.expected(row)] * 4
        answers = [
            ask(at, "/v2/models/chain/infer", body=body, headers=headers)
            for at in (stack.http, server.data)
        ]
        lengths = [int(a.headers["Inference-Header-Content-Length"]) for a in answers]

    rows_told = [np.frombuffer(a.body[n:], np.float32).tolist() for a, n in zip(answers, lengths)]
    assert rows_told[0] == rows_told[1] == np.ravel([chained.expected(r) for r in rows]).tolist()


def binary(rows):
    """Return body and headers of a binary request of the Open Inference Protocol."""
    array = np.array(rows, dtype=np.float32)
    tensor = {"name": "x", "datatype": "FP32", "shape": array.shape,
              "parameters": {"binary_data_size": array.nbytes}}  # fmt: skip
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return head + array.tobytes(), {"Inference-Header-Content-Length": str(len(head))}


def test_one_trace_goes_through_all_hops(stack):
    trace = secrets.token_hex(16)
    parent = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"}
    assert ask(stack.http, CHAIN, ROW, headers=parent).result == chained.expected(ROW)
    assert call(stack.grpc, "chain", ROW, headers=parent) == chained.expected(ROW)

    def seen():
        found = {"nginx": sum(trace in line["traceparent"] for line in stack.lines("nginx")
                              if "traceparent" in line)}  # fmt: skip
        for service in stack.services():
            name = service.rpartition("-")[0]
            lines = [line for line in stack.lines(service) if line.get("trace_id") == trace]
            found[name] = found.get(name, 0) + len(lines)
        return found

    until(lambda: seen() == {"nginx": 2, "double": 2, "shift": 2, "chain": 2}, 10, every=0.2)


def test_metrics_are_reached_inside_and_the_control_plane_nowhere(stack):
    fetch = (
        "import urllib.request as r\n"
        "def told(url):\n"
        "    try:\n"
        "        return r.urlopen(url, timeout=3).status\n"
        "    except OSError as error:\n"
        "        return getattr(error, 'code', None) or type(error.reason).__name__\n"
        "print(told('http://double-1:8003/metrics'), told('http://double-1:8002/'),"
        " told('http://127.0.0.1:8002/'), told('http://double-1:8003/models'))"
    )

    assert stack.within("chain-1", fetch).split() == ["200", "ConnectionRefusedError", "200", "404"]
    for path in ("/metrics", "/docs", "/openapi.json"):
        assert ask(stack.http, path).status == 404
    assert ask(stack.http, "/v2/health/ready").status == 200


def test_pieces_come_as_they_are_made(stack):
    body = json.dumps({"data": "word", "parameters": {"words": 5, "seconds": 0.3}})
    kind = {"Accept": "text/event-stream", "Content-Type": "application/json"}
    times = []
    with contextlib.closing(http.client.HTTPConnection(*stack.http, timeout=30)) as connection:
        connection.request("POST", "/models/story/predict", body, kind)
        answer = connection.getresponse()
        while line := answer.readline():
            if line.startswith(b"data:"):
                times.append(time.monotonic())
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]

    assert len(times) == 5
    assert all(0.15 < gap < 0.6 for gap in gaps), gaps


class Traffic:
    """Requests over HTTP and calls over gRPC at a rate, for as long as something happens."""

    def __init__(self, stack):
        self.load = Load(stack.http, lambda i: request(CHAIN, [float(i), 1.0, 2.0, 3.0]))
        self._address = stack.grpc
        self.called = []

    def during(self, happens):
        """Let ``happens()`` run in a thread under traffic, with a second before and two after."""

        async def scene():
            over = asyncio.Event()
            tasks = [
                asyncio.create_task(self.load.open_loop(RATE, 240, stop=over)),
                asyncio.create_task(self._calls(over)),
            ]
            await asyncio.sleep(1)
            try:
                await asyncio.to_thread(happens)
                await asyncio.sleep(2)
            finally:
                over.set()
                await asyncio.gather(*tasks)

        run(scene())
        return self

    async def _calls(self, over):
        client = aio.InferenceServerClient(self._address, channel_args=[POLICY])
        pending = set()
        try:
            while not over.is_set():
                pending.add(asyncio.create_task(self._call(client)))
                await asyncio.sleep(5 / RATE)
            await asyncio.gather(*pending)
        finally:
            await client.close()

    async def _call(self, client):
        given = InferInput("x", [1, 4], "FP32").set_data_from_numpy(np.array([ROW], np.float32))
        try:
            answer = await client.infer("chain", [given])
            self.called.append(
                "" if answer.as_numpy("y")[0].tolist() == chained.expected(ROW) else "wrong"
            )
        except InferenceServerException as error:
            self.called.append(str(error))

    def wrong(self):
        """Return what did not get its right answer."""
        shots = [s for s in self.load.shots
                 if not s.ok or s.result != chained.expected([float(s.index), 1.0, 2.0, 3.0])]  # fmt: skip
        return [f"{s.status} {s.error} {s.body[:200]}" for s in shots] + [
            c for c in self.called if c
        ]

    def __str__(self):
        return f"HTTP {summary(self.load.shots)}; gRPC {len(self.called)} calls"


@pytest.mark.parametrize("service", ["double-1", "chain-1"])
def test_a_killed_replica_fails_no_request(stack, service):
    begun = stack.engine.inspect(stack.container(service), ".State.StartedAt")

    def kill():
        stack.kill(service)
        until(
            lambda: stack.engine.inspect(stack.container(service), ".State.StartedAt") != begun, 20
        )
        until(lambda: stack.health(service) == "healthy", 30, every=0.2)

    traffic = Traffic(stack).during(kill)
    print(f"\n{traffic}")

    assert traffic.wrong() == []
    assert len(traffic.load.shots) > RATE * 3


def test_a_rolling_restart_of_every_service_fails_no_request(stack):
    waves = [[name for name in stack.services() if name.endswith(end)] for end in ("-1", "-2")]
    before = {name: stack.container(name) for wave in waves for name in wave}
    took = []

    def roll():
        with concurrent.futures.ThreadPoolExecutor() as rolling:
            for wave in waves:  # of each service one replica; all services at once
                begin = time.monotonic()
                list(rolling.map(stack.roll, wave))
                took.append(f"{time.monotonic() - begin:.1f} s")

    traffic = Traffic(stack).during(roll)
    print(f"\n{traffic}; three replicas, then the other three: {took}")

    assert traffic.wrong() == []
    assert not {stack.container(name) for name in before} & set(before.values())
    assert len(before) == 6


@pytest.fixture
def secured(stack, repository, tmp_path):
    """One replica of one model behind NGINX that speaks TLS; its certificates and plain port."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    for name, blobs in (("cert", issued.cert_chain_pems), ("key", [issued.private_key_pem])):
        for blob in blobs:
            blob.write_to_path(tmp_path / f"{name}.pem", append=True)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    plain = free_port()
    made = Stack(
        stack.engine, tmp_path / "compose", repository / "double", "--replicas", "1",
        "--image", "double=models-double:latest", "--tls", f"{tmp_path}/cert.pem,{tmp_path}/key.pem",
        "--redirect-port", plain, "--server-name", "localhost",
    )  # fmt: skip
    try:
        made.up()
        yield made, tmp_path / "authority.pem", plain
    finally:
        made.down()


def test_nginx_speaks_tls(secured):
    stack, authority, plain = secured
    trusting = ssl.create_default_context(cafile=authority)
    address = ("localhost", stack.port)
    told = ask(address, "/models/double/predict", ROW, tls=trusting)
    moved = ask(("127.0.0.1", plain), "/models/double/predict", ROW)
    called = call(
        f"localhost:{stack.grpc_port}", "double", ROW, ssl=True, root_certificates=str(authority)
    )

    assert told.result == called == [2 * v + 1 for v in ROW]
    assert "max-age" in told.headers["Strict-Transport-Security"]
    assert (moved.status, moved.headers["Location"]) == (
        308, f"https://127.0.0.1:{stack.port}/models/double/predict",
    )  # fmt: skip
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(address, "/models/double/predict", ROW, tls=ssl.create_default_context())
