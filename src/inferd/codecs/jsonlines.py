r"""``application/jsonlines``: one JSON value a line; a line is an example.

Lines end in ``\n`` or ``\r\n``; empty ones are passed over. Each is parsed by itself, so that a line
can neither hold two values nor reach into the next, and an error names its line.

Source: jsonlines.org; SageMaker's common data formats for inference.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from inferd.codecs import json
from inferd.core.errors import InvalidInput, TooLarge

MAX_LINES = 1 << 20


def loads(body: bytes, max_depth: int = json.MAX_DEPTH) -> list[Any]:
    """Return the values of a body; raises ``InvalidInput`` naming the line."""
    if body.count(b"\n") > MAX_LINES:
        raise TooLarge(f"the body has over {MAX_LINES} lines", help="send it in several requests")
    values = []
    for number, line in enumerate(body.split(b"\n"), 1):
        text = line.strip()
        if not text:
            continue
        try:
            values.append(json.loads(text, max_depth))
        except InvalidInput as error:
            raise InvalidInput(f"line {number}: {error.message}", help=error.help) from None
    if not values:
        raise InvalidInput("the body is empty", help="send one JSON value on each line")
    return values


def dumps(values: Iterable[Any]) -> bytes:
    """Return values, a line each."""
    return b"".join(json.dumps(value) + b"\n" for value in values)
