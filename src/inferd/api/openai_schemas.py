"""JSON Schemas of the OpenAI-compatible routes. Models are named in bodies, so one schema serves all.

They say what is taken here, which is less than OpenAI's own documents say in some places: see
``docs/openai.md``.
"""

from __future__ import annotations

from typing import Any

from inferd.codecs.embeddings import MAX_ITEMS
from inferd.codecs.openai_audio import FORMATS, GRANULARITIES, TRANSCRIBE, TRANSLATE
from inferd.codecs.openai_chat import MAX_CHOICES, MAX_MESSAGES, MAX_STOP, MAX_STOPS, ROLES

Schema = dict[str, Any]


def _object(properties: Schema, *required: str, **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), **more}


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_MODEL: Schema = {"type": "string", "minLength": 1, "description": "NAME, or NAME@VERSION."}
_LIMIT: Schema = _or_null({"type": "integer", "minimum": 1, "maximum": 1 << 31})
_STOP: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_STOP}
_USAGE: Schema = _object(
    {"prompt_tokens": _COUNT, "completion_tokens": _COUNT, "total_tokens": _COUNT},
    "prompt_tokens", "total_tokens",
)  # fmt: skip


def _number(low: float, high: float) -> Schema:
    return _or_null({"type": "number", "minimum": low, "maximum": high})


_SAMPLING: Schema = {
    "model": _MODEL,
    "stream": _or_null({"type": "boolean"}),
    "stream_options": _or_null(_object({"include_usage": _or_null({"type": "boolean"})})),
    "n": _or_null({"type": "integer", "minimum": 1, "maximum": MAX_CHOICES}),
    "max_tokens": _LIMIT,
    "stop": {"anyOf": [_STOP, _list(_STOP, maxItems=MAX_STOPS), {"type": "null"}]},
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "seed": _or_null({"type": "integer"}),
    "user": _or_null(TEXT),
}
_SCALARS: Schema = {
    "additionalProperties": {
        "type": ["string", "number", "boolean", "null"],
        "description": "What is not known here goes to the model as a parameter.",
    }
}
_PART: Schema = _object({"type": {"const": "text"}, "text": TEXT}, "type", "text")
_MESSAGE: Schema = _object(
    {"role": {"enum": list(ROLES)}, "content": {"anyOf": [TEXT, _list(_PART)]}}, "role", "content"
)

_EMBEDDINGS: Schema = _object(
    {
        "model": _MODEL,
        "input": {
            "anyOf": [
                {"type": "string", "minLength": 1},
                _list({"type": "string", "minLength": 1}, minItems=1, maxItems=MAX_ITEMS),
                _list({"type": "integer"}, minItems=1),
                _list(_list({"type": "integer"}, minItems=1), minItems=1, maxItems=MAX_ITEMS),
            ]
        },
        "encoding_format": {"enum": ["float", "base64", None]},
        "dimensions": _or_null({"type": "integer", "minimum": 1}),
    },
    "model",
    "input",
    **_SCALARS,
)
_VECTORS: Schema = _object(
    {
        "object": {"const": "list"},
        "data": _list(
            _object(
                {
                    "object": {"const": "embedding"},
                    "index": _COUNT,
                    "embedding": {
                        "anyOf": [
                            _list({"type": ["number", "null"]}),
                            {"type": "string", "contentEncoding": "base64"},
                        ]
                    },
                },
                "object", "index", "embedding",
            )
        ),
        "model": TEXT,
        "usage": _USAGE,
    },
    "object", "data", "model", "usage",
)  # fmt: skip
_COMPLETION: Schema = _object(
    {
        **_SAMPLING,
        "prompt": {"anyOf": [TEXT, _list(TEXT, minItems=1, maxItems=MAX_CHOICES)]},
        "echo": _or_null({"type": "boolean"}),
        "best_of": _or_null({"type": "integer", "description": "As many as n."}),
    },
    "model",
    "prompt",
    **_SCALARS,
)
_CHAT: Schema = _object(
    {
        **_SAMPLING,
        "messages": _list(_MESSAGE, minItems=1, maxItems=MAX_MESSAGES),
        "max_completion_tokens": _LIMIT,
    },
    "model",
    "messages",
    **_SCALARS,
)


def _answer(object: str, choice: Schema) -> Schema:
    shared = {"index": _COUNT, "logprobs": {"type": "null"}, "finish_reason": TEXT}
    return _object(
        {
            "id": TEXT,
            "object": {"const": object},
            "created": _COUNT,
            "model": TEXT,
            "system_fingerprint": TEXT,
            "choices": _list(_object({**shared, **choice}, *shared, *choice)),
            "usage": _USAGE,
        },
        "id", "object", "created", "model", "choices", "usage",
    )  # fmt: skip


_HEARD: Schema = {
    "file": {"description": "A whole audio file.", "type": "string", "minLength": 1},
    "model": _MODEL,
    "prompt": TEXT,
    "response_format": {"enum": list(FORMATS)},
    "temperature": {"type": "number", "minimum": 0, "maximum": 1},
    "stream": {"type": "boolean"},
}
_SPEECH: Schema = _object(
    {**_HEARD, "language": TEXT, "timestamp_granularities[]": _list({"enum": list(GRANULARITIES)})},
    "file",
    "model",
    additionalProperties={
        "type": ["string", "number", "boolean"],
        "description": "What is not known here goes to the model as a parameter.",
    },
)
_SECONDS: Schema = {"type": "number", "minimum": 0}
_TRANSCRIPT: Schema = _object(
    {
        "text": TEXT,
        "task": {"enum": [TRANSCRIBE, TRANSLATE]},
        "language": TEXT,
        "duration": _SECONDS,
        "segments": _list(
            _object(
                {"id": _COUNT, "start": _SECONDS, "end": _SECONDS, "text": TEXT},
                "id", "start", "end", "text",
            )
        ),
        "words": _list(
            _object({"word": TEXT, "start": _SECONDS, "end": _SECONDS}, "word", "start", "end")
        ),
        "usage": _object(
            {"type": {"const": "duration"}, "seconds": _SECONDS}, "type", "seconds"
        ),
    },
    "text",
)  # fmt: skip
_SAID: Schema = _object({"role": {"const": "assistant"}, "content": TEXT}, "role", "content")
_CARD: Schema = _object(
    {"id": TEXT, "object": {"const": "model"}, "created": _COUNT, "owned_by": TEXT},
    "id", "object", "created", "owned_by",
)  # fmt: skip

REQUESTS: dict[str, Schema] = {
    "openai_embeddings": _EMBEDDINGS,
    "openai_completions": _COMPLETION,
    "openai_chat": _CHAT,
    "openai_transcriptions": _SPEECH,
    "openai_translations": _SPEECH,
}
"""Door to the schema of its requests."""

RESPONSES: dict[str, Schema] = {
    "openai_embeddings": _VECTORS,
    "openai_completions": _answer("text_completion", {"text": TEXT}),
    "openai_chat": _answer("chat.completion", {"message": _SAID}),
    "openai_transcriptions": _TRANSCRIPT,
    "openai_translations": _TRANSCRIPT,
    "openai_models": _object({"object": {"const": "list"}, "data": _list(_CARD)}, "object", "data"),
    "openai_model": _CARD,
}
"""Door to the schema of its whole answers."""

STREAMS = ("openai_completions", "openai_chat")
"""Doors that may answer with server-sent events."""

ERROR: Schema = _object(
    {
        "error": _object(
            {
                "message": TEXT,
                "type": TEXT,
                "param": _or_null(TEXT),
                "code": _or_null(TEXT),
            },
            "message", "type", "param", "code",
        )
    },
    "error",
)  # fmt: skip
"""The body of an error."""
