import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from inferd.telemetry import table
from inferd.telemetry.exposition import render
from inferd.telemetry.metrics import Metrics, Reading


@pytest.fixture
def metrics():
    metrics = Metrics()
    metrics.counter(table.REQUESTS, 'ir"is\n', "1", "simple", "200").inc(7)
    metrics.gauge(table.READY).set(1)
    histogram = metrics.histogram(table.STAGE_SECONDS, "iris", "1", "run")
    histogram.observe_many([0.0001, 0.003, 100.0])
    metrics.provide(lambda: [Reading(table.IN_FLIGHT, (), 5)])
    metrics.provide(lambda: [Reading(table.FRONT_MEMORY, ("rss",), 9)], slow=True)
    return metrics


def samples(families):
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}


def test_prometheus_reads_back_what_was_counted(metrics):
    content_type, body = render(metrics.snapshot())
    found = samples(text_string_to_metric_families(body.decode()))

    assert content_type.startswith("text/plain; version=0.0.4")
    labels = {"model": 'ir"is\n', "version": "1", "door": "simple", "status": "200"}
    assert found["inferd_requests_total", tuple(sorted(labels.items()))] == 7
    assert found["inferd_ready", ()] == 1
    assert found["inferd_in_flight", ()] == 5
    assert found["inferd_front_memory_bytes", (("kind", "rss"),)] == 9


def test_histogram_buckets_are_cumulative(metrics):
    found = samples(text_string_to_metric_families(render(metrics.snapshot())[1].decode()))
    series = {"model": "iris", "version": "1", "stage": "run"}

    def bucket(le):
        key = tuple(sorted({**series, "le": le}.items()))
        return found["inferd_stage_seconds_bucket", key]

    assert bucket("0.0001") == 1
    assert bucket("0.005") == 2
    assert bucket("30.0") == 2
    assert bucket("+Inf") == 3
    assert found["inferd_stage_seconds_count", tuple(sorted(series.items()))] == 3
    assert found["inferd_stage_seconds_sum", tuple(sorted(series.items()))] == pytest.approx(
        100.0031
    )


def test_openmetrics_is_given_where_it_is_asked_for(metrics):
    accept = "application/openmetrics-text; version=1.0.0, text/plain; q=0.5"
    content_type, body = render(metrics.snapshot(), accept)
    found = samples(openmetrics.text_string_to_metric_families(body.decode()))

    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")
    assert found["inferd_ready", ()] == 1


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "application/openmetrics-text; version=abc", "text/plain; version=;;,,", "\0"],
    ids=["none", "any", "no version", "broken", "nul"],
)
def test_any_accept_gets_an_answer(metrics, accept):
    assert b"inferd_ready 1.0" in render(metrics.snapshot(), accept)[1]


def test_the_front_process_is_described(metrics):
    assert b"process_cpu_seconds_total" in render(metrics.snapshot())[1]
    assert b"process_cpu" not in render(metrics.snapshot(), process=False)[1]
