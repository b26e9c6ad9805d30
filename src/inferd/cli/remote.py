"""Asking a running server from the command line: the client's transport, and what a command says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from inferd.core.errors import DeadlineExceeded, InferdError, InvalidInput

if TYPE_CHECKING:
    from inferd.cli.body import Body
    from inferd.client.sync import Client

_VERBS = ("/predict", "/infer")


def is_url(text: str) -> bool:
    """Return whether a target is a server's address and not a path."""
    return text.startswith(("http://", "https://"))


def predict_url(url: str, model: str | None, version: str | None) -> str:
    """Return where to post: the URL as given if it names a verb, else the route of the model."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if not path.endswith(_VERBS):
        if model is not None and "/models/" not in path:
            path += f"/models/{quote(model, safe='')}"
        if version is not None:
            path += f"/versions/{quote(version, safe='')}"
        path += "/predict"
    return parts._replace(path=path).geturl()


def client(
    url: str, timeout: float = 60.0, ca: str | None = None, *, timings: bool = False
) -> Client:
    """Return a client of the server at ``url``; it asks once, whoever calls it may call again.

    ``ca``: a PEM file of certificates to trust for ``https``; ``timings``: ask for those of the server.
    Raises ``InvalidInput`` for a bad URL.
    """
    from inferd.client.sync import Client

    return Client(url, timeout=timeout, ca=ca, retries=0, timings=timings)


def post(url: str, body: Body, timeout: float, ca: str | None) -> bytes:
    """Post a body and return that of the answer; raises the error of a refusal, naming the URL."""
    try:
        base, path = _split(url)
        with client(base, timeout, ca) as asking:
            return bytes(asking.ask("POST", path, body=body.data, media=body.media).body)
    except InferdError as error:
        raise named(error, url, timeout) from None


def post_for_pieces(url: str, body: Body, timeout: float, ca: str | None) -> Iterator[bytes]:
    """Post a body and yield the JSON of each piece of the answer as it comes."""
    try:
        base, path = _split(url)
        with client(base, timeout, ca) as asking:
            yield from asking.events(path, body=body.data, media=body.media)
    except InferdError as error:
        raise named(error, url, timeout) from None


def _split(url: str) -> tuple[str, str]:
    """Return the server's address and what follows it."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidInput(f"{url!r} is not a URL: {error}") from None
    path = parts._replace(scheme="", netloc="", fragment="").geturl()
    return f"{parts.scheme}://{parts.netloc}", path


def named(error: InferdError, url: str, timeout: float) -> InferdError:
    """Return the error as a person reads it: where, which status, and why."""
    if error.status is not None:
        error.message = f"{url}: {error.status}: {error.message}"
    elif isinstance(error, DeadlineExceeded):
        error.message = f"{url}: no answer within {timeout:g} s"
        error.help = "give it longer with --timeout"
    return error
