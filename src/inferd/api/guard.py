"""The one choke point: what is checked of every request, on its head alone, before any body.

In order: the route's permission (default deny), the encoding and the type of the body, and with
them its limit; the deadline; the priority; whether timings are wanted. Every door is behind it, so
no dialect has checks of its own to forget.

Headers read here: ``Content-Type``, ``Content-Encoding``, ``X-Request-Timeout`` (``250ms``,
``2s``, or seconds), ``X-Priority`` (``high`` or ``normal``) and ``X-Server-Timing`` (``1``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from inferd.api.call import Call, Terms
from inferd.api.coding import sent_coding, wished
from inferd.api.routes import BODIES, PERMISSIONS, SAGEMAKER_RUNTIME, Route
from inferd.api.settings import ApiSettings
from inferd.codecs.media import ALL, CSV, JSON, JSON_LINES, JSON_LINES_NAMES, MEDIA, TEXT
from inferd.core.clock import Clock
from inferd.core.errors import InvalidInput, LengthRequired, NotAllowed, TooLarge, UnsupportedMedia
from inferd.core.message import HIGH, NORMAL
from inferd.transport.message import HTTPRequest

Authorize = Callable[[object, Route], None]
"""Raises ``NotAllowed`` unless the principal (``None``: anonymous) may use the route."""

Taken = Callable[[Call], Sequence[str]]
"""Returns the content types that may be taken where a call's path leads."""

FORM = "application/x-www-form-urlencoded"
UNWANTED_BYTES = 64 * 1024  # of a body where none is wanted: it is read and ignored
_TEXTUAL = (JSON, CSV, TEXT, JSON_LINES)
WHOLE = ("*/*",)
_DURATION = re.compile(rb"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s)?")
_COUNT = re.compile(rb"[0-9]{1,12}")
_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")
_PRIORITIES = {b"high": HIGH, b"normal": NORMAL}


def allow_anonymous(principal: object, route: Route) -> None:
    """Allow every declared permission to anybody: the policy where no identities are set up."""
    if route.permission not in PERMISSIONS:
        raise NotAllowed(f"{route.method} {route.template} is not open to you")


def every_media(call: Call) -> Sequence[str]:
    """Return every content type there is: the answer of who knows no models."""
    return MEDIA


class Guard:
    """Admits requests to routes."""

    def __init__(
        self,
        settings: ApiSettings,
        clock: Clock,
        authorize: Authorize = allow_anonymous,
        taken: Taken = every_media,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._authorize = authorize
        self._taken = taken

    def admit(
        self, request: HTTPRequest, route: Route, call: Call, terms: Terms | None = None
    ) -> Terms:
        """Fill ``call`` from the head and return its terms; raises the refusal.

        ``terms``: those of an equal head on this route, where they are known already.
        """
        self._authorize(call.principal, route)
        if terms is None:
            terms = self._terms(request, route, call)
        call.terms = terms
        call.media = terms.media
        call.deadline = (request.received or self._clock()) + terms.seconds
        call.priority = terms.priority
        call.timed = terms.timed
        return terms

    def _terms(self, request: HTTPRequest, route: Route, call: Call) -> Terms:
        """Read what decides from the head alone, and check it."""
        header = request.header
        limit, media, coding, json_bytes = UNWANTED_BYTES, "", None, None
        if route.body != "none":
            if header(b"content-length") is None and header(b"transfer-encoding") is None:
                raise LengthRequired(
                    "the request has neither Content-Length nor Transfer-Encoding",
                    help="send a body and its length",
                )
            sent = header(b"content-encoding")
            coding = sent_coding(sent) if sent is not None else None
            media = self._media(header(b"content-type"), route, call)
            size = header(b"inference-header-content-length")
            json_bytes = _json_bytes(size) if size is not None and route.body == "tensors" else None
            settings = self._settings
            textual = media in _TEXTUAL and json_bytes is None
            limit = settings.json_body_bytes if textual else settings.binary_body_bytes
            if json_bytes is not None and json_bytes > settings.json_body_bytes:
                raise TooLarge(
                    f"the JSON part is {json_bytes} bytes; at most {settings.json_body_bytes} are "
                    "accepted"
                )
        wanted = header(b"x-request-timeout")
        seconds = self._settings.timeout
        if wanted is not None:
            seconds = min(timeout_of(wanted), self._settings.max_timeout)
        wish = header(b"x-priority")
        priority = NORMAL if wish is None else priority_of(wish)
        accept = header(b"accept") or b""
        if route.dialect == SAGEMAKER_RUNTIME:  # where the operation streams, the header is renamed
            accept = header(b"x-amzn-sagemaker-accept") or accept
        codings = header(b"accept-encoding")
        return Terms(
            limit, media, seconds, priority, header(b"x-server-timing") == b"1",
            coding=coding,
            wish=wished(codings) if codings is not None else None,
            accept="" if accept == b"*/*" else accept.decode("latin-1"),
            json_bytes=json_bytes,
        )  # fmt: skip

    def _media(self, value: bytes | None, route: Route, call: Call) -> str:
        """Return the type of the body. Which known one a model takes its door says, later."""
        known = BODIES[route.body]
        if not known:  # a dialect whose servers never look at it
            return JSON
        if known == WHOLE:
            return whole_media(value) if value is not None else JSON
        media = media_of(value) if value is not None else JSON
        if media not in known:
            takes = self._taken(call) if route.body == "media" else known
            raise UnsupportedMedia(
                f"the content type {_shown(value or b'')} is not taken here",
                help="it takes " + ", ".join(takes),
            )
        return media


@lru_cache(256)
def media_of(value: bytes) -> str:
    """Return the media type of a ``Content-Type``; raises ``UnsupportedMedia`` for other charsets.

    What ``curl -d`` sends unasked, ``application/x-www-form-urlencoded``, is read as JSON.
    """
    name, *parameters = value.decode("latin-1").split(";")
    media = name.strip().lower()
    if media == FORM:
        return JSON
    for parameter in parameters:
        key, _, text = parameter.partition("=")
        charset = text.strip().strip('"').lower()
        if key.strip().lower() == "charset" and charset not in _CHARSETS:
            raise UnsupportedMedia(f"the charset {charset[:40]!r} is not taken", help="send UTF-8")
    return media


@lru_cache(256)
def whole_media(value: bytes) -> str:
    """Return the media type of a ``Content-Type`` where any is taken.

    A type that is known here is returned as ``media_of`` does; any other whole, with its parameters
    (a boundary for example): it may mean something to the model.
    """
    sent, *_ = value.split(b";")
    name = sent.strip().lower().decode("latin-1")
    known = JSON_LINES_NAMES.get(name, name)
    if known in ALL or name == FORM:
        return media_of(value.replace(sent, known.encode("latin-1"), 1))
    return value.strip().decode("latin-1")


@lru_cache(256)
def timeout_of(value: bytes) -> float:
    """Return the seconds of an ``X-Request-Timeout``; raises ``InvalidInput``."""
    found = _DURATION.fullmatch(value.strip())
    seconds = float(found[1]) * (0.001 if found[2] == b"ms" else 1.0) if found else 0.0
    if seconds <= 0:
        raise InvalidInput(
            f"X-Request-Timeout {_shown(value)} is no duration",
            help="write it as 250ms, 2s or a number of seconds",
        )
    return seconds


def _json_bytes(value: bytes) -> int:
    if not _COUNT.fullmatch(value.strip()):
        raise InvalidInput(f"Inference-Header-Content-Length {_shown(value)} is no size in bytes")
    return int(value)


def priority_of(value: bytes) -> int:
    """Return the priority that an ``X-Priority`` names; raises ``InvalidInput``."""
    found = _PRIORITIES.get(value.strip().lower())
    if found is None:
        raise InvalidInput(f"X-Priority {_shown(value)} is not known", help="high or normal")
    return found


def _shown(value: bytes) -> str:
    return repr(value[:60].decode("latin-1"))
