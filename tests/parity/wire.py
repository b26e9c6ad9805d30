"""What the doors of the parity tests send with: plain sockets of HTTP, channels of gRPC, refusals."""

import contextlib
import http.client
import json
from typing import NamedTuple

TIMEOUT = 15


class Refused(Exception):
    """A server's refusal, its kind told as the dialect's own table of statuses has it."""

    def __init__(self, kind, text="", status=None, headers=None):
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text
        self.status = status
        self.headers = headers or {}


class Answer(NamedTuple):
    """Outputs by name, and the id of the request as the answer has it."""

    tensors: dict
    id: str | None = None


class Asked(NamedTuple):
    """A request of HTTP that is not sent yet."""

    path: str
    body: bytes
    headers: dict
    method: str = "POST"


class Reply:
    """An answer of HTTP, read to its end. Header names are in lower case."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Sent:
    """A request that was sent and whose answer nobody has read yet."""

    def __init__(self, address, asked):
        host, _, port = address.removeprefix("http://").rpartition(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT)
        # A server may refuse on the head alone, and close while the body is still being sent.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.request(asked.method, asked.path, asked.body, asked.headers)

        self._response = None

    def response(self):
        self._response = self.connection.getresponse()
        return self._response

    def close(self):
        """Go away: both hold the socket."""
        self.connection.close()
        if self._response is not None:
            self._response.close()


class Http:
    """An address of HTTP; each request has a connection of its own."""

    def __init__(self, address):
        self.address = address

    def send(self, asked):
        return Sent(self.address, asked)

    def ask(self, asked):
        with contextlib.closing(self.send(asked)) as sent:
            return Reply(sent.response())

    def get(self, path):
        return self.ask(Asked(path, b"", {}, "GET"))


def lines(sent, refuse):
    """Yield the lines of a streamed answer as they come; ``refuse`` raises what a reply refuses."""
    with contextlib.closing(sent):
        response = sent.response()
        if response.status != 200:
            refuse(Reply(response))
        while line := response.readline():
            yield line.rstrip(b"\n")


def events(sent, refuse):
    """Yield the data of server-sent events as they come."""
    for line in lines(sent, refuse):
        if line.startswith(b"data: "):
            yield line.removeprefix(b"data: ")
