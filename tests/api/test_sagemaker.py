import io

import numpy as np
import orjson
import pytest
from tests.api.serving import Server, headers, value, version
from tests.codecs.signatures import signature

from inferd.api.sagemaker import WholeCodec
from inferd.api.settings import ApiSettings
from inferd.codecs.base import Encoded
from inferd.core import script
from inferd.core.errors import ModelFailed, Overloaded
from inferd.routing.table import LOADING

NAMED = signature([("a", "FP32", [-1]), ("b", "FP32", [-1])])


def test_ping_has_no_body():
    model = version()
    server = Server(model)
    model.state = LOADING
    before = server.get("/ping")
    model.state = "ready"
    after = server.get("/ping")
    server.readiness.draining = True

    assert [(a.status, a.body) for a in (before, after, server.get("/ping"))] == [
        (503, b""), (200, b""), (503, b""),
    ]  # fmt: skip


def test_the_only_model_is_the_containers():
    assert value(Server(version()).post("/invocations", b'{"instances": [[1, 2, 3]]}')) == {
        "predictions": [2]
    }


def test_of_several_the_settings_name_one():
    both = version(), version("other", function=lambda x: {"y": x[:, :1] * 0})

    unnamed = Server(*both).post("/invocations", b"[[1, 2, 3]]")
    named = Server(*both, settings=ApiSettings(default_model="other")).post(
        "/invocations", b"[[1, 2, 3]]"
    )

    assert unnamed.status == 400
    assert "SAGEMAKER_INFERD_DEFAULT_MODEL_NAME" in value(unnamed)["error"]
    assert value(named) == [0]


def test_parts_of_a_pipeline_are_not_meant():
    whole = version("whole", function=lambda x: {"y": x[:, :1]})
    whole.parts = ("m",)
    server = Server(version(), whole)
    assert value(server.post("/invocations", b'{"instances": [[1, 2, 3]]}')) == {"predictions": [1]}


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, b"application/json"),
        ("*/*", b"application/json"),
        ("text/csv", b"text/csv"),
        ("application/x-npz;q=0.2, text/csv;q=0.1", b"application/x-npz"),
        ("image/png, application/*", b"application/json"),
        ("application/x-ndjson", b"application/jsonlines"),
    ],
)
def test_accept_is_honoured(accept, media):
    asked = {"accept": accept} if accept else {}

    answer = Server(version()).post("/invocations", b"[[1, 2, 3]]", **asked)

    assert (answer.status, answer.content_type) == (200, media)


def test_the_settings_say_what_is_answered_unasked():
    server = Server(version(), settings=ApiSettings(default_accept="text/csv"))

    assert server.post("/invocations", b"[[1, 2, 3]]").body == b"2.0\n"
    assert value(server.post("/invocations", b"[[1, 2, 3]]", accept="application/json")) == [2]
    assert (
        server.post("/invocations", b"[1,2,3]", content_type="application/jsonl").body == b"2.0\n"
    )


def test_what_cannot_be_answered_is_406_and_what_is_not_taken_415():
    server = Server(version(sig=NAMED, function=lambda a, b: {"y": (a + b)[:, None]}))

    refused = server.post("/invocations", b'{"data": [1, 2]}', accept="image/png")
    other = server.post("/invocations", b"x", content_type="application/x-npy")

    assert (refused.status, other.status) == (406, 415)
    assert "application/json" in value(refused)["error"]
    assert "text/csv" in value(other)["error"]


def test_headers_of_the_platform_are_ignored():
    answer = Server(version()).post(
        "/invocations", b"[[1, 2, 3]]", x_amzn_sagemaker_target_model="nobody.tar.gz",
        x_amzn_sagemaker_anything="1",
    )  # fmt: skip

    assert answer.status == 200


# ---------------------------------------------------------------------------- the runtime API


def test_an_endpoint_is_a_model():
    server = Server(version(), version("other"))

    answer = server.post("/endpoints/m/invocations", b"[1, 2, 3]")

    assert value(answer) == 2
    told = headers(answer)
    assert told["x-amzn-invoked-production-variant"] == "AllTraffic"
    assert told["x-amzn-requestid"] == told["x-request-id"]


def test_headers_name_another_model_and_a_version():
    first = version("other", function=lambda x: {"y": x[:, :1]})
    second = version("other", "2", function=lambda x: {"y": x[:, 1:2]})
    server = Server(version(), first, second)

    def ask(**more):
        return value(server.post("/endpoints/m/invocations", b"[7, 8, 9]", **more))

    assert ask() == 8
    assert ask(x_amzn_sagemaker_target_model="other.tar.gz") == 8
    assert ask(x_amzn_sagemaker_inference_component="other") == 8
    assert ask(x_amzn_sagemaker_target_model="other", x_amzn_sagemaker_target_variant="1") == 7
    assert ask(x_amzn_sagemaker_target_model="other", x_amzn_sagemaker_target_variant="blue") == 8


def test_attributes_and_variant_are_echoed_once():
    answer = Server(version()).post(
        "/endpoints/m/invocations", b"[1, 2, 3]",
        x_amzn_sagemaker_custom_attributes="a=b", x_amzn_sagemaker_target_variant="blue",
    )  # fmt: skip
    names = [name for name, _ in answer.headers]

    assert headers(answer)["x-amzn-sagemaker-custom-attributes"] == "a=b"
    assert headers(answer)["x-amzn-invoked-production-variant"] == "blue"
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("path", "more", "kind", "status"),
    [
        ("/endpoints/none/invocations", {}, "ValidationError", 400),
        ("/endpoints/m/invocations", {"content_type": "a/b"}, "ValidationError", 400),
        ("/endpoints/m/invocations", {"x_request_timeout": "soon"}, "ValidationError", 400),
        ("/endpoints/m/other", {}, "ValidationError", 400),
        ("/endpoints/m/async-invocations", {}, "ValidationError", 400),
        ("/endpoints/m/invocations", {"x_amzn_sagemaker_session_id": "a"}, "ValidationError", 400),
    ],
)
def test_errors_are_those_of_the_api(path, more, kind, status):
    answer = Server(version()).post(path, b"[1, 2, 3]", **more)

    assert answer.status == status
    assert headers(answer)["x-amzn-errortype"] == kind
    assert value(answer)["Message"]


def test_another_method_is_an_error_of_the_api():
    answer = Server(version()).get("/endpoints/m/invocations")

    assert headers(answer)["x-amzn-errortype"] == "UnknownOperationException"


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (ModelFailed("the model raised ValueError: no"), "ModelError", 424),
        (Overloaded("full", retry_after=3.0), "ServiceUnavailable", 503),
        (KeyError("secret"), "InternalFailure", 500),
    ],
    ids=["model", "load", "bug"],
)
def test_what_fails_behind_the_door(error, kind, status):
    answer = Server(version(error=error)).post("/endpoints/m/invocations", b"[1, 2, 3]")

    assert answer.status == status
    assert headers(answer)["x-amzn-errortype"] == kind
    assert "secret" not in value(answer)["Message"]


# ---------------------------------------------------------------------------- whole bodies


def backwards(body, content_type, accept):
    return script.answers([(body[0][::-1], accept[0].decode() + content_type[0].decode())])


def test_a_script_gets_bodies_as_they_are():
    server = Server(version(sig=script.SIGNATURE, function=backwards))

    answer = server.post(
        "/invocations", b"\x00\xff", content_type='multipart/form-data; boundary="AaB"'
    )
    other = server.post("/endpoints/m/invocations", b"ab", accept="text/csv;q=0.1, a/b")

    assert answer.body == b"\xff\x00"
    assert answer.content_type == b'application/jsonmultipart/form-data; boundary="AaB"'
    assert (other.body, other.content_type) == (b"ba", b"a/bapplication/json")


@pytest.mark.parametrize("media", ["a/b\r\nX: y", "", "ä/b", "a/b\x00"])
def test_a_content_type_that_is_none_is_the_models_fault(media):
    with pytest.raises(ModelFailed):
        WholeCodec("a/b", "c/d").encode(script.answers([(b"", media)]), True)


def test_a_whole_body_is_one_row():
    codec = WholeCodec("a/b", "c/d")

    assert codec.decode(memoryview(b"ab")).inputs["body"].tolist() == [b"ab"]
    assert codec.encode([script.answers([(b"x", "a/b")])], True) == Encoded(b"x", b"a/b")


def test_arrays_come_and_go():
    out = io.BytesIO()
    np.save(out, np.ones((2, 3), np.float32))

    answer = Server(version()).post(
        "/invocations", out.getvalue(), content_type="application/x-npy", accept="application/x-npy"
    )

    assert np.load(io.BytesIO(answer.body)).tolist() == [[1], [1]]


def test_the_deadline_is_the_requests():
    model = version()
    server = Server(model)

    server.post("/invocations", b"[1, 2, 3]", x_request_timeout="2s")

    assert model.servable.seen[0].deadline == server.clock() + 2


def test_large_bodies_are_read_elsewhere():
    told = []

    class Elsewhere:
        async def decode(self, door, body, signature, plan, deadline):
            from inferd.codecs.registry import decoder

            told.append(door)
            return decoder(door, signature, plan).decode(body)

        async def encode(self, door, outputs, signature, plan, decoded, *rest):
            from inferd.codecs.registry import encoder

            told.append(door)
            return encoder(door, signature).encode(outputs, decoded.single, form=decoded.form)

    server = Server(
        version(function=lambda x: {"y": x[:, :1]}), offload=Elsewhere(),
        settings=ApiSettings(offload_bytes=64),
    )  # fmt: skip
    rows = [[i, 2, 3] for i in range(40)]

    answer = server.post("/invocations", orjson.dumps({"instances": rows}), accept="text/csv")

    assert answer.body == b"".join(b"%d.0\n" % i for i in range(40))
    assert told == ["sagemaker:application/json>text/csv"] * 2
