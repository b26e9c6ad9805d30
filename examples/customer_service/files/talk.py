"""What is said: the prompt of a reply, and the check of what the model made of it. Pure.

The model is small (135 million parameters), so it is shown twice how a note is turned into a reply, and is
given the first words of its own. What it then says is checked against the note, word by word.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

from inferd.core.errors import InvalidInput

TURNS, LONGEST_TURN = 4, 300
"""Of the conversation so many messages are kept, each cut off after so many characters."""

OPENING = 3
"""Words of the note that a reply begins with."""

KNOWN = 0.9
"""So many of a reply's words must stand in the note."""

SYSTEM = "You answer customers. Say what the note says."
SHOWN = (
    ("Where can I leave my coat?", "The cloakroom is on the first floor. It costs 2 euros."),
    ("When can we eat in the morning?",
     "Breakfast is served between 7 a.m. and 10 a.m. in the garden room."),
)  # fmt: skip
CONTINUING = re.compile(r"(and|but|also|then|what about|how about)\b", re.IGNORECASE)
POINTING = re.compile(r"\b(it|that|they|them|there|those|this|one)\b", re.IGNORECASE)
"""How a question begins that goes on from another, and the words that may point to it."""

SOMEBODY = re.compile(
    r"\b(talk|speak|connect|transfer|put) (me )?(through )?(to|with) "
    r"(an?|the|your|some|one of your|somebody|someone|another)?\b.*"
    r"\b(somebody|someone|person|human|agent|colleagues?|employee|manager|supervisor|operator)\b",
    re.IGNORECASE,
)
"""How one asks for a person whatever else is said, the number of an order for instance."""

SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")

SMALL = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be but by can do does for from has have i if in is it its may must of on or "
        "our so that the their them then there these they this to us was we when where which will with "
        "yes you your",
    )
)
TELLING = frozenset(
    (
        "no",
        "not",
        "never",
        "cannot",
        "without",
        "nobody",
        "sorry",
        "unable",
        "our",
        "us",
        "my",
        "me",
    )
)
"""Small words that turn what is said around: denials, and whose something is."""


def conversation(text: str) -> list[dict[str, str]]:
    """Return the last messages of a conversation, ``[]`` for none. Raises ``InvalidInput``."""
    if not text.strip():
        return []
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, list) or not all(isinstance(m, dict) for m in given):
        raise InvalidInput(
            "messages is no conversation",
            help='send JSON: [{"role": "user", "content": "..."}, {"role": "assistant", ...}]',
        )
    said = [{"role": str(m.get("role")), "content": _content(m.get("content"))} for m in given]
    return [m for m in said if m["role"] in ("user", "assistant") and m["content"]][-TURNS - 1 :]


def _content(content: Any) -> str:
    """Return the text of a message; of one in parts, that of its parts."""
    if isinstance(content, list):
        content = " ".join(str(p["text"]) for p in content if isinstance(p, dict) and "text" in p)
    return plain(content) if isinstance(content, str) else ""


def plain(text: str) -> str:
    """Return a text on one line, without what would end a turn of the prompt, and not too long."""
    return " ".join(text.replace("<|", "< |").split())[:LONGEST_TURN]


def queries(text: str, history: list[dict[str, str]]) -> list[str]:
    """Return what is looked up: the question; where it may follow another, that one and both together too.

    Where it goes on from another it is nothing alone, so those two only.
    """
    said = [m["content"] for m in history if m["role"] == "user"]
    if not said or not text:
        return [text]
    first = len(said) - 1
    while first and CONTINUING.match(said[first]):
        first -= 1  # what goes on from another is nothing without that one either
    before = " ".join(said[first:])
    both = [before, f"{before} {text}"]
    if CONTINUING.match(text):
        return both
    return [text, *both] if POINTING.search(text) else [text]


def wants_person(text: str) -> bool:
    """Return whether somebody asks for a person in so many words."""
    return SOMEBODY.search(text) is not None


def opening(note: str) -> str:
    """Return the first words of a note."""
    return " ".join(note.split()[:OPENING])


def prompt(text: str, note: str, history: list[dict[str, str]]) -> str:
    """Return what the model goes on from: it has shown twice how to reply, and begun a third time."""
    turns = [*SHOWN, *_exchanges(history)]
    said = [f"<|im_start|>system\n{SYSTEM}<|im_end|>\n"]
    said += [f"{_asked(asked, told)}{told}<|im_end|>\n" for asked, told in turns]
    return "".join([*said, _asked(plain(text), note), opening(note)])


def _asked(text: str, note: str) -> str:
    return f"<|im_start|>user\nQuestion: {text}\nNote: {note}<|im_end|>\n<|im_start|>assistant\n"


def _exchanges(history: list[dict[str, str]]) -> list[tuple[str, str]]:
    """Return the last question that was answered, with its answer."""
    found = [
        (asked["content"], told["content"])
        for asked, told in itertools.pairwise(history)
        if (asked["role"], told["role"]) == ("user", "assistant")
    ]
    return found[-1:]


def tidy(reply: str) -> str:
    """Return the whole sentences of a reply's first line, each once."""
    line = reply.strip().split("\n")[0]
    sentences = SENTENCES.split(line.strip())
    if len(sentences) > 1 and sentences[-1][-1:] not in (".", "!", "?"):
        sentences.pop()  # the model was stopped within it
    return " ".join(dict.fromkeys(sentences))


def grounded(reply: str, note: str) -> bool:
    """Return whether a reply says nothing but what the note says.

    All numbers and names must stand in the note, denials and possessives too, and nearly all other words.
    """
    known = set(_words(note))
    lower = {word.lower() for word in known}
    stems = {_stem(word) for word in lower}
    if reply[-1:] not in (".", "!", "?"):
        return False
    sentences = [_words(sentence) for sentence in SENTENCES.split(reply)]
    said = [word for sentence in sentences for word in sentence]
    named = {word for sentence in sentences for word in sentence[1:] if word[0].isupper()}
    named |= {word for word in said if any(c.isdigit() for c in word)}
    telling = {w for w in map(str.lower, said) if w in TELLING or w.endswith("n't")}
    if not (named <= known and telling <= lower):
        return False
    content = [word.lower() for word in said if word.lower() not in SMALL]
    if not content:
        return False
    return sum(_stem(word) in stems for word in content) / len(content) >= KNOWN


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]+(?:'[a-z]+)?|\d+(?:[.,]\d+)*", text)


def _stem(word: str) -> str:
    return re.sub(r"(ies|es|ed|ing|s|y)$", "", word) if len(word) > 4 else word
