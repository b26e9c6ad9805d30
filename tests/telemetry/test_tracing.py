import builtins
import logging
import time

import pytest
from tests.server.collector import collecting

from inferd.core.errors import ConfigError, MissingExtra, Unavailable
from inferd.core.trace import CLIENT, SERVER, Span, parse, root
from inferd.telemetry.tracing import OTLPExporter, endpoint, resource

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ABOUT = {"service.name": "s", "service.version": "1"}


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def collector():
    with collecting() as found:
        yield found


@pytest.fixture
def make():
    made = []

    def exporter(url=None):
        made.append(OTLPExporter(ABOUT, url))
        return made[-1]

    yield exporter
    for each in made:
        each.close()
        each.close()


def test_spans_arrive_with_ids_times_and_attributes_of_ours(collector, make):
    trace = parse(PARENT, "a=1").kept_by(print)
    attributes = {"text": "t", "count": 3, "share": 0.5, "yes": True}
    spans = [
        Span("served", trace, 1.5, 2.0, SERVER, "internal", True, attributes),
        Span("asked", trace.child(), 1.6, 1.9, CLIENT),
        Span("begun", root(), 1.0, 2.0),
    ]
    make(collector.url).export(spans, 10**18)
    served, asked, begun = collector.spans

    assert (served.trace_id, served.id, served.parent) == (
        trace.trace_id, trace.span_id, PARENT.split("-")[2],
    )  # fmt: skip
    assert (served.start, served.end) == (10**18 + 1_500_000_000, 10**18 + 2_000_000_000)
    assert served.attributes == {**attributes, "error.type": "internal"}
    assert (served.kind, served.failed, served.state) == (2, True, "a=1")
    assert (asked.kind, asked.parent, asked.failed) == (3, trace.span_id, False)
    assert (begun.kind, begun.parent) == (1, "")
    assert served.resource == ABOUT


def test_the_librarys_own_variables_hold(collector, make, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    make().export([Span("a", root(), 1.0, 2.0)], 0)
    ((path, headers),) = collector.requests

    assert (path, headers["x-key"], headers["Content-Encoding"]) == ("/v1/traces", "secret", "gzip")
    assert len(collector.spans) == 1


def test_a_refusal_says_why_and_leaves_no_line_of_the_librarys(collector, make, caplog):
    exporter = make(collector.url)
    collector.status = 401
    with pytest.raises(Unavailable, match="401"):
        exporter.export([Span("a", root(), 1.0, 2.0)], 0)

    assert caplog.records == []


def test_nobody_there_is_an_error_too(make, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
    with pytest.raises(Unavailable, match="refused"):
        make("http://127.0.0.1:9/v1/traces").export([Span("a", root(), 1.0, 2.0)], 0)


def test_the_librarys_logger_is_left_as_it_was(make):
    logger = logging.getLogger("opentelemetry")
    before = (logger.handlers[:], logger.propagate)
    OTLPExporter(ABOUT).close()
    for wrong in ("tea", "ftp://h"):
        with pytest.raises(ConfigError):
            OTLPExporter(ABOUT, wrong)

    assert (logger.handlers[:], logger.propagate) == before


def test_a_variable_the_library_cannot_go_on_with_is_an_error(monkeypatch):
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "nobody")
    with pytest.raises(ConfigError, match="nobody"):
        OTLPExporter(ABOUT)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("COMPRESSION", "brotli", "brotli"), ("HEADERS", "key secret", "Header format invalid")],
    ids=str,
)
def test_of_one_it_ignores_the_log_tells_but_no_keys(make, monkeypatch, caplog, name, value, said):
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    with caplog.at_level(logging.WARNING, "inferd"):
        make()
    (record,) = caplog.records

    assert said in record.fields["reason"]
    assert "secret" not in record.fields["reason"]


def test_without_the_library_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *more):
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match="opentelemetry") as missing:
        OTLPExporter(ABOUT)
    assert "inferd[tracing]" in missing.value.help


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("https://collector/", "https://collector/v1/traces"),
        ("http://h:1/otlp/v1/traces", "http://h:1/otlp/v1/traces"),
        ("http://h:1?key=1", "http://h:1/v1/traces?key=1"),
    ],
)
def test_the_path_is_added_to_an_endpoint_without_one(given, used):
    assert endpoint(given) == used


@pytest.mark.parametrize(
    "given", ["collector:4318", "tea", "grpc://h:4317", "http://", "http://h:99999", "http://[::1"]
)
def test_what_is_no_url_of_http_is_refused(given):
    with pytest.raises(ConfigError, match="--trace-endpoint"):
        endpoint(given)


def test_who_makes_the_spans_is_said_by_setting_and_standard_variables():
    environ = {
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=r, deployment.environment.name=a%20b,odd,=1"
    }
    found = resource(None, "1.2", environ)

    assert resource(None, "1.2", {})["service.name"] == "inferd"
    assert found["service.name"] == "r"
    assert found["deployment.environment.name"] == "a b"
    assert found["service.version"] == "1.2"
    environ["OTEL_SERVICE_NAME"] = "v"
    assert resource(None, "1.2", environ)["service.name"] == "v"
    assert resource("set", "1.2", environ)["service.name"] == "set"


def test_a_closed_exporter_ends_its_repeats_at_once(collector, make):
    collector.status = 503
    exporter = make(collector.url)
    import threading

    ended = []

    def export():
        with pytest.raises(Unavailable):
            exporter.export([Span("a", root(), 1.0, 2.0)], 0)
        ended.append(time.monotonic())

    thread = threading.Thread(target=export)
    thread.start()
    end = time.monotonic() + 10
    while not collector.requests and time.monotonic() < end:
        time.sleep(0.01)
    begin = time.monotonic()
    exporter.close()
    thread.join(10)

    assert ended[0] - begin < 5
