"""A replica over gRPC: the Open Inference Protocol by messages, streams by ``ModelStreamInfer``.

Imported where a service has a ``grpc://`` address only. What it means when something fails is what it
means over HTTP; an inferd names the kind of an error in the trailing metadata, others are told by the
status.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict

from inferd.codecs.oip_described import Described, describe
from inferd.codecs.protobuf.infer_client import (
    RequestWriter,
    read_error,
    read_piece,
    read_response,
    streaming,
)
from inferd.codecs.protobuf.messages import inference, parse
from inferd.core.errors import (
    KINDS,
    Cancelled,
    DeadlineExceeded,
    InferdError,
    InvalidInput,
    ModelFailed,
    NotAllowed,
    NotFound,
    Overloaded,
    Unavailable,
    Unsupported,
    from_kind,
)
from inferd.core.tensor import Tensors
from inferd.routing.remote import failure
from inferd.routing.remote.failure import Failure
from inferd.routing.remote.spec import Endpoint, ServiceSpec, TLSFiles
from inferd.routing.remote.wire import (
    SLOW_BYTES,
    Answered,
    Asked,
    rows_of,
    slow,
    tells_texts,
    timings_of,
)

_CODE = grpc.StatusCode
CLASSES: dict[grpc.StatusCode, type[InferdError]] = {
    _CODE.INVALID_ARGUMENT: InvalidInput,
    _CODE.OUT_OF_RANGE: InvalidInput,
    _CODE.FAILED_PRECONDITION: InvalidInput,
    _CODE.NOT_FOUND: NotFound,
    _CODE.PERMISSION_DENIED: NotAllowed,
    _CODE.UNAUTHENTICATED: NotAllowed,
    _CODE.UNIMPLEMENTED: Unsupported,
    _CODE.RESOURCE_EXHAUSTED: Overloaded,
    _CODE.UNAVAILABLE: Unavailable,
    _CODE.DEADLINE_EXCEEDED: DeadlineExceeded,
    _CODE.CANCELLED: Cancelled,
}
"""Status to class where the metadata do not say; any other is the model's."""

_SERVICE = "/inference.GRPCInferenceService/"
_UNBOUNDED = -1


def channel_options(endpoint: Endpoint, connect_timeout: float) -> list[tuple[str, Any]]:
    """Return how a channel to one replica behaves.

    Messages may be of any size: how large is the matter of whoever took the request. A replica that
    is gone is tried again soon: whether to wait for it is decided above.
    """
    milliseconds = int(connect_timeout * 1000)
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", _UNBOUNDED),
        ("grpc.max_send_message_length", _UNBOUNDED),
        ("grpc.default_authority", endpoint.authority),
        ("grpc.min_reconnect_backoff_ms", milliseconds),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.lb_policy_name", "pick_first"),
        ("grpc.enable_http_proxy", 0),
    ]
    if endpoint.secure:
        options.append(("grpc.ssl_target_name_override", endpoint.host))
    return options


def credentials(files: TLSFiles) -> grpc.ChannelCredentials:
    """Return the credentials of secure channels."""
    read = [None if f is None else f.read_bytes() for f in (files.ca, files.key, files.cert)]
    ca, key, cert = read
    return grpc.ssl_channel_credentials(ca, key if key or not cert else cert, cert)


class GRPCWire:
    """One replica of a service over gRPC."""

    def __init__(
        self, spec: ServiceSpec, endpoint: Endpoint, host: str,
        secure: grpc.ChannelCredentials | None = None, connect_timeout: float = 1.0,
    ) -> None:  # fmt: skip
        self._service = spec.name
        self._model = spec.model
        self._version = spec.version or ""
        self._where = f"{host}:{endpoint.port}"
        kind = "ipv6" if ":" in host else "ipv4"
        target = f"{kind}:[{host}]:{endpoint.port}" if kind == "ipv6" else f"ipv4:{self._where}"
        options = channel_options(endpoint, connect_timeout)
        if secure is not None:
            self._channel = grpc.aio.secure_channel(target, secure, options=options)
        else:
            self._channel = grpc.aio.insecure_channel(target, options=options)
        self._fixed = tuple((name.lower(), value) for name, value in spec.sent)
        self._calls: dict[str, Any] = {}
        self._streamed: Any = None
        self._writer: tuple[Described, RequestWriter] | None = None

    def _call(self, name: str) -> Any:
        found = self._calls.get(name)
        if found is None:
            found = self._calls[name] = self._channel.unary_unary(_SERVICE + name)
        return found

    async def _ask(
        self, name: str, message: bytes, seconds: float,
        headers: Sequence[tuple[str, str]] = (),
    ) -> tuple[bytes, Any]:  # fmt: skip
        """Return the answer and its trailing metadata."""
        timeout = None if math.isinf(seconds) else max(0.001, seconds)
        call = self._call(name)(message, timeout=timeout, metadata=(*self._fixed, *headers))
        try:
            body: bytes = await call
            return body, await call.trailing_metadata()
        except grpc.aio.AioRpcError as error:
            raise self._failed(error) from None

    # -- what it is --------------------------------------------------------------------------------

    async def describe(self, seconds: float) -> Described:
        end = time.monotonic() + seconds
        named = {"name": self._model, "version": self._version}
        request = inference("ModelMetadataRequest")(**named).SerializeToString()
        body, _ = await self._ask("ModelMetadata", request, seconds)
        config: Any = None
        try:
            request = inference("ModelConfigRequest")(**named).SerializeToString()
            raw, _ = await self._ask("ModelConfig", request, end - time.monotonic())
            config = _plain("ModelConfigResponse", raw).get("config", {})
            config.setdefault("max_batch_size", 0)  # what is nothing is not written
        except Failure as error:
            if not isinstance(error.error, (Unsupported, NotFound, InvalidInput, Unavailable)) or (
                error.blame and not isinstance(error.error, Unsupported)
            ):
                raise
        try:
            return describe(_plain("ModelMetadataResponse", body), config)
        except InferdError as error:
            raise failure.garbled(self._service, self._where, error.message) from None

    async def ready(self, seconds: float) -> bool:
        try:
            return await self._flag("ServerReady", {}, seconds)
        except Failure:
            return False

    async def model_ready(self, seconds: float) -> bool:
        named = {"name": self._model, "version": self._version}
        return await self._flag("ModelReady", named, seconds)

    async def _flag(self, name: str, named: dict[str, str], seconds: float) -> bool:
        request = inference(f"{name}Request")(**named).SerializeToString()
        body, _ = await self._ask(name, request, seconds)
        try:
            return bool(parse(inference(f"{name}Response"), body).ready)
        except InferdError as error:
            raise failure.garbled(self._service, self._where, error.message) from None

    # -- asking ------------------------------------------------------------------------------------

    def _write(self, asked: Asked, model: Described, *, streams: bool = False) -> bytes:
        known = self._writer
        if known is None or known[0] is not model:
            known = self._writer = (model, RequestWriter(self._model, self._version, model.dtypes))
        given = streaming(asked.parameters) if streams else asked.parameters
        try:
            return known[1].write(asked.inputs, asked.outputs, given)
        except InferdError as error:
            raise Failure(error) from None

    async def _written(self, asked: Asked, model: Described, *, streams: bool = False) -> bytes:
        if slow(asked.inputs):
            return await asyncio.to_thread(self._write, asked, model, streams=streams)
        return self._write(asked, model, streams=streams)

    async def infer(self, asked: Asked, model: Described, seconds: float) -> Answered:
        begin = time.monotonic()
        message = await self._written(asked, model)
        left = seconds - (time.monotonic() - begin)
        body, trailing = await self._ask("ModelInfer", message, left, asked.headers)
        try:
            if len(body) > SLOW_BYTES and tells_texts(model.signature):
                outputs, version = await asyncio.to_thread(read_response, body)
            else:
                outputs, version = read_response(body)
        except InferdError as error:
            raise failure.garbled(
                self._service, self._where, f"its answer is not understood: {error.message}"
            ) from None
        timings = timings_of(
            _text(trailing, "server-timing"), time.monotonic() - begin,
            rows_of(asked.inputs, model.signature) or 1,
        )  # fmt: skip
        return Answered(outputs, timings, version)

    async def stream(
        self, asked: Asked, model: Described, seconds: float
    ) -> AsyncIterator[Tensors]:
        end = time.monotonic() + seconds
        message = await self._written(asked, model, streams=True)
        if self._streamed is None:
            self._streamed = self._channel.stream_stream(_SERVICE + "ModelStreamInfer")
        timeout = None if math.isinf(seconds) else max(0.001, end - time.monotonic())
        # So that an error is a status with its kind, not a text among the pieces.
        strict = ("triton_grpc_error", "true")
        call = self._streamed(timeout=timeout, metadata=(*self._fixed, *asked.headers, strict))
        try:
            await call.write(message)
            while True:
                body = await call.read()
                if body is grpc.aio.EOF:
                    await self._ended(call)
                    return
                said = read_error(body)
                if said:
                    raise failure.refused(self._service, ModelFailed(said))
                found, last = read_piece(body)
                if found:
                    yield {
                        name: array
                        for name, array in found.items()
                        if asked.outputs is None or name in asked.outputs
                    }
                if last:
                    return
        except grpc.aio.AioRpcError as error:
            raise self._failed(error) from None
        except asyncio.InvalidStateError:  # the call is over already: its status says why
            await self._ended(call)
        except InferdError as error:
            raise failure.garbled(
                self._service, self._where, f"a piece of its answer: {error.message}"
            ) from None
        finally:
            call.cancel()

    async def _ended(self, call: Any) -> None:
        """Raise what a stream ended with before its answer was whole."""
        code = await call.code()
        if code is not _CODE.OK:
            raise self._status(code, await call.details(), await call.trailing_metadata())
        raise failure.garbled(
            self._service, self._where, "the stream ended before the answer was whole"
        )

    def _failed(self, error: grpc.aio.AioRpcError) -> Failure:
        return self._status(error.code(), error.details(), error.trailing_metadata())

    def _status(self, code: grpc.StatusCode, details: str | None, trailing: Any) -> Failure:
        kind = _text(trailing, "error-kind")
        said = details or f"the server answered {code.name} without an explanation"
        if kind is None:
            if code is _CODE.UNAVAILABLE:  # mostly gRPC's own word for a connection that is not
                return failure.unreached(self._service, self._where, said)
            if code is _CODE.DEADLINE_EXCEEDED:
                return failure.late(self._service, self._where, "no answer in time")
        if kind in KINDS and kind is not None:
            error = from_kind(kind, said)
        else:
            error = CLASSES.get(code, ModelFailed)(said)
        if isinstance(error, (Overloaded, Unavailable)):
            after = _text(trailing, "retry-after")
            error.retry_after = float(after) if after and after.isdecimal() else None
        return failure.refused(self._service, error)

    def drain(self) -> None:
        """Calls under way go on; ``aclose`` ends the channel."""

    async def aclose(self) -> None:
        await self._channel.close()


def _plain(name: str, body: bytes) -> dict[str, Any]:
    """Return a message as the JSON value that the REST half would have."""
    message = parse(inference(name), body)
    found: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return found


def _text(metadata: Any, key: str) -> str | None:
    for name, value in metadata or ():
        if name == key and isinstance(value, str):
            return value
    return None
