"""Metrics and access log of a running server: each request counted once, nothing lost."""

import json
import socket
import time

import pytest
from tests.system import models
from tests.system.serving import serving, until


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("instruments")
    path = models.acts(folder / "models", seconds=0.05, more=["instances: 1"])
    with serving(folder / "server", path, "--log-format", "json") as running:
        yield running


LABELS = 'model="acts",version="1"'


def change(server, act):
    """Return how ``act`` changed the metrics."""
    before = server.metrics()
    act()
    after = server.metrics()
    return {k: v - before.get(k, 0) for k, v in after.items() if v != before.get(k, 0)}


def test_an_answer_is_counted_once_in_every_place(server):
    changed = change(server, lambda: server.ask(data=[1, 2, 3, 4]))

    assert changed["inferd_accepted_total"] == 1
    assert changed["inferd_answered_total"] == 1
    assert changed[f"inferd_request_seconds_count{{{LABELS}}}"] == 1
    assert changed[f"inferd_batch_size_sum{{{LABELS}}}"] == 1
    assert "inferd_cancelled_total" not in changed


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/predict", b"{", "invalid_input"),
        ("/predict", b'{"data": [1]}', "invalid_input"),
        ("/models/nobody/predict", b"{}", "not_found"),
        ("/nowhere", b"{}", "not_found"),
    ],
    ids=["malformed", "wrong shape", "unknown model", "unknown route"],
)
def test_an_error_is_counted_by_its_kind(server, path, body, kind):
    changed = change(server, lambda: server.ask(path, body=body))

    errors = {k: v for k, v in changed.items() if k.startswith("inferd_errors_total")}
    assert len(errors) == 1
    ((name, count),) = errors.items()
    assert f'kind="{kind}"' in name
    assert count == 1
    assert changed["inferd_accepted_total"] == changed["inferd_answered_total"] == 1


def test_requests_are_accounted_for_with_their_batches(server):
    def told():
        (row,) = server.ask("/v2/models/acts/stats").json["model_stats"]
        stages = row["inference_stats"]
        return row["inference_count"], stages["success"]["count"], stages["fail"]["count"]

    before = told()
    server.ask(data=[[1, 2, 3, 4]] * 3)
    server.ask(data=[1, 2])
    server.ask("/v2/models/acts")
    server.ask("/v2/models/acts/versions/9")

    assert [now - was for was, now in zip(before, told(), strict=True)] == [3, 1, 1]


def test_a_client_that_leaves_is_counted_as_cancelled(server):
    def leave():
        body = b'{"data": [1, 2, 3, 4]}'
        head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
        with socket.create_connection(server.data) as sock:
            sock.sendall(head + body)
            time.sleep(0.02)
        until(lambda: server.metrics()["inferd_in_flight"] == 0, 5)

    changed = change(server, leave)

    assert changed["inferd_cancelled_total"] == 1
    assert changed["inferd_accepted_total"] == 1


REFUSED = {
    "version": (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, "unsupported"),
    "method": (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "unsupported"),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400, "invalid_input"),
    "target": (b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 9000), 414, "too_large"),
    "headers": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 101 + b"\r\n", 431, "too_large"),
    "expectation": (
        b"POST /predict HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n",
        417, "unsupported",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "status", "kind"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_before_it_is_a_request_is_counted_and_logged_once(
    server, sent, status, kind
):
    def ask():
        with socket.create_connection(server.data, timeout=10) as sock:
            sock.sendall(sent)
            assert sock.makefile("rb").readline().split()[1] == str(status).encode()

    def logged():
        rows = map(json.loads, server.access.splitlines())
        return [row for row in rows if row["path"] == "-" and row["status"] == status]

    before = len(logged())
    changed = change(server, ask)

    assert changed[f'inferd_errors_total{{kind="{kind}",model=""}}'] == 1
    assert "inferd_accepted_total" not in changed
    assert "inferd_answered_total" not in changed

    until(lambda: len(logged()) > before, 5)
    assert len(logged()) == before + 1
    line = logged()[-1]
    assert (line["method"], line["request_id"], line["model"]) == ("-", "-", "")
    assert line["bytes"] > 0


def test_accepted_is_answered_and_cancelled_and_in_flight(server):
    metrics = server.metrics()

    assert metrics["inferd_accepted_total"] == sum(
        metrics[f"inferd_{name}"] for name in ("answered_total", "cancelled_total", "in_flight")
    )


def test_memory_instances_and_readiness_are_told(server):
    metrics = server.metrics()

    assert metrics["inferd_ready"] == 1
    assert metrics[f"inferd_model_ready{{{LABELS}}}"] == 1
    assert metrics['inferd_front_memory_bytes{kind="rss"}'] > 10 << 20
    assert any(k.startswith("inferd_worker_memory_bytes") for k in metrics)
    assert any(k.startswith("inferd_instances") and 'state="ready"' in k for k in metrics)


def test_the_access_log_has_a_line_for_each_request(server):
    id = server.ask(data=[1, 2, 3, 4], headers={"X-Request-Id": "find-me"}).headers["X-Request-Id"]
    assert id == "find-me"

    until(lambda: '"request_id":"find-me"' in server.access, 5)
    (line,) = [json.loads(row) for row in server.access.splitlines() if "find-me" in row]

    assert line["status"] == 200
    assert line["model"] == "acts"
    assert line["path"] == "/predict"
    assert line["us"] >= line["run_us"] > 40_000
