import io

import numpy as np
import pytest
from tests.api.serving import Server, headers, value, version
from tests.codecs.signatures import signature

from inferd.core.errors import ModelFailed, Overloaded, Quarantined
from inferd.core.plan import BatchPlan
from inferd.routing.table import LOADING


def half(x):
    return {"y": np.full((len(x), 1), 0.5, np.float32)}


def test_the_articles_request():
    response = Server(version(function=half)).post("/predict", b'{"data": [0.1, 0.2, 0.3]}')

    assert (response.status, response.body) == (200, b'{"result":0.5}')
    assert response.content_type == b"application/json"


@pytest.mark.parametrize(
    "path", ["/predict", "/models/m/predict", "/models/m/versions/1/predict", "/predict/"]
)
def test_the_doors(path):
    response = Server(version()).post(path, {"data": [[1, 2, 3], [4, 5, 6]]})

    assert value(response) == {"result": [2.0, 5.0]}


def test_the_latest_version_answers_and_others_by_name():
    server = Server(version(number="2", function=half), version(number="10"), version(number="9"))

    assert value(server.post("/models/m/predict", {"data": [1, 2, 3]})) == {"result": 2.0}
    assert value(server.post("/models/m/versions/2/predict", {"data": [1, 2, 3]})) == {
        "result": 0.5
    }
    assert server.table.find("m").servable.seen[0].version == "10"


def test_several_models_must_be_named():
    server = Server(version(), version("other"))

    response = server.post("/predict", {"data": [1, 2, 3]})

    assert response.status == 400
    assert "/models/NAME/predict with one of: m, other" in value(response)["error"]["help"]
    assert server.post("/models/other/predict", {"data": [1, 2, 3]}).status == 200


def test_a_name_with_a_slash_is_one_segment():
    server = Server(version("a/b"))

    assert server.post("/models/a%2Fb/predict", {"data": [1, 2, 3]}).status == 200


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/models/n/predict", 404, "not_found"),
        ("/models/m/versions/7/predict", 404, "not_found"),
        ("/models/later/predict", 503, "unavailable"),
    ],
    ids=["model", "version", "loading"],
)
def test_who_does_not_answer(path, status, kind):
    later = version("later")
    later.state, later.reason, later.signature = LOADING, "starting", None
    server = Server(version(), later)

    response = server.post(path, {"data": [1, 2, 3]})

    assert response.status == status
    assert value(response)["error"]["kind"] == kind
    assert ("retry-after" in headers(response)) == (status == 503)


@pytest.mark.parametrize(
    ("error", "status"),
    [(ModelFailed("raised"), 500), (Overloaded("full"), 429), (Quarantined("again"), 422)],
    ids=["model", "overload", "quarantine"],
)
def test_the_servables_errors_are_answered(error, status):
    response = Server(version(error=error)).post("/predict", {"data": [1, 2, 3]})

    assert response.status == status
    assert value(response)["error"]["message"] == error.message


def test_an_unknown_exception_is_not_told():
    response = Server(version(error=RuntimeError("secret"))).post("/predict", {"data": [1, 2, 3]})

    assert response.status == 500
    assert b"secret" not in response.body


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


@pytest.mark.parametrize(
    ("media", "body", "result"),
    [
        ("text/csv", b"1,2,3\n4,5,6\n", [2.0, 5.0]),
        ("application/x-npy", npy(np.float32([1, 2, 3])), 2.0),
        ("application/x-npy", npy(np.float32([[1, 2, 3]])), [2.0]),
        ("application/x-www-form-urlencoded", b'{"data":[1,2,3]}', 2.0),
    ],
    ids=["csv", "npy", "npy batch", "curl -d"],
)
def test_other_media(media, body, result):
    response = Server(version()).post("/predict", body, content_type=media)

    assert value(response) == {"result": result}


def length(t):
    return {"y": np.array([[len(e)] for e in t], np.float32)}


@pytest.mark.parametrize(
    ("content", "media"), [("image", "image/png"), ("text", "text/plain")], ids=["image", "text"]
)
def test_images_and_texts_where_the_first_transform_fits(content, media):
    sig = signature([("t", "BYTES", [-1], content)])

    response = Server(version(sig=sig, function=length)).post(
        "/predict", b"12345", content_type=media
    )

    assert value(response) == {"result": 5.0}


def test_media_that_do_not_fit_are_refused_with_what_does():
    response = Server(version()).post("/predict", b"\x89PNG", content_type="image/png")

    assert response.status == 415
    assert value(response)["error"]["help"] == (
        "it takes application/json, text/csv, application/x-npy"
    )


SEQUENCES = signature([("ids", "INT64", [-1, -1])], [("y", "INT64", [-1, -1])])


def double(ids):
    return {"y": ids * 2}


@pytest.mark.parametrize("data", [[[1], [2, 3]], [[1, 2], [3, 4]]], ids=["ragged", "rectangular"])
def test_rows_of_their_own(data):
    model = version(sig=SEQUENCES, function=double, plan=BatchPlan(split=True))

    response = Server(model).post("/predict", {"data": data})

    assert value(response) == {"result": [[2 * n for n in row] for row in data]}
    assert [r.inputs["ids"].tolist() for r in model.servable.seen] == [[row] for row in data]


def test_outputs_can_be_chosen():
    sig = signature([("x", "FP32", [-1, 3])], [("y", "FP32", [-1]), ("z", "FP32", [-1])])
    model = version(sig=sig, function=lambda x: {"y": x[:, 0], "z": x[:, 1]})
    server = Server(model)

    both = server.post("/predict", {"data": [1, 2, 3]})
    one = server.post("/predict", {"data": [1, 2, 3], "outputs": ["z"]})

    assert value(both) == {"result": {"y": 1.0, "z": 2.0}}
    assert value(one) == {"result": 2.0}
    assert model.servable.seen[1].outputs == ("z",)
