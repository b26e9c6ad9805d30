"""The OCR pipeline as three processes: the answers of one process, and one trace over all hops."""

import json
import re
from contextlib import ExitStack

import numpy as np
import pytest
from examples.ocr import build
from tests.system.serving import run, serving, until

from inferd import Client

PICTURES = ("sample", "english", "chinese")
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARTS = {"detect": "text-detect", "recognise": "text-recognise"}


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    return build.build(tmp_path_factory.mktemp("ocr") / "app")


@pytest.fixture(scope="module")
def services(application, tmp_path_factory):
    """Return the servers by service: two models apart, and the pipeline with the third."""
    folder = tmp_path_factory.mktemp("services")
    split = folder / "split"
    done = run(
        "split", application / "ocr" / "pipeline.yaml", "--services", ",".join(PARTS),
        "--output", split,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    deployment = split / "deployment.yaml"
    written = deployment.read_text()
    with ExitStack() as stack:

        def start(name):
            spans = folder / f"{name}.spans"
            return stack.enter_context(
                serving(
                    folder / name, "--config", split / name / "inferd.yaml", "--instances", 1,
                    "--trace-exporter", "file", "--trace-file", spans,
                    "--trace-service-name", name,
                )
            )  # fmt: skip

        servers = {}
        for number, name in enumerate(PARTS):
            servers[name] = start(name)
            # the ports of the definition may be taken here
            address = "http://{}:{}".format(*servers[name].data)
            written, count = re.subn(rf"http://127\.0\.0\.1:{8101 + number}\b", address, written)
            assert count == 1, written
        deployment.write_text(written)
        servers["ocr"] = start("ocr")
        servers["ocr"].spans = {name: folder / f"{name}.spans" for name in servers}
        yield servers


def client(server):
    return Client("http://{}:{}".format(*server.data))


def test_three_processes_answer_what_one_does(application, services, tmp_path):
    with (
        serving(tmp_path / "one", application, "--instances", 1) as one,
        client(one) as alone,
        client(services["ocr"]) as spread,
    ):
        for name in PICTURES:
            asked = {"image": application / f"{name}.png"}
            here, there = alone.predict("ocr", asked), spread.predict("ocr", asked)
            assert list(there.text("texts")) == list(here.text("texts"))
            assert len(there.text("texts")) >= 3
            np.testing.assert_array_equal(there["boxes"], here["boxes"])
            np.testing.assert_allclose(there["scores"], here["scores"], atol=1e-5)


def test_each_model_runs_in_its_own_service(services):
    for name, model in PARTS.items():
        assert services[name].ask(f"/v2/models/{model}/ready").status == 200
        assert services[name].workers(model)
        assert not services["ocr"].workers(model)
    assert services["ocr"].workers("text-angle")


def spans_of(path, trace):
    """Return the spans of one trace in a file of OTLP's JSON lines."""
    found = []
    text = path.read_text()
    for line in text[: text.rfind("\n") + 1].splitlines():  # the last line may be half written
        for resource in json.loads(line)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                found += [span for span in scope["spans"] if span["traceId"] == trace]
    return found


def orphans(files):
    """Return the spans of the trace whose parents nobody has written yet."""
    spans = [span for path in files.values() for span in spans_of(path, TRACE)]
    known = {span["spanId"] for span in spans} | {PARENT}
    return [span for span in spans if span["parentSpanId"] not in known]


def test_one_trace_id_leads_through_all_hops(application, services):
    body = (application / "english.png").read_bytes()
    answer = services["ocr"].ask(
        "/models/ocr/predict", body=body,
        headers={"Content-Type": "image/png", "traceparent": f"00-{TRACE}-{PARENT}-01"},
    )  # fmt: skip
    assert len(answer.result["texts"]) == 3

    for name, server in services.items():
        until(lambda server=server: TRACE in server.access, 10)
        lines = [json.loads(line) for line in server.access.splitlines() if TRACE in line]
        assert {line["model"] for line in lines} == {PARTS.get(name, "ocr")}, lines

    files = services["ocr"].spans
    for path in files.values():
        until(lambda path=path: path.exists() and spans_of(path, TRACE), 20)
    until(lambda: not orphans(files), 20)  # each process writes its spans when it comes to it
    spans = {name: spans_of(path, TRACE) for name, path in files.items()}
    own = {span["spanId"] for span in spans["ocr"]}
    for name in PARTS:
        assert any(span["parentSpanId"] in own for span in spans[name]), spans


def test_a_service_that_is_gone_is_named(application, services):
    """The last test here: it ends one of the services."""
    services["recognise"].send(2)
    services["recognise"].process.wait(30)
    answer = services["ocr"].ask(
        "/models/ocr/predict", body=(application / "english.png").read_bytes(),
        headers={"Content-Type": "image/png", "X-Request-Timeout": "10s"},
    )  # fmt: skip

    assert answer.status in {502, 503, 504}, answer.body
    assert "recognise" in answer.json["error"]["message"]
