"""One question to a model: the request that puts it, and the result its answer is. Pure."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from inferd.client.given import Given
from inferd.client.options import PRIORITIES
from inferd.client.result import Result, stripped, timings_of
from inferd.client.wire import (
    BINARY_HEADER,
    EVENTS,
    JSON,
    OCTETS,
    REQUEST_ID,
    Answer,
    Outgoing,
    model_path,
)
from inferd.codecs import json
from inferd.codecs.oip_client import decode_response, encode_request
from inferd.core.errors import InferdError, InvalidInput, Unavailable, nearest
from inferd.core.message import Parameters, carried

UNSAID: Final[Any] = object()
"""No inputs were given: the only argument is the inputs, and the server has one model."""

_SMALL = 1024  # bytes; shorter bodies gain nothing from compression


@dataclass(frozen=True, slots=True)
class Question:
    """What a caller asks; see ``Client.predict``."""

    model: str | None
    inputs: Any
    version: str | None = None
    outputs: tuple[str, ...] | None = None
    parameters: Parameters | None = None
    timeout: float | str | None = None
    priority: str | None = None
    request_id: str | None = None


def question(
    model: Any,
    inputs: Any,
    version: str | int | None,
    outputs: str | Sequence[str] | None,
    parameters: Mapping[str, Any] | None,
    timeout: float | str | None,
    priority: str | None,
    request_id: str | None,
) -> Question:
    """Return the question that the arguments of a call stand for; raises ``InvalidInput``."""
    if inputs is UNSAID:
        model, inputs = None, model
        if inputs is None:
            raise InvalidInput("no inputs are given", help="predict(model, inputs)")
    elif model is not None and not isinstance(model, str):
        raise InvalidInput(f"a model's name is a text, not {type(model).__name__}")
    if priority is not None and priority not in PRIORITIES:
        help = nearest(str(priority), PRIORITIES)
        raise InvalidInput(f"unknown priority {priority!r}", help=help)
    return Question(
        model, inputs, None if version is None else str(version),
        (outputs,) if isinstance(outputs, str) else None if outputs is None else tuple(outputs),
        None if parameters is None else {k: carried(v) for k, v in parameters.items()}, timeout, priority, request_id,
    )  # fmt: skip


def infer_request(
    asked: Question, model: str, given: Given, *, binary: bool, schedules: bool, coding: str | None
) -> Outgoing:
    """Return the infer request of the Open Inference Protocol.

    ``schedules``: the server knows the parameter ``priority``; ``coding`` compresses the body.
    """
    parameters = dict(asked.parameters or {})
    if schedules and asked.priority == "high":
        parameters.setdefault("priority", 1)
    body, json_bytes = encode_request(
        given.tensors, asked.outputs, asked.request_id, parameters or None, binary=binary
    )
    headers = {"Content-Type": JSON if json_bytes is None else OCTETS}
    if json_bytes is not None:
        headers[BINARY_HEADER] = str(json_bytes)
    path = model_path(model, asked.version, "infer")
    return compressed(Outgoing("POST", path, _with_priority(headers, asked), body), coding)


def stream_request(
    asked: Question, model: str, given: Given, *, batched: bool, coding: str | None
) -> Outgoing:
    """Return the request for an answer in pieces (Triton's generate extension).

    An input is the value of its name: one value as such, more of them as lists, without the batch
    axis. Raises ``InvalidInput`` for several examples.
    """
    body: dict[str, Any] = {}
    for name, array in given.tensors.items():
        if batched and len(array) != 1:
            raise InvalidInput(
                f"a stream answers one example; input {name!r} holds {len(array)}",
                help="ask for each example alone, or use predict",
            )
        value = array[0, ...] if batched else array
        body[name] = value.reshape(-1)[0] if value.size == 1 else value
    if asked.request_id is not None:
        body["id"] = asked.request_id
    if asked.parameters:
        body["parameters"] = dict(asked.parameters)
    headers = _with_priority({"Content-Type": JSON, "Accept": EVENTS}, asked)
    path = model_path(model, asked.version, "generate_stream")
    return compressed(Outgoing("POST", path, headers, json.dumps(body)), coding)


def _with_priority(headers: dict[str, str], asked: Question) -> dict[str, str]:
    return headers if asked.priority is None else {**headers, "X-Priority": asked.priority}


def compressed(request: Outgoing, coding: str | None) -> Outgoing:
    """Return a request with its body compressed, where that was asked for and the body is long."""
    if coding is None or len(request.body) < _SMALL:
        return request
    headers = {**request.headers, "Content-Encoding": coding}
    return request._replace(headers=headers, body=gzip.compress(request.body, 1, mtime=0))


def result_of(answer: Answer, given: Given, url: str) -> Result:
    """Return the result that an infer response holds; raises ``Unavailable`` for what is none."""
    size = answer.headers.get(BINARY_HEADER)
    try:
        outputs, rest = decode_response(answer.body, int(size) if size is not None else None)
    except (InferdError, ValueError) as error:
        what = error.message if isinstance(error, InferdError) else str(error)
        raise Unavailable(
            f"{url}: the answer cannot be read: {what}",
            help="does the server speak the Open Inference Protocol?",
        ) from None
    return Result(
        stripped(outputs, single=given.single),
        model=str(rest.get("model_name") or ""),
        version=str(rest.get("model_version") or ""),
        id=rest.get("id"),
        request_id=answer.headers.get(REQUEST_ID),
        parameters=rest.get("parameters"),
        timings=timings_of(answer.headers.get("server-timing")),
        single=given.single,
        index=given.index,
    )
