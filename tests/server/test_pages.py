"""A model's page on a running server: read when it is loaded, anew when it is reloaded, and only then."""

import asyncio
import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.system import models
from tests.system.serving import run, serving, until

import inferd


def shop(folder):
    (folder / "affine" / "1").mkdir(parents=True)
    models.affine(folder / "affine" / "1" / "affine.onnx")
    page = folder / "affine" / "page"
    page.mkdir()
    (page / "index.html").write_text("<h1>one</h1>")
    (page / "page.js").write_text("1")
    (folder / "affine" / "secret.js").write_text("hidden treasure")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return shop(tmp_path_factory.mktemp("pages") / "models")


@pytest.fixture(scope="module")
def server(folder):
    with serving(folder.parent / "server", folder, "--reload") as running:
        yield running


def test_it_is_served_and_its_address_printed(server):
    assert "page     http://{}:{}/ui/affine/\n".format(*server.data) in server.banner
    answer = server.ask("/ui/affine/")
    assert (answer.status, answer.body) == (200, b"<h1>one</h1>")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert server.ask("/ui/affine/page.js").body == b"1"

    head = server.ask("/ui/affine/", method="HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "12")


def test_an_unchanged_file_is_not_sent_again(server):
    tag = server.ask("/ui/affine/page.js").headers["ETag"]

    again = server.ask("/ui/affine/page.js", headers={"If-None-Match": tag})

    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    "path",
    ["/ui/affine/../secret.js", "/ui/affine/..%2fsecret.js", "/ui/../affine/secret.js",
     "/ui/affine/%2e%2e/secret.js", "/ui/affine/secret.js", "/ui/affine//secret.js",
     "//ui/affine/../secret.js", "/ui/affine/page.js/../../secret.js", "/ui/affine/..\\secret.js"],
)  # fmt: skip
def test_no_path_leads_out_of_it(server, path):
    with socket.create_connection(server.data, 10) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))

    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))
    assert b"treasure" not in answer


def test_a_change_is_seen_with_a_reload_and_a_page_may_go(server, folder):
    page = folder / "affine" / "page"
    (page / "index.html").write_text("<h1>two</h1>")
    until(lambda: server.ask("/ui/affine/").body == b"<h1>two</h1>", 20)

    (page / "index.html").rename(page / "other.html")
    until(lambda: server.ask("/ui/affine/").status == 404, 20)
    assert server.ask("/predict", [1, 2, 3, 4]).result == [3, 5, 7, 9]
    assert "it holds no index.html" in server.log


def test_pages_can_be_turned_off(tmp_path):
    with serving(tmp_path / "server", shop(tmp_path / "models"), "--no-pages") as server:
        assert "/ui/" not in server.banner
        assert server.ask("/ui/affine/").status == 404
        assert server.ask("/", headers={"Accept": "text/html"}).json == {"status": "alive"}


def test_an_application_that_mounts_inferd_has_the_page_too(tmp_path):
    async def main():
        served = inferd.asgi(shop(tmp_path / "models"))
        app = Starlette(routes=[Mount("/ml", served)])
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://h") as http:
            try:
                led = await http.get("/ml/ui/affine", follow_redirects=True)
                assert (str(led.url), led.text) == ("http://h/ml/ui/affine/", "<h1>one</h1>")
                led = await http.get("/ml/ui/", follow_redirects=True)
                assert str(led.url) == "http://h/ml/ui/affine/"
            finally:
                await served.aclose()

    asyncio.run(main())


def test_a_page_is_packed_with_its_model(tmp_path):
    done = run("build", shop(tmp_path / "models"), "--no-build", "--output", tmp_path / "image")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "image/models/affine/page/index.html").read_text() == "<h1>one</h1>"
