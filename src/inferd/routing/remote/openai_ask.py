"""What an engine of the OpenAI dialect is asked: requests to bodies, and what its models take and give. Pure.

Parameters go along as fields of the body. Those that decide how an answer is written are set here.

Source: openai/openai-openapi, openapi.yaml 2.3.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inferd.codecs import json
from inferd.codecs.generation import COMPLETION_TOKENS, FINISH, MESSAGES, PROMPT_TOKENS
from inferd.codecs.oip_described import Described
from inferd.codecs.openai import estimated
from inferd.core.errors import InvalidInput
from inferd.core.message import Parameters
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, FP32, INT64, Tensors, as_bytes
from inferd.routing.remote.spec import EMBED, GENERATE

PROMPT, TEXT, EMBEDDING = "prompt", "text", "embedding"
CHAT, COMPLETIONS, EMBEDDINGS = "/chat/completions", "/completions", "/embeddings"

OURS = (
    "model", MESSAGES, PROMPT, "input", "stream", "stream_options", "encoding_format", "n", "best_of",
)  # fmt: skip
"""Fields that no parameter may set."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request to an engine: where to, its body without the model, and about how long its prompt is."""

    path: str
    body: dict[str, Any]
    tokens: int


def generator() -> Described:
    """Return what a model that generates takes and gives: a prompt or a conversation, and text."""
    row = (-1,)
    signature = Signature(
        (TensorSpec(PROMPT, BYTES, row, default=""), TensorSpec(MESSAGES, BYTES, row, default="")),
        (
            TensorSpec(TEXT, BYTES, row),
            TensorSpec(FINISH, BYTES, row),
            TensorSpec(PROMPT_TOKENS, INT64, row),
            TensorSpec(COMPLETION_TOKENS, INT64, row),
        ),
    )
    return Described(signature, BatchPlan(split=True), streams=True, task=GENERATE)


def embedder(size: int) -> Described:
    """Return what a model of embeddings takes and gives: texts, and vectors of ``size`` numbers."""
    signature = Signature(
        (TensorSpec(TEXT, BYTES, (-1,)),),
        (TensorSpec(EMBEDDING, FP32, (-1, size)), TensorSpec(PROMPT_TOKENS, INT64, (-1,))),
    )
    return Described(signature, BatchPlan(), task=EMBED)


def generation(inputs: Tensors, parameters: Parameters) -> Question:
    """Return the question that a request to generate is; raises ``InvalidInput``.

    A conversation goes before a prompt: who sends both means the same by them.
    """
    prompt, messages = _first(inputs, PROMPT), _first(inputs, MESSAGES)
    body = _fields(parameters)
    if messages:
        body[MESSAGES] = _conversation(messages)
    elif prompt:
        body[PROMPT] = _utf8(prompt, PROMPT)
    else:
        raise InvalidInput(
            f"the inputs {PROMPT!r} and {MESSAGES!r} are both empty", help="send one of them"
        )
    body["stream"] = True
    tokens = estimated([messages or prompt])
    return Question(CHAT if messages else COMPLETIONS, body, tokens)


def embedding(inputs: Tensors, parameters: Parameters) -> Question:
    """Return the question that texts to embed are; raises ``InvalidInput``."""
    array = inputs.get(TEXT)
    given = [] if array is None else [as_bytes(element) for element in array.reshape(-1).tolist()]
    body = _fields(parameters)
    body["input"] = [_utf8(element, TEXT) for element in given]
    return Question(EMBEDDINGS, body, estimated(given))


def _fields(parameters: Parameters) -> dict[str, Any]:
    for name in OURS:
        if name in parameters:
            raise InvalidInput(
                f"the parameter {name!r} is not one that a request can set",
                help="ask several times" if name in ("n", "best_of") else None,
            )
    return dict(parameters)


def _first(inputs: Tensors, name: str) -> bytes:
    array = inputs.get(name)
    if array is None or not array.size:
        return b""
    return as_bytes(array.reshape(-1)[0])


def _conversation(data: bytes) -> list[Any]:
    try:
        found = json.loads(data)
    except InvalidInput as error:
        raise InvalidInput(f"the input {MESSAGES!r}: {error.message}") from None
    if not isinstance(found, list) or not found or not all(isinstance(m, dict) for m in found):
        raise InvalidInput(
            f"the input {MESSAGES!r} must be a list of messages, as JSON",
            help='[{"role": "user", "content": "..."}]',
        )
    return found


def _utf8(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the input {name!r} is not UTF-8: byte {error.start}") from None
