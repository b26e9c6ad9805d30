"""Asking a running server from the command line: one request, standard library only."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from inferd.core.errors import InvalidInput, ModelFailed, Unavailable

_VERBS = ("/predict", "/infer")


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of a response."""

    status: int
    body: bytes


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


def ask(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    media: str | None = None,
    timeout: float = 60.0,
    ca: str | None = None,
) -> Answer:
    """Send one request. Raises ``Unavailable`` where nobody answers, ``InvalidInput`` for a bad URL.

    ``ca``: a PEM file of certificates to trust for ``https``.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"{url!r} is not a URL: {error}") from None
    if not parts.hostname:
        raise InvalidInput(f"{url!r} names no host", help="for example http://127.0.0.1:8000")
    headers = {"Accept": "application/json"}
    if media is not None:
        headers["Content-Type"] = media
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=ca)
            connection = http.client.HTTPSConnection(
                parts.hostname, port, timeout=timeout, context=context
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname, port, timeout=timeout)
        try:
            connection.request(method, target, body=body, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()
    except TimeoutError:
        raise Unavailable(
            f"{url}: no answer within {timeout:g} s", help="give it longer with --timeout"
        ) from None
    except (OSError, http.client.HTTPException, socket.gaierror) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Unavailable(f"{url}: {reason}", help="is the server running?") from None
    except UnicodeError as error:
        raise InvalidInput(f"{url!r} is not a URL: {error}") from None


def result(answer: Answer, url: str) -> Any:
    """Return the JSON of a good answer; raises ``InvalidInput`` (4xx) or ``ModelFailed`` (5xx)."""
    try:
        value = json.loads(answer.body) if answer.body else None
    except ValueError:
        value = None
    if 200 <= answer.status < 300:
        return value
    message, help = _explained(value, answer)
    kind = InvalidInput if answer.status < 500 else ModelFailed
    raise kind(f"{url}: {answer.status}: {message}", help=help)


def _explained(value: Any, answer: Answer) -> tuple[str, str | None]:
    found = value.get("error", value) if isinstance(value, dict) else value
    if isinstance(found, dict):
        help = found.get("help")
        return str(found.get("message", found)), help if isinstance(help, str) else None
    if isinstance(found, str):
        return found, None
    return answer.body[:300].decode("utf-8", "replace") or "no explanation", None
