import http.server
import json
import socket
import threading

import pytest

from inferd.cli import remote
from inferd.core.errors import InvalidInput, ModelFailed, Unavailable


@pytest.fixture
def server():
    """A real HTTP server that answers with what a test puts into ``answer`` and keeps requests."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            handler.requests.append(
                (self.command, self.path, dict(self.headers), self.rfile.read(length))
            )
            status, body = handler.answer
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer

        def log_message(self, *arguments):
            pass

    handler = Handler
    handler.requests, handler.answer = [], (200, b'{"result":0.5}')
    listening = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    handler.url = f"http://127.0.0.1:{listening.server_port}"
    yield handler
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.mark.parametrize(
    ("url", "model", "version", "target"),
    [
        ("http://h:1", None, None, "http://h:1/predict"),
        ("http://h:1/", None, None, "http://h:1/predict"),
        ("http://h:1", "a b", None, "http://h:1/models/a%20b/predict"),
        ("http://h:1", "a", "3", "http://h:1/models/a/versions/3/predict"),
        ("http://h:1/models/a", None, None, "http://h:1/models/a/predict"),
        ("http://h:1/models/a", "b", None, "http://h:1/models/a/predict"),
        ("http://h:1/base", "a", None, "http://h:1/base/models/a/predict"),
        ("http://h:1/predict", "a", None, "http://h:1/predict"),
        ("http://h:1/v2/models/a/infer", None, None, "http://h:1/v2/models/a/infer"),
    ],
)
def test_the_route_follows_from_url_and_model(url, model, version, target):
    assert remote.predict_url(url, model, version) == target


def test_a_request_is_sent_and_the_answer_read(server):
    answer = remote.ask("POST", server.url + "/predict?a=1", body=b"{}", media="application/json")
    method, path, headers, body = server.requests[0]

    assert (method, path, body) == ("POST", "/predict?a=1", b"{}")
    assert headers["Content-Type"] == "application/json"
    assert remote.result(answer, "") == {"result": 0.5}


@pytest.mark.parametrize(
    ("status", "body", "error", "message", "help"),
    [
        (400, {"error": {"message": "bad", "help": "do"}}, InvalidInput, "400: bad", "do"),
        (404, {"error": "no model"}, InvalidInput, "404: no model", None),
        (503, {"error": {"message": "loading"}}, ModelFailed, "503: loading", None),
        (500, "<html>", ModelFailed, "500: <html>", None),
        (502, b"", ModelFailed, "502: no explanation", None),
    ],
    ids=["object", "text", "server", "html", "empty"],
)
def test_a_refusal_is_an_error_with_its_reason(server, status, body, error, message, help):
    raw = (
        body
        if isinstance(body, bytes)
        else body.encode()
        if isinstance(body, str)
        else json.dumps(body).encode()
    )
    server.answer = (status, raw)
    with pytest.raises(error) as refused:
        remote.result(remote.ask("GET", server.url), server.url)

    assert message in refused.value.message
    assert refused.value.help == help


def test_nobody_there_is_said():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unavailable, match="refused"):
        remote.ask("GET", f"http://127.0.0.1:{port}")


def test_a_server_that_does_not_answer_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Unavailable, match=r"no answer within 0.1 s"):
            remote.ask("GET", url, timeout=0.1)


def test_what_does_not_speak_http_is_said():
    with socket.create_server(("127.0.0.1", 0)) as odd:

        def answer():
            connection, _ = odd.accept()
            connection.recv(1000)
            connection.sendall(b"SSH-2.0-x\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Unavailable, match="SSH"):
            remote.ask("GET", f"http://127.0.0.1:{odd.getsockname()[1]}", timeout=5)
        thread.join()


@pytest.mark.parametrize(
    "url", ["http://", "http://h:port", "http://[::1", "http://h\u3002\u3002x:1"]
)
def test_what_is_no_url_is_said(url):
    with pytest.raises((InvalidInput, Unavailable)):
        remote.ask("GET", url, timeout=1)
