"""Text of a conversation that looks like a token with which the model's template marks roles and ends.

A tokenizer reads ``<|im_end|>`` as that token wherever it stands, so whoever writes it into a message could
speak in another's name. While the template is applied such texts are hidden behind characters that no
text needs; afterwards each is encoded in pieces that are no such token. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from inferd.core.errors import InvalidInput

_FIRST, _COUNT = 0xF0000, 0xFFFE
"""The private use area that stands for them: a text that holds such characters has them hidden too."""

_PRIVATE = f"[{chr(_FIRST)}-{chr(_FIRST + _COUNT - 1)}]"

Messages = list[dict[str, str]]


def added_tokens(tokenizer: Any) -> Mapping[str, bool]:
    """Return the texts that ``tokenizer.json`` reads as one token, and whether it calls each special."""
    rows = tokenizer.get("added_tokens") if isinstance(tokenizer, dict) else None
    found = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return {
        row["content"]: row.get("special") is True
        for row in found
        if isinstance(row.get("content"), str) and len(row["content"]) > 1
    }


def marks_of(added: Mapping[str, bool], written: str) -> list[str]:
    """Return the tokens that mark something: the special ones, and those that the template has ``written``."""
    return [text for text, special in added.items() if special or text in written]


class Marks:
    """The texts that are not to become tokens where they stand in a message."""

    def __init__(self, marks: Iterable[str]) -> None:
        self._marks = sorted(marks, key=len, reverse=True)
        self._pattern = re.compile("|".join([*map(re.escape, self._marks), _PRIVATE]))

    def hidden(self, messages: Messages) -> tuple[Messages, list[str]]:
        """Return the messages with one character for each mark, and what these stand for."""
        numbers: dict[str, int] = {}

        def hide(match: re.Match[str]) -> str:
            number = numbers.setdefault(match[0], len(numbers))
            if number >= _COUNT:
                raise InvalidInput("messages hold too many characters of private use")
            return chr(_FIRST + number)

        kept = [{**row, "content": self._pattern.sub(hide, row["content"])} for row in messages]
        return kept, list(numbers)

    def pieces(self, mark: str) -> list[str]:
        """Return texts that make up ``mark``, none of which is or holds one."""
        head, tail = mark[:1], mark[1:]
        return list(mark) if any(other in tail for other in self._marks) else [head, tail]


def shown(text: str, marks: Sequence[str]) -> tuple[str, ...]:
    """Return a text cut at the characters that stand for ``marks``: every second part is such a mark."""
    if not marks:
        return (text,)
    last = chr(_FIRST + len(marks) - 1)
    parts = re.split(f"([{chr(_FIRST)}-{last}])", text)
    return tuple(
        marks[ord(part) - _FIRST] if index % 2 else part for index, part in enumerate(parts)
    )
