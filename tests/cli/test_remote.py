import http.server
import json
import socket
import threading

import pytest

from inferd.cli import remote
from inferd.cli.body import JSON, Body
from inferd.core.errors import DeadlineExceeded, InvalidInput, ModelFailed, NotFound, Unavailable

ASKED = Body(JSON, b"{}")


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
    answer = remote.post(server.url + "/predict?a=1", ASKED, 5.0, None)
    method, path, headers, body = server.requests[0]

    assert (method, path, body) == ("POST", "/predict?a=1", b"{}")
    assert headers["Content-Type"] == "application/json"
    assert json.loads(answer) == {"result": 0.5}


@pytest.mark.parametrize(
    ("status", "body", "error", "message", "help"),
    [
        (400, {"error": {"message": "bad", "help": "do"}}, InvalidInput, "400: bad", "do"),
        (404, {"error": "no model"}, NotFound, "404: no model", None),
        (503, {"error": {"message": "loading"}}, Unavailable, "503: loading", None),
        (500, "<html>", ModelFailed, "500: the server answered 500 with a page", None),
        (502, b"", Unavailable, "502: the server answered 502 without an explanation", None),
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
        remote.post(server.url, ASKED, 5.0, None)

    assert refused.value.message == f"{server.url}: {message}"
    assert refused.value.help == help
    assert len(server.requests) == 1, "a command asks once"


def test_an_answer_that_is_no_stream_is_one_piece(server):
    assert list(remote.post_for_pieces(server.url, ASKED, 5.0, None)) == [b'{"result":0.5}']
    assert server.requests[0][2]["Accept"] == "text/event-stream"


def test_nobody_there_is_said():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unavailable, match="refused"):
        remote.post(f"http://127.0.0.1:{port}", ASKED, 5.0, None)


def test_a_server_that_does_not_answer_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DeadlineExceeded, match=r"no answer within 0.1 s") as error:
            remote.post(url, ASKED, 0.1, None)
        assert "--timeout" in error.value.help


@pytest.mark.parametrize(
    ("sent", "said"),
    [(b"SSH-2.0-x\r\n\r\n", "illegal status line.*SSH"), (b"SSH-2.0-x\r\n", "without sending a response")],
    ids=["lines", "line"],
)  # fmt: skip
def test_what_does_not_speak_http_is_said(sent, said):
    with socket.create_server(("127.0.0.1", 0)) as odd:

        def answer():
            connection, _ = odd.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1000):  # closing on unread bytes would reset the connection
                    pass

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Unavailable, match=said):
            remote.post(f"http://127.0.0.1:{odd.getsockname()[1]}", ASKED, 5.0, None)
        thread.join()


@pytest.mark.parametrize(
    "url", ["http://", "http://h:port", "http://[::1", "http://h\u3002\u3002x:1"]
)
def test_what_is_no_url_is_said(url):
    with pytest.raises(InvalidInput):
        remote.post(url, ASKED, 1.0, None)
