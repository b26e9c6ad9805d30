"""Doors of SageMaker: the container's ``/ping`` and ``/invocations``, and the runtime API's endpoints.

A container answers for its only model, or for the one that the settings name. Before a platform stands
the runtime API, whose endpoints are here the models themselves: boto3 with an ``endpoint_url`` asks
``/endpoints/{model}/invocations``. ``X-Amzn-SageMaker-Target-Model`` and ``-Inference-Component`` name
another model than the endpoint's (the way multi-model endpoints are asked), a ``-Target-Variant`` that
is a number names a version; ``-Custom-Attributes`` are echoed; other headers of the API are ignored.

What a body is its content type says, what the answer shall be ``Accept``. A model that reads whole
bodies (``core.script``) gets them as they came.

Sources: SageMaker developer guide, "Custom inference code with hosting services"; botocore,
sagemaker-runtime 2017-05-13.
"""

from __future__ import annotations

from typing import Any

from inferd.api.call import Call
from inferd.api.health import Readiness
from inferd.api.inference import Inference, Target, resolve
from inferd.api.settings import ApiSettings
from inferd.codecs import accept as negotiation
from inferd.codecs.answers import offers
from inferd.codecs.base import Decoded, Encoded
from inferd.codecs.media import JSON, JSON_LINES, JSON_LINES_NAMES
from inferd.codecs.registry import sagemaker_door
from inferd.codecs.sagemaker import bodies
from inferd.core import script
from inferd.core.errors import (
    InvalidInput,
    ModelFailed,
    NotAcceptable,
    Unsupported,
    UnsupportedMedia,
)
from inferd.core.signature import Signature
from inferd.core.tensor import Tensors
from inferd.routing.table import RouteTable, Version
from inferd.transport.message import HTTPRequest, HTTPResponse

EVENTS = "text/event-stream"
TARGETS = (b"x-amzn-sagemaker-target-model", b"x-amzn-sagemaker-inference-component")
_ARCHIVE = ".tar.gz"  # targets of multi-model endpoints are archives: iris.tar.gz
_VARIANT = "AllTraffic"  # the name of an endpoint's only variant


class SageMakerDoors:
    """``/ping``, and what aims at a model."""

    def __init__(
        self, table: RouteTable, inference: Inference, readiness: Readiness, settings: ApiSettings
    ) -> None:
        self._table = table
        self._inference = inference
        self._readiness = readiness
        self._settings = settings

    async def ping(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Say whether the container is ready: 200 or 503, without a body."""
        status = 503 if self._readiness.reasons() else 200
        return HTTPResponse(status, b"", headers=call.headers)

    async def later(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Refuse to answer later."""
        raise Unsupported(
            "asynchronous invocations are not offered: they need a store for bodies and answers",
            help="use invoke_endpoint",
        )

    def aim(self, request: HTTPRequest, call: Call) -> Target:
        """Aim at a version, with the codec of the body's type and of the answer's."""
        version = resolve(self._table, call)
        signature = version.signature
        terms = call.terms
        if signature is not None and script.reads_bodies(signature):
            wanted = negotiation.first(terms.accept, self._settings.default_accept)
            whole = WholeCodec(call.media, wanted)
            return Target(version, "whole", whole, whole)
        codecs = self._inference.codecs(version)
        if call.media not in bodies(codecs.signature):
            raise UnsupportedMedia(
                f"this model does not take {call.media[:60]}",
                help="it takes " + ", ".join(bodies(codecs.signature)),
            )
        answer = self._answer(call, codecs.signature, streams=version.streams)
        door = sagemaker_door(call.media, JSON if answer == EVENTS else answer)
        codec = codecs.dialect(door)
        return Target(version, door, codec, codec)

    def prefer(self, call: Call, version: Version) -> str:
        """Return the type in which a call is answered."""
        assert version.signature is not None
        return self._answer(call, version.signature, streams=version.streams)

    def _answer(self, call: Call, signature: Signature, *, streams: bool) -> str:
        wanted = call.terms.accept
        if not negotiation.ranges(wanted) or wanted == "*/*":
            if call.media == JSON_LINES:  # in kind, as all JSON is
                return JSON_LINES
            wanted = self._settings.default_accept
        offered = offers(signature)
        if streams:
            offered += (EVENTS,)
        known = JSON_LINES_NAMES if JSON_LINES in offered else {}
        chosen = negotiation.choose(wanted, (*offered, *known))
        if chosen is None:
            raise NotAcceptable(
                f"this model does not answer in {call.terms.accept[:80]}",
                help="it has " + ", ".join(offered),
            )
        return known.get(chosen, chosen)


class WholeCodec:
    """Carries bodies to a model that reads them itself, and its answers back."""

    def __init__(self, media: str, accept: str) -> None:
        self._media = media
        self._accept = accept

    def decode(self, body: bytes) -> Decoded:
        """Take the body as it is."""
        inputs = script.request(bytes(body), self._media, self._accept)
        return Decoded(inputs, None, True, raw=True)

    def encode(
        self,
        outputs: Tensors | list[Tensors],
        single: bool,
        id: str | None = None,
        model: str = "",
        version: str = "",
        form: Any = None,
    ) -> Encoded:
        """Give the answer as it is, in the type that the model says."""
        row = outputs[0] if isinstance(outputs, list) else outputs
        body, media = script.answer(row)
        if not media.isascii() or not media.isprintable() or not media:
            raise ModelFailed(f"the model answered in the content type {media[:60]!r}")
        return Encoded(body, media.encode())


def prepare_container(settings: ApiSettings, table: RouteTable, call: Call) -> None:
    """Choose the model of ``/invocations`` where several are served."""
    if call.values:
        return
    if settings.default_model is not None:
        call.values = (settings.default_model,)
        return
    try:
        table.find(None)
    except InvalidInput as error:
        raise InvalidInput(
            error.message,
            help="set SAGEMAKER_INFERD_DEFAULT_MODEL_NAME to one of: " + ", ".join(table.names()),
        ) from None


def prepare_endpoint(request: HTTPRequest, call: Call) -> None:
    """Heed the headers of the runtime API: whom they name, and what the answer's headers are."""
    header = request.header
    session = header(b"x-amzn-sagemaker-session-id")
    if session is not None:
        raise InvalidInput(
            "stateful sessions are not enabled", help="leave out X-Amzn-SageMaker-Session-Id"
        )
    name = call.values[0]
    for target in TARGETS:
        given = header(target)
        if given is not None:
            name = given.decode("latin-1").removesuffix(_ARCHIVE)
            break
    variant = (header(b"x-amzn-sagemaker-target-variant") or b"").decode("latin-1")
    call.values = (name, variant) if variant.isdecimal() else (name,)
    answered = [
        (b"x-Amzn-Invoked-Production-Variant", (variant or _VARIANT).encode("latin-1")),
        (b"x-amzn-RequestId", call.id.encode()),
    ]
    attributes = header(b"x-amzn-sagemaker-custom-attributes")
    if attributes is not None:
        answered.append((b"X-Amzn-SageMaker-Custom-Attributes", attributes))
    call.headers = [*(h for h in call.headers if h not in answered), *answered]
