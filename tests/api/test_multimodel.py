import gzip

import orjson
import pytest
from tests.api.serving import Server, headers, value, version

from inferd.api.loading import AlreadyLoaded, NoMemory, Present
from inferd.api.multimodel import PAGE
from inferd.core.errors import InvalidInput, NotFound, Overloaded


class Shelf:
    """A ``Loading`` that loads names into a list; ``error`` is raised instead."""

    def __init__(self, *names, error=None):
        self.names = list(names)
        self.error = error

    def present(self):
        return [Present(name, f"/opt/ml/models/{name}/model") for name in sorted(self.names)]

    async def load(self, name, path):
        if self.error is not None:
            raise self.error
        self.names.append(name)

    async def unload(self, name):
        if name not in self.names:
            raise NotFound(f"no model named {name!r} is loaded")
        self.names.remove(name)


def order(name="iris", url="/opt/ml/models/iris/model"):
    return {"model_name": name, "url": url}


def test_models_are_loaded_listed_and_unloaded():
    server = Server(loading=Shelf())

    assert server.post("/models", order()).status == 200
    assert value(server.get("/models/iris")) == {
        "modelName": "iris", "modelUrl": "/opt/ml/models/iris/model",
    }  # fmt: skip
    assert value(server.get("/models"))["models"] == [value(server.get("/models/iris"))]
    assert server.ask_for("DELETE", "/models/iris").status == 200
    assert server.ask_for("DELETE", "/models/iris").status == 404
    assert server.get("/models/iris").status == 404


def test_a_list_comes_in_pages():
    server = Server(loading=Shelf(*(f"m{i:03}" for i in range(2 * PAGE + 1))))
    sizes, token, seen = [], "", []
    while True:
        page = value(server.get(f"/models?next_page_token={token}" if token else "/models"))
        sizes.append(len(page["models"]))
        seen += [m["modelName"] for m in page["models"]]
        token = page.get("nextPageToken")
        if token is None:
            break

    assert sizes == [PAGE, PAGE, 1]
    assert seen == sorted(seen) and len(set(seen)) == 2 * PAGE + 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AlreadyLoaded(), 409),
        (NoMemory("its files are 9 bytes"), 507),
        (InvalidInput("lies not below"), 400),
        (NotFound("no such file"), 404),
        (Overloaded("8 models are being loaded", retry_after=2.0), 429),
    ],
    ids=["loaded", "memory", "path", "missing", "many"],
)
def test_why_a_model_is_not_loaded(error, status):
    answer = Server(loading=Shelf(error=error)).post("/models", order())

    assert answer.status == status
    assert value(answer)["error"]
    assert headers(answer)["x-request-id"]


@pytest.mark.parametrize(
    "body",
    [b"[]", b"{}", b'{"model_name": "a"}', b'{"model_name": "", "url": "/a"}',
     b'{"model_name": 1, "url": "/a"}', b"{"],
)  # fmt: skip
def test_an_order_that_is_none_is_refused(body):
    shelf = Shelf()

    assert Server(loading=shelf).post("/models", body).status == 400
    assert shelf.names == []


def test_an_order_may_be_compressed():
    shelf = Shelf()
    body = gzip.compress(orjson.dumps(order("small")))

    assert Server(loading=shelf).post("/models", body, content_encoding="gzip").status == 200
    assert shelf.names == ["small"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/models"), ("POST", "/models"), ("GET", "/models/m"), ("DELETE", "/models/m"),
        ("POST", "/models/m/invoke"),
    ],
)  # fmt: skip
def test_other_servers_do_none_of_this(method, path):
    server = Server(version())

    answer = server.ask_for(method, path, b'{"data": [1, 2, 3]}')

    assert answer.status == 403
    assert "no multi-model container" in value(answer)["error"]


def test_a_model_is_asked_by_its_name():
    server = Server(version(), version("other"), loading=Shelf("m", "other"))

    assert value(server.post("/models/m/invoke", b"[1, 2, 3]")) == 2
    assert server.post("/models/none/invoke", b"[1, 2, 3]").status == 404
