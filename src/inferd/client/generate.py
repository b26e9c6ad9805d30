"""Text in, text out: which tensors of a generating model take the prompt and give its text. Pure.

The names are those that ``codecs.generation`` knows; a model with one text input needs none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inferd.client.result import Result
from inferd.codecs.generation import FINISH, PROMPTS, TEXTS
from inferd.core.errors import InvalidInput
from inferd.core.signature import Signature
from inferd.core.tensor import BYTES, as_bytes


def prompted(prompt: Any, signature: Signature) -> Any:
    """Return the inputs for a prompt; ``{name: value}`` is taken as it is."""
    if isinstance(prompt, Mapping):
        return prompt
    if not signature.inputs:
        return {PROMPTS[-1]: prompt}
    texts = [spec.name for spec in signature.inputs if spec.dtype is BYTES]
    name = next((name for name in PROMPTS if name in texts), None)
    if name is None and len(texts) != 1:
        named = ", ".join(repr(spec.name) for spec in signature.inputs)
        raise InvalidInput(
            "the model has no input for a prompt", help=f"give {{name: value}}; it takes {named}"
        )
    return {name or texts[0]: prompt}


def text_of(piece: Result, signature: Signature) -> str:
    """Return what is new of the text in a piece."""
    texts = [spec.name for spec in signature.outputs if spec.dtype is BYTES]
    names = (*(name for name in TEXTS if name in texts or not texts), *texts)
    name = next((name for name in names if name in piece and name != FINISH), None)
    if name is None:
        return ""
    return b"".join(map(as_bytes, piece[name].flat)).decode("utf-8", "replace")
