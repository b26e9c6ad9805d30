import re

import pytest
from tests.api.serving import Server, headers, value, version

from inferd.api.modelpages import has
from inferd.api.openapi import document
from inferd.repository.page import PageFile
from inferd.routing.table import FAILED

INDEX = PageFile(b"<h1>hello</h1>", b"text/html; charset=utf-8", b'"one"')
SCRIPT = PageFile(b"alert()", b"text/javascript; charset=utf-8", b'"two"')
PAGE = {"index.html": INDEX, "page.js": SCRIPT}
BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.fixture
def server():
    return Server(version("m", page=PAGE), version("plain"))


def test_a_page_and_its_files_are_served(server):
    page = server.get("/ui/m/")
    assert (page.status, page.body) == (200, INDEX.body)
    assert page.content_type == b"text/html; charset=utf-8"
    script = server.get("/ui/m/page.js")
    assert (script.status, script.body, script.content_type) == (200, SCRIPT.body, SCRIPT.media)
    assert server.get("/ui/m/index.html").body == INDEX.body


def test_a_page_may_do_nothing_but_what_this_server_serves(server):
    for path in ("/ui/m/", "/ui/m/page.js"):
        told = headers(server.get(path))
        policy = dict(
            part.strip().split(" ", 1) for part in told["content-security-policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert "unsafe" not in told["content-security-policy"]
        assert told["x-content-type-options"] == "nosniff"
        assert told["permissions-policy"].startswith("microphone=(self)")
        assert told["cache-control"] == "no-cache"


def test_what_is_known_already_is_not_sent_again(server):
    assert headers(server.get("/ui/m/"))["etag"] == '"one"'

    again = server.get("/ui/m/", if_none_match='W/"zero", "one"')
    assert (again.status, again.body) == (304, b"")
    assert headers(again)["etag"] == '"one"'
    assert server.get("/ui/m/", if_none_match='"other"').status == 200


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, False), (b'"one"', True), (b'W/"one"', True), (b'"a" , "one"', True), (b"*", True),
     (b"one", False), (b"", False), (b'"onet"', False)],
)  # fmt: skip
def test_tags_are_compared_weakly(given, expected):
    assert has(given, b'"one"') is expected


def test_the_page_itself_ends_in_a_slash(server):
    led = server.get("/ui/m")
    assert led.status == 302
    assert headers(led)["location"] == "m/"  # seen from /ui/m that is /ui/m/
    assert server.get("/ui/m/page.js/").status == 404


def test_a_name_is_looked_up_and_no_path_followed(server):
    paths = (
        "..",
        "%2e%2e",
        "..%2fmodel.yaml",
        "%2fetc%2fpasswd",
        "page.js%00",
        "PAGE.JS",
        "x/y",
        ".",
    )
    for path in paths:
        answer = server.get(f"/ui/m/{path}")
        assert answer.status in (404, 405), path
        assert b"root" not in answer.body
    assert "did you mean 'page.js'" in value(server.get("/ui/m/pag.js"))["error"]["help"]


def test_who_has_no_page_says_how_to_have_one(server):
    error = value(server.get("/ui/plain/"))["error"]
    assert error["kind"] == "not_found"
    assert "index.html" in error["help"]
    assert server.get("/ui/plain").status == 404  # not led to what is not there
    assert server.get("/ui/nobody/").status == 404


def test_the_only_page_is_led_to(server):
    assert headers(server.get("/ui/"))["location"] == "m/"
    assert headers(server.get("/ui"))["location"] == "ui/m/"


def test_several_pages_are_listed_and_escaped():
    evil = "<b>&"
    listed = Server(version("m", page=PAGE), version(evil, page=PAGE)).get("/ui/")

    text = listed.body.decode()
    assert listed.status == 200
    assert re.findall(r'href="([^"]+)"', text) == ["%3Cb%3E%26/", "m/"]
    assert "<b>" not in text
    assert "default-src 'none'" in headers(listed)["content-security-policy"]


def test_no_page_at_all_is_said():
    answer = Server(version("plain")).get("/ui/")

    assert answer.status == 404
    error = value(answer)["error"]
    assert "no model that is served has a page" in error["message"]
    assert "pipeline.yaml, and start without --no-pages" in error["help"]


def test_browsers_are_led_from_the_root_and_nobody_else(server):
    led = server.get("/", accept=BROWSER)
    assert (led.status, headers(led)["location"]) == (302, "ui/")
    for accept in ("*/*", "application/json", None):
        answer = server.get("/", **({"accept": accept} if accept else {}))
        assert value(answer) == {"status": "alive"}
        assert headers(answer)["vary"] == "Accept"


def test_the_root_of_a_server_without_pages_is_as_ever():
    answer = Server(version("plain")).get("/", accept=BROWSER)

    assert value(answer) == {"status": "alive"}
    assert "vary" not in headers(answer)


def test_the_page_of_a_model_that_has_failed_is_still_there():
    broken = version("m", page=PAGE)
    broken.state, broken.reason = FAILED, "bad file"

    assert Server(broken).get("/ui/m/").status == 200


def test_the_page_is_that_of_the_version_that_answers():
    new = {"index.html": PageFile(b"new", b"text/html", b'"3"')}
    server = Server(version("m", "1", page=PAGE), version("m", "2", page=new))
    assert server.get("/ui/m/").body == b"new"

    server.table.remove("m", "2")

    assert server.get("/ui/m/").body == INDEX.body


def test_pages_are_only_read(server):
    for method in ("POST", "PUT", "DELETE"):
        answer = server.ask_for(method, "/ui/m/")
        assert answer.status == 405
        assert headers(answer)["allow"] == "GET, HEAD, OPTIONS"


def test_who_may_not_read_is_given_no_page():
    from inferd.core.errors import NotAllowed

    def nobody(principal, route):
        if route.permission == "read":
            raise NotAllowed("no")

    server = Server(version("m", page=PAGE), authorize=nobody)

    for path in ("/ui/", "/ui/m", "/ui/m/", "/ui/m/page.js"):
        assert server.get(path).status == 403


def test_every_answer_is_in_the_openapi_document(server):
    paths = document(server.table, version="1")["paths"]

    for path, template in (("/", "/"), ("/ui/", "/ui"), ("/ui/m", "/ui/{name}"), ("/ui/m/", "/ui/{name}"),
                           ("/ui/none/", "/ui/{name}"), ("/ui/m/page.js", "/ui/{name}/{file}"),
                           ("/ui/m/none.js", "/ui/{name}/{file}")):  # fmt: skip
        for accept, tag in ((BROWSER, '"none"'), ("*/*", "*")):
            answer = server.get(path, accept=accept, if_none_match=tag)
            assert str(answer.status) in paths[template]["get"]["responses"], (path, answer.status)
