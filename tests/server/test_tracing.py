"""Traces of a running server, as a collector sees them: over every kind of door."""

import contextlib
import http.client
import json
import os
import time

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tests.server.collector import INTERNAL, SERVER, collecting
from tests.system import models
from tests.system.serving import run, serving, until

TALK = """
import time
from collections.abc import Iterator
from inferd import Model

class Talk(Model):
    def predict(self, prompt: str) -> Iterator[str]:
        for i in range(3):
            time.sleep(0.02)
            yield f"{prompt}{i} "
"""
INFER = "POST /models/{name}/predict"
MODEL_INFER = "inference.GRPCInferenceService/ModelInfer"


@pytest.fixture(scope="module")
def collector():
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = models.acts(tmp_path_factory.mktemp("tracing"), seconds=0.01)
    (folder / "talk" / "1").mkdir(parents=True)
    (folder / "talk" / "1" / "talk.py").write_text(TALK)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory, repository, collector):
    with serving(
        tmp_path_factory.mktemp("served"), repository, "--trace-exporter", "otlp", "--log-format",
        "json", env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "tests"},
        traces=True,
    ) as running:  # fmt: skip
        yield running


def context(*, sampled=True):
    """Return a caller's place: trace id, span id, ``traceparent``."""
    trace_id, span_id = os.urandom(16).hex(), os.urandom(8).hex()
    return trace_id, span_id, f"00-{trace_id}-{span_id}-{'01' if sampled else '00'}"


def check_shape(spans, caller):
    """Check that spans are one tree below the caller, children within their parents' times."""
    by_id = {span.id: span for span in spans}
    assert len(by_id) == len(spans)
    (top,) = [span for span in spans if span.parent == caller]
    for span in spans:
        assert span.start <= span.end
        if span is not top:
            above = by_id[span.parent]
            assert above.start <= span.start <= span.end <= above.end, (above, span)
    return top


def below(spans, top):
    return [span for span in spans if span.parent == top.id]


def stages(spans, top):
    """Return the names of the stages below a span, but for the one that may have taken no time."""
    return [span.name for span in below(spans, top) if span.name != "batch"]


def test_a_request_is_a_span_with_its_stages_below_the_callers(server, collector):
    trace_id, caller, parent = context()
    before = time.time_ns()
    answer = server.ask(
        "/models/acts/predict", data=[[1, 2, 3, 4]] * 2,
        headers={"traceparent": parent, "tracestate": "a=1,b=2", "X-Request-Id": "mine"},
    )  # fmt: skip
    assert answer.status == 200
    spans = collector.wait(trace_id)
    top = check_shape(spans, caller)

    assert (top.name, top.kind, top.state, top.failed) == (INFER, SERVER, "a=1,b=2", False)
    assert before <= top.start <= top.end <= time.time_ns()
    expected = {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.response.body.size": len(answer.body),
        "http.route": "/models/{name}/predict",
        "url.path": "/models/acts/predict",
        "url.scheme": "http",
        "client.address": "127.0.0.1",
        "inferd.model": "acts",
        "inferd.version": "1",
        "inferd.door": "simple",
        "inferd.request.id": "mine",
        "inferd.batch.size": 2,
    }
    assert expected.items() <= top.attributes.items()
    assert stages(spans, top) == ["queue", "run"]
    ran = spans[-1]
    assert (ran.name, ran.kind, ran.attributes) == ("run", INTERNAL, {"inferd.batch.size": 2})
    assert ran.end - ran.start >= 10_000_000
    assert top.resource["service.name"] == "tests"
    assert {path for path, _ in collector.requests} == {"/v1/traces"}


def test_a_request_without_a_context_begins_a_trace_that_the_log_names(server, collector):
    server.ask("/models/acts/predict", data=[1, 2, 3, 4], headers={"X-Request-Id": "begins"})
    until(lambda: "begins" in server.access, 5)
    (row,) = [json.loads(r) for r in server.access.splitlines() if "begins" in r]
    spans = collector.wait(row["trace_id"])

    assert check_shape(spans, "").attributes["inferd.request.id"] == "begins"


def test_requests_on_one_connection_have_each_their_own_context(server, collector):
    sent = [context() for _ in range(5)]
    host, port = server.data
    with contextlib.closing(http.client.HTTPConnection(host, port, timeout=20)) as connection:
        for _, _, parent in sent:
            connection.request(
                "POST", "/models/acts/predict", b'{"data": [1, 2, 3, 4]}',
                {"Content-Type": "application/json", "traceparent": parent},
            )  # fmt: skip
            assert connection.getresponse().read()

    for trace_id, caller, _ in sent:
        spans = collector.wait(trace_id)
        check_shape(spans, caller)
        assert len([s for s in spans if s.kind == SERVER]) == 1


ERRORS = {
    "the model's": ("/models/acts/predict", b'{"data": [-2, 0, 0, 0]}', 500, "model_failed", True),
    "the client's": ("/models/acts/predict", b'{"data": [1]}', 400, "invalid_input", False),
    "unknown model": ("/models/no/predict", b'{"data": [1]}', 404, "not_found", False),
    "unknown route": ("/no/such/route", b"{}", 404, "not_found", False),
}


@pytest.mark.parametrize(("path", "body", "status", "kind", "failed"), ERRORS.values(), ids=ERRORS)
def test_an_error_is_told_by_its_kind(server, collector, path, body, status, kind, failed):
    trace_id, caller, parent = context()
    assert server.ask(path, body=body, headers={"traceparent": parent}).status == status
    top = check_shape(collector.wait(trace_id), caller)

    assert (top.attributes["error.type"], top.failed) == (kind, failed)
    assert top.attributes["http.response.status_code"] == status


def test_what_the_caller_does_not_trace_is_not_traced(server, collector):
    unseen, _, parent = context(sampled=False)
    server.ask("/models/acts/predict", data=[1, 2, 3, 4], headers={"traceparent": parent})
    trace_id, _, parent = context()
    server.ask("/models/acts/predict", data=[1, 2, 3, 4], headers={"traceparent": parent})
    collector.wait(trace_id)

    assert collector.of(unseen) == []


@pytest.mark.parametrize(
    "parent", ["", "nonsense", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "ff" + "-1" * 3],
    ids=["empty", "nonsense", "zeros", "version"],
)  # fmt: skip
def test_a_context_that_is_none_is_as_none(server, collector, parent):
    id = f"bad-{len(parent)}"
    headers = {"traceparent": parent, "X-Request-Id": id}
    assert server.ask("/models/acts/predict", data=[1, 2, 3, 4], headers=headers).status == 200
    until(lambda: any(s.attributes.get("inferd.request.id") == id for s in collector.spans), 10)
    (top,) = [s for s in collector.spans if s.attributes.get("inferd.request.id") == id]

    assert top.parent == ""


def test_probes_of_health_are_not_traced(server, collector):
    trace_id, _, parent = context()
    for path in ("/healthz", "/readyz"):
        assert server.ask(path, headers={"traceparent": parent}).status == 200
    other, _, parent = context()
    server.ask("/models/acts/predict", data=[1, 2, 3, 4], headers={"traceparent": parent})
    collector.wait(other)

    assert collector.of(trace_id) == []


def test_a_stream_is_a_span_until_its_end(server, collector):
    trace_id, caller, parent = context()
    answer = server.ask(
        "/models/talk/predict", body=b'{"data": "a"}',
        headers={"traceparent": parent, "Accept": "text/event-stream"},
    )  # fmt: skip
    assert (answer.status, answer.body.count(b"data:")) == (200, 3)
    top = check_shape(collector.wait(trace_id), caller)

    assert top.end - top.start >= 60_000_000


def one(x):
    tensor = triton.InferInput("x", [1, 4], "FP32")
    tensor.set_data_from_numpy(np.array([x], np.float32))
    return [tensor]


def test_a_call_over_grpc_is_traced(server, collector):
    trace_id, caller, parent = context()
    with contextlib.closing(triton.InferenceServerClient(server.grpc)) as client:
        client.infer("acts", one([1, 2, 3, 4]), headers={"traceparent": parent})
    spans = collector.wait(trace_id)
    top = check_shape(spans, caller)

    assert (top.name, top.kind) == (MODEL_INFER, SERVER)
    expected = {
        "rpc.system": "grpc",
        "rpc.service": "inference.GRPCInferenceService",
        "rpc.method": "ModelInfer",
        "rpc.grpc.status_code": 0,
        "inferd.model": "acts",
        "inferd.batch.size": 1,
    }
    assert expected.items() <= top.attributes.items()
    assert stages(spans, top) == ["queue", "run"]


def test_an_error_over_grpc_has_the_status_of_grpc(server, collector):
    trace_id, caller, parent = context()
    with contextlib.closing(triton.InferenceServerClient(server.grpc)) as client:
        with pytest.raises(triton.InferenceServerException):
            client.infer("none", one([1, 2, 3, 4]), headers={"traceparent": parent})
    top = check_shape(collector.wait(trace_id), caller)

    assert top.attributes["rpc.grpc.status_code"] == grpc.StatusCode.NOT_FOUND.value[0]
    assert (top.attributes["error.type"], top.failed) == ("not_found", False)


def test_every_request_of_a_grpc_stream_is_a_span(server, collector):
    trace_id, caller, parent = context()
    answers = []
    with contextlib.closing(triton.InferenceServerClient(server.grpc)) as client:
        client.start_stream(
            lambda result, error: answers.append(error), headers={"traceparent": parent}
        )
        for _ in range(3):
            client.async_stream_infer("acts", one([1, 2, 3, 4]))
        until(lambda: len(answers) == 3, 10)
        client.stop_stream()
    spans = collector.wait(trace_id, lambda found: sum(s.kind == SERVER for s in found) == 3)

    assert answers == [None] * 3
    assert {s.parent for s in spans if s.kind == SERVER} == {caller}


def test_what_became_of_the_spans_is_counted(server, collector):
    until(lambda: server.metrics()['inferd_spans_total{outcome="exported"}'] >= 4, 10)
    metrics = server.metrics()

    assert metrics['inferd_spans_total{outcome="failed"}'] == 0
    assert metrics['inferd_spans_total{outcome="dropped"}'] == 0


# -- the way out ----------------------------------------------------------------------------------


def test_what_waits_is_exported_when_the_server_stops(tmp_path, repository):
    path = tmp_path / "spans.jsonl"
    with serving(
        tmp_path / "server", repository, "--trace-exporter", "file", "--trace-file", path,
        "--trace-service-name", "filed",
    ) as running:  # fmt: skip
        trace_id, caller, parent = context()
        running.ask("/models/acts/predict", data=[1, 2, 3, 4], headers={"traceparent": parent})

    groups = [g for row in path.read_text().splitlines() for g in json.loads(row)["resourceSpans"]]
    names = {a["key"]: a["value"] for a in groups[0]["resource"]["attributes"]}
    spans = [s for g in groups for scope in g["scopeSpans"] for s in scope["spans"]]
    (top,) = [s for s in spans if s.get("parentSpanId") == caller]
    assert names["service.name"] == {"stringValue": "filed"}
    assert {s["traceId"] for s in spans} == {trace_id}
    assert [s["name"] for s in spans if s["name"] != "batch"] == [INFER, "queue", "run"]
    assert all(s["parentSpanId"] == top["spanId"] for s in spans[1:])


def test_a_collector_that_is_gone_or_hangs_harms_no_request_and_no_stop(tmp_path, repository):
    with collecting() as collector:
        collector.hold = 30.0
        with serving(
            tmp_path / "server", repository, "--trace-exporter", "otlp", "--trace-endpoint",
            collector.url,
        ) as running:  # fmt: skip
            for _ in range(20):
                assert running.ask("/models/acts/predict", data=[1, 2, 3, 4]).status == 200
            status, seconds = running.stop()
            assert (status, seconds < 10) == (0, True)
            assert "spans were lost" in running.log
        collector.hold = 0.0


def test_a_collector_that_refuses_is_told_of_once(tmp_path, repository):
    with collecting() as collector:
        collector.status = 400
        with serving(
            tmp_path / "server", repository, "--trace-exporter", "otlp", "--trace-endpoint",
            collector.url,
        ) as running:  # fmt: skip
            for _ in range(3):
                seen = len(collector.requests)
                assert running.ask("/models/acts/predict", data=[1, 2, 3, 4]).status == 200
                until(lambda: len(collector.requests) > seen, 10)
            until(lambda: running.metrics()['inferd_spans_total{outcome="failed"}'] >= 9, 5)
            (line,) = [row for row in running.log.splitlines() if "spans were lost" in row]
            assert "400" in line


REFUSED = {
    "no file": (["--trace-exporter", "file"], "add --trace-file PATH"),
    "no place": (["--trace-exporter", "file", "--trace-file", "/no/such/place"], "/no/such/place"),
    "no URL": (["--trace-exporter", "otlp", "--trace-endpoint", "tea"], "http://collector:4318"),
    "no share": (["--trace-exporter", "console", "--trace-sample", "2"], "not a share (0 to 1)"),
}


@pytest.mark.parametrize(("flags", "said"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_setting_is_refused_at_the_start(tmp_path, repository, flags, said):
    done = run("serve", repository, "--state-dir", tmp_path, *flags, "--port", 0, "--admin-port", 0,
               "--grpc-port", "off")  # fmt: skip

    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


# -- off ------------------------------------------------------------------------------------------

WATCHED = """
import atexit, os, sys
path = os.environ.get("MODULES")
if path and "serve" in sys.argv:
    atexit.register(lambda: open(path, "w").write("\\n".join(sys.modules)))
"""


def test_without_an_exporter_no_library_is_imported_and_the_log_still_names_traces(
    tmp_path, repository
):
    (tmp_path / "sitecustomize.py").write_text(WATCHED)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    modules = tmp_path / "modules"
    with serving(
        tmp_path / "server", repository, "--log-format", "json",
        env={"MODULES": str(modules), "PYTHONPATH": f"{_source()}{os.pathsep}{path}"},
    ) as running:  # fmt: skip
        trace_id, _, parent = context()
        running.ask("/models/acts/predict", data=[1, 2, 3, 4], headers={"traceparent": parent})
        running.ask("/models/acts/predict", data=[1, 2, 3, 4])
        until(lambda: running.access.count("/predict") == 2, 5)
        rows = [json.loads(row) for row in running.access.splitlines()]
        assert not any(name.startswith("inferd_spans") for name in running.metrics())

    assert [row.get("trace_id") for row in rows] == [trace_id, None]
    loaded = modules.read_text().split()
    assert "inferd.server.tracing" in loaded
    assert not [name for name in loaded if name.startswith("opentelemetry")]


def _source():
    from tests.system.serving import SOURCE

    return SOURCE
