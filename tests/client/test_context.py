import asyncio
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceState, use_span
from tests.system import models
from tests.system.serving import serving

from inferd import AsyncClient, Client
from inferd.client.context import context_headers
from inferd.core.trace import parse


@pytest.fixture(scope="module")
def tracer():
    provider = TracerProvider()
    yield provider.get_tracer("tests")
    provider.shutdown()


def test_without_an_active_span_nothing_is_added(tracer):
    assert context_headers() == {}


def test_the_active_spans_context_is_added(tracer):
    with tracer.start_as_current_span("caller") as span:
        headers = context_headers()
    place = parse(headers["traceparent"])

    assert int(place.trace_id, 16) == span.get_span_context().trace_id
    assert int(place.span_id, 16) == span.get_span_context().span_id
    assert place.sampled
    assert set(headers) == {"traceparent"}


def test_flag_and_state_go_with_it():
    state = TraceState.from_header(["a=1,b=2"])
    with use_span(NonRecordingSpan(SpanContext(1, 2, False, trace_state=state))):
        headers = context_headers()

    assert headers == {"traceparent": f"00-{1:032x}-{2:016x}-00", "tracestate": "a=1,b=2"}


def test_what_the_caller_does_not_sample_is_said_too():
    provider = TracerProvider(sampler=ALWAYS_OFF)
    with provider.get_tracer("tests").start_as_current_span("caller"):
        assert context_headers()["traceparent"].endswith("-00")
    provider.shutdown()


def test_the_library_is_not_imported_for_it():
    code = (
        "import sys, inferd.client.sync, inferd.client.context as c\n"
        "assert c.context_headers() == {}\n"
        "assert not [m for m in sys.modules if m.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)


def test_both_clients_send_it(tmp_path, tracer):
    model = models.affine(tmp_path / "affine.onnx")
    with serving(tmp_path / "server", model, "--log-format", "json") as server:
        url = f"http://{server.data[0]}:{server.data[1]}"

        async def ask():
            async with AsyncClient(url) as client:
                await client.predict("affine", [[1, 2, 3, 4]])

        with tracer.start_as_current_span("caller") as span:
            with Client(url) as client:
                client.predict("affine", [[1, 2, 3, 4]])
            asyncio.run(ask())
        trace_id = f"{span.get_span_context().trace_id:032x}"
        own = f"00-{'a' * 32}-{'b' * 16}-01"
        with (
            tracer.start_as_current_span("another"),
            Client(url, headers={"traceparent": own}) as client,
        ):
            client.predict("affine", [[1, 2, 3, 4]])

    asked = [row for row in server.access.splitlines() if "/infer" in row]
    assert len(asked) == 3
    assert [trace_id in row for row in asked] == [True, True, False]
    assert "a" * 32 in asked[2]
