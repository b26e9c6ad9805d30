import json
import os

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from inferd.core.errors import ConfigError
from inferd.core.trace import CLIENT, SERVER, Span, parse
from inferd.telemetry.spanfile import ConsoleExporter, FileExporter, line, row

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ABOUT = {"service.name": "s"}
EPOCH = 1_700_000_000_000_000_000


def span(**more):
    trace = parse(PARENT, "a=1").kept_by(print)
    return Span(**{"name": "n", "trace": trace, "start": 1.5, "end": 2.0, **more})


def test_a_file_holds_lines_that_are_messages_of_otlp(tmp_path):
    path = tmp_path / "spans.jsonl"
    attributes = {"text": "t", "count": 2**40, "share": 0.5, "yes": True}
    for _ in range(2):
        exporter = FileExporter(path, ABOUT)
        failed = span(kind=SERVER, error="internal", failed=True)
        exporter.export([span(kind=CLIENT, attributes=attributes), failed], EPOCH)
        exporter.close()
        exporter.close()
    lines = path.read_text().splitlines()
    told = json.loads(lines[0])
    group = told["resourceSpans"][0]
    first, second = group["scopeSpans"][0]["spans"]

    assert len(lines) == 2
    # Its JSON has ids in hexadecimal; apart from those it is protobuf's, so the library reads it.
    without = [
        {k: v for k, v in s.items() if not k.endswith("Id")} for s in (first, second)
    ]  # fmt: skip
    group["scopeSpans"][0]["spans"] = without
    message = ParseDict(told, TracesData()).resource_spans[0].scope_spans[0].spans[0]
    assert message.start_time_unix_nano == EPOCH + 1_500_000_000
    assert message.end_time_unix_nano == EPOCH + 2_000_000_000
    assert message.kind == 3
    values = {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in message.attributes}
    assert values == attributes
    assert (first["traceId"], first["parentSpanId"]) == tuple(PARENT.split("-")[1:3])
    assert first["traceState"] == "a=1"
    assert second["status"] == {"code": 2}
    assert {"key": "error.type", "value": {"stringValue": "internal"}} in second["attributes"]


def test_the_file_is_for_its_owner_only(tmp_path):
    FileExporter(tmp_path / "f", ABOUT).close()

    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="--trace-file"):
        FileExporter(tmp_path / "no" / "f", ABOUT)
    with pytest.raises(ConfigError, match="Is a directory"):
        FileExporter(tmp_path, ABOUT)


def test_a_root_has_no_parent():
    trace = parse(PARENT)

    assert not {"parentSpanId", "traceState", "status"} & set(row(span(trace=trace), 0))


def test_the_console_shows_a_line_for_each():
    read, write = os.pipe()
    exporter = ConsoleExporter(write)
    exporter.export([span(error="overloaded", attributes={"inferd.model": "m"}), span()], EPOCH)
    exporter.close()
    os.close(write)
    first, second = os.read(read, 65536).decode().splitlines()
    os.close(read)

    assert first.startswith("SPAN 0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 ")
    assert first.endswith(" 500.000ms n inferd.model=m error.type=overloaded")
    assert second.endswith("500.000ms n")


@pytest.mark.parametrize("hostile", ["a\nb", "\x1b[2J", "\u202e", "\udcff"], ids=ascii)
def test_nothing_of_a_client_drives_a_terminal(hostile):
    shown = line(span(name=hostile, attributes={"url.path": hostile}))

    assert shown.count("\n") == 1
    assert shown.isascii()
    assert shown[:-1].isprintable()
