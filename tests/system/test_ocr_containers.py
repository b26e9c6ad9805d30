"""The OCR pipeline, as it is, in containers behind NGINX: the answers of one process, and one trace."""

import secrets

import numpy as np
import pytest
from examples.ocr import build
from tests.system.serving import serving, until
from tests.system.stack import ask, documented, running
from tritonclient.grpc import InferenceServerClient, InferInput

from inferd import Client

pytestmark = pytest.mark.timeout(400)

NAME = "inferd-tests-ocr"
"""Of the project and its images: those that are called ``ocr`` may be somebody's own."""
PICTURES = ("sample", "english", "chinese")
LINES = 3  # of english.png
REPLICAS = {"detect": 1, "recognise": 2, "ocr": 1}
MODELS = {"detect": "text-detect", "recognise": "text-recognise", "ocr": "ocr"}


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    return build.build(tmp_path_factory.mktemp("ocr") / NAME)


@pytest.fixture(scope="module")
def stack(engine, application, tmp_path_factory):
    """What the page says: one replica of the pipeline and of ``detect``, two of ``recognise``."""
    options = documented(build.HERE / "README.md", ".ocr")
    folder = tmp_path_factory.mktemp("stack") / "compose"
    with running(engine, folder, application, *options) as made:
        print(sizes(engine, made))
        yield made


def sizes(engine, stack):
    """Return what the images of the services weigh, in words."""
    taken = {}
    for service in stack.services():
        name = engine.inspect(stack.container(service), ".Config.Image")
        taken[name] = engine.inspect(name, ".Size") / 1e6
    return ", ".join(f"{name} {size:.0f} MB" for name, size in taken.items())


@pytest.fixture(scope="module")
def one(application, tmp_path_factory):
    """The same application, served by one process."""
    with serving(tmp_path_factory.mktemp("one") / "server", application) as server:
        yield server


def over_http(address, picture):
    with Client("http://{}:{}".format(*address)) as client:
        result = client.predict("ocr", {"image": picture})
        return list(result.text("texts")), result["scores"], result["boxes"]


def over_grpc(address, picture, **options):
    given = InferInput("image", [1], "BYTES")
    given.set_data_from_numpy(np.array([picture.read_bytes()], dtype=np.object_))
    with InferenceServerClient(address) as client:
        answer = client.infer("ocr", [given], **options)
    texts, scores, boxes = (answer.as_numpy(name)[0] for name in ("texts", "scores", "boxes"))
    return [text.decode() for text in texts], scores, boxes


def test_the_pipeline_in_the_image_is_the_one_that_is_served_here(stack, application):
    inside = stack.within("ocr-1", "print(open('/models/ocr/pipeline.yaml').read(), end='')")

    assert inside == (application / "ocr" / "pipeline.yaml").read_text().strip()


@pytest.mark.parametrize("name", PICTURES)
def test_containers_answer_what_one_process_does(stack, one, application, name):
    picture = application / f"{name}.png"
    texts, scores, boxes = over_http(one.data, picture)
    assert len(texts) >= LINES

    for told in (
        over_http(stack.http, picture), over_grpc(stack.grpc, picture), over_grpc(one.grpc, picture)
    ):  # fmt: skip
        assert told[0] == texts
        np.testing.assert_allclose(told[1], scores, atol=1e-5)
        np.testing.assert_array_equal(told[2], boxes)


def test_one_trace_goes_through_nginx_and_all_services(stack, application):
    trace, picture = secrets.token_hex(16), application / "english.png"
    parent = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"}
    told = ask(
        stack.http, "/models/ocr/predict", body=picture.read_bytes(),
        headers={"Content-Type": "image/png", **parent},
    )  # fmt: skip
    assert told.result["texts"] == over_grpc(stack.grpc, picture, headers=parent)[0]

    def seen():
        """Return what was asked of whom under this trace, as their access logs say."""
        lines = [x for x in stack.lines("nginx") if trace in x.get("traceparent", "")]
        found = {"nginx": [line["path"] for line in lines]}
        for service in stack.services():
            lines = [x for x in stack.lines(service) if x.get("trace_id") == trace]
            found.setdefault(service.rpartition("-")[0], []).extend(x["model"] for x in lines)
        return found

    # Of each picture all lines are sent together where they are of one width, by either replica.
    until(lambda: all(len(asked) >= 2 for asked in seen().values()), 10, every=0.2)
    found = seen()
    print(f"\ntrace {trace}: {found}")

    doors = ["/models/ocr/predict", "/inference.GRPCInferenceService/ModelInfer"]
    assert found.pop("nginx") == doors
    assert {name: set(asked) for name, asked in found.items()} == {
        n: {m} for n, m in MODELS.items()
    }
    assert len(found["ocr"]) == len(found["detect"]) == 2
    assert len(found["recognise"]) <= 2 * LINES


def test_both_replicas_of_a_service_are_asked(stack, application):
    names = [f"{name}-{n + 1}" for name, count in REPLICAS.items() for n in range(count)]
    assert sorted(stack.services()) == sorted(names)

    def both():
        over_http(stack.http, application / "english.png")
        logs = [stack.lines(name) for name in names if name.startswith("recognise")]
        return all(any(x.get("model") == MODELS["recognise"] for x in lines) for lines in logs)

    until(both, 30)
