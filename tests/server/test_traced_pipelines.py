"""Traces of pipelines: every step is a span, in one process and over several servers."""

import contextlib
import textwrap

import numpy as np
import pytest
import tritonclient.grpc as triton
from tests.server.collector import CLIENT, INTERNAL, SERVER, collecting
from tests.server.test_tracing import below, check_shape, context, stages
from tests.system import models
from tests.system.serving import serving, until

PIPELINE = textwrap.dedent(
    """
    inputs: {x: {dtype: float32, shape: [4]}, more: {dtype: bool, shape: []}}
    steps:
      first: {model: acts, inputs: {x: x}}
      second: {model: affine, inputs: {x: first.y}}
      third: {model: affine, inputs: {x: second.y}, when: more}
    outputs: {y: [third.y, second.y]}
    """
)
SLACK = 20_000_000
"""Nanoseconds by which clocks of two processes may differ."""


@pytest.fixture(scope="module")
def collector():
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("traced")


@pytest.fixture(scope="module")
def start(folder, collector):
    """Start servers that are traced, each as a service of its own; end them all."""
    with contextlib.ExitStack() as stack:

        def started(name, *arguments):
            return stack.enter_context(
                serving(
                    folder / name, *arguments, "--trace-exporter", "otlp", "--trace-endpoint",
                    collector.url, "--trace-service-name", name, traces=True,
                )
            )  # fmt: skip

        yield started


def application(folder, *, with_models):
    app = folder / "app"
    app.mkdir(parents=True)
    (app / "pipeline.yaml").write_text(PIPELINE)
    if with_models:
        models.acts(app, seconds=0.01)
        (app / "affine" / "1").mkdir(parents=True)
        models.affine(app / "affine" / "1" / "affine.onnx")
    return app


@pytest.fixture(scope="module")
def whole(folder, start):
    return start("whole", application(folder / "one", with_models=True))


@pytest.fixture(scope="module")
def parts(folder, start):
    """Start the pipeline with each of its models on another server, one asked by HTTP, one by gRPC."""
    acts = start("acts", models.acts(folder / "acts-models", seconds=0.01))
    (folder / "affine-models" / "affine" / "1").mkdir(parents=True)
    models.affine(folder / "affine-models" / "affine" / "1" / "affine.onnx")
    affine = start("affine", folder / "affine-models")
    deployment = folder / "deployment.yaml"
    deployment.write_text(
        textwrap.dedent(
            f"""
            services:
              acts: {{url: "http://{acts.data[0]}:{acts.data[1]}"}}
              affine: {{url: "grpc://{affine.grpc}"}}
            """
        )
    )
    app = application(folder / "several", with_models=False)
    return start("front", app, "--deployment", deployment)


def ask(server, x, more=False, **headers):
    return server.ask("/models/app/predict", body=_body(x, more), headers=headers)


def _body(x, more):
    return f'{{"data": {{"x": {x}, "more": {str(more).lower()}}}}}'.encode()


def test_every_step_is_a_span_with_the_stages_of_its_model(whole, collector):
    trace_id, caller, parent = context()
    assert ask(whole, [1, 2, 3, 4], traceparent=parent).status == 200
    spans = collector.wait(trace_id)
    top = check_shape(spans, caller)
    steps = {span.attributes["inferd.step"]: span for span in below(spans, top)}

    assert top.attributes["inferd.model"] == "app"
    assert set(steps) == {"first", "second", "third"}
    assert steps["first"].end <= steps["second"].start
    assert stages(spans, steps["first"]) == ["queue", "run"]
    assert {s.name for s in below(spans, steps["second"])} <= {"queue", "batch", "run"}
    assert steps["third"].attributes["inferd.step.skipped"] is True
    assert below(spans, steps["third"]) == []
    assert steps["first"].end - steps["first"].start >= 10_000_000


def test_rows_that_run_by_themselves_have_each_their_steps(whole, collector):
    trace_id, caller, parent = context()
    body = b'{"data": [{"x": [1, 2, 3, 4], "more": true}, {"x": [5, 6, 7, 8], "more": false}]}'
    answer = whole.ask("/models/app/predict", body=body, headers={"traceparent": parent})
    assert answer.status == 200, answer.body
    spans = collector.wait(trace_id)
    check_shape(spans, caller)

    assert sorted(s.name for s in spans if s.name.startswith("step ")) == sorted(
        ["step first", "step second", "step third"] * 2
    )


def test_steps_are_told_of_where_the_pipeline_fails_too(whole, collector):
    trace_id, caller, parent = context()
    assert ask(whole, [-2, 0, 0, 0], traceparent=parent).status == 500
    spans = collector.wait(trace_id)
    top = check_shape(spans, caller)
    (step,) = below(spans, top)

    assert (top.attributes["error.type"], top.failed) == ("model_failed", True)
    assert (step.name, step.attributes["error.type"], step.failed) == (
        "step first", "model_failed", True,
    )  # fmt: skip


def infer(server, name, parent):
    """Ask the pipeline over gRPC."""
    x, more = triton.InferInput("x", [1, 4], "FP32"), triton.InferInput("more", [1], "BOOL")
    x.set_data_from_numpy(np.array([[1, 2, 3, 4]], np.float32))
    more.set_data_from_numpy(np.array([True]))
    with contextlib.closing(triton.InferenceServerClient(server.grpc)) as client:
        client.infer(name, [x, more], headers={"traceparent": parent})


@pytest.mark.parametrize("door", ["http", "grpc"])
def test_one_trace_goes_over_all_servers(parts, collector, door):
    trace_id, caller, parent = context()
    if door == "http":
        assert ask(parts, [1, 2, 3, 4], True, traceparent=parent).status == 200
    else:
        infer(parts, "app", parent)
    spans = collector.wait(trace_id, lambda found: sum(s.kind == SERVER for s in found) == 4)
    by_id = {span.id: span for span in spans}
    services = {span.resource["service.name"] for span in spans}
    (top,) = [span for span in spans if span.parent == caller]

    assert services == {"front", "acts", "affine"}
    assert top.resource["service.name"] == "front"
    served = [s for s in spans if s.kind == SERVER and s is not top]
    assert sorted(s.resource["service.name"] for s in served) == ["acts", "affine", "affine"]
    for span in served:
        hop = by_id[span.parent]
        step = by_id[hop.parent]
        assert (hop.kind, hop.resource["service.name"]) == (CLIENT, "front")
        assert hop.attributes["inferd.service"] == span.resource["service.name"]
        assert hop.attributes["server.address"] == "127.0.0.1"
        assert (step.kind, step.parent) == (INTERNAL, top.id)
        assert top.start <= step.start <= hop.start <= hop.end <= step.end <= top.end
        assert hop.start - SLACK <= span.start <= span.end <= hop.end + SLACK
        assert "run" in {s.name for s in below(spans, span)}
    # Stages are those of who ran the model; the pipeline's server does not tell of them again.
    assert {s.name for s in spans if s.resource["service.name"] == "front"} == {
        top.name, "step first", "step second", "step third", "ask acts", "ask affine",
    }  # fmt: skip


def test_the_logs_of_all_servers_name_the_trace(parts, collector):
    trace_id, _, parent = context()
    ask(parts, [1, 2, 3, 4], traceparent=parent)
    collector.wait(trace_id, lambda found: sum(s.kind == SERVER for s in found) == 3)

    until(lambda: trace_id in parts.access, 5)


def test_a_failure_elsewhere_is_told_of_at_every_level(parts, collector):
    trace_id, caller, parent = context()
    assert ask(parts, [-2, 0, 0, 0], traceparent=parent).status == 500
    spans = collector.wait(trace_id, lambda found: sum(s.kind == SERVER for s in found) == 2)
    failed = {s.name: s.attributes.get("error.type") for s in spans if s.failed}

    assert failed.pop("ask acts") == "model_failed"
    assert failed.pop("step first") == "model_failed"
    assert set(failed.values()) == {"model_failed"}
    assert len([s for s in spans if s.kind == SERVER and s.failed]) == 2
    assert [s for s in spans if s.parent == caller]
