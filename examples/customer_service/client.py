"""Ask the customer service: ``python -m examples.customer_service.client --text "Do you deliver to Norway?"``.

``--wav FILE`` asks by a recording; without either it is a conversation, until an empty line.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from examples.kit.command import status
from inferd import Client

MODEL = "customer_service"
LISTS = ("entities", "entity_kinds")
GROWING = ("draft",)
"""Outputs of which each piece brings what is new; of the others the last counts."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Reply:
    """An answer: ``found`` has its outputs; ``first`` and ``total`` are seconds from the question on."""

    found: dict[str, Any] = field(default_factory=dict)
    first: float = 0.0
    total: float = 0.0


def ask(
    client: Client,
    text: str = "",
    audio: bytes = b"",
    history: Sequence[dict[str, str]] = (),
    say: Say = lambda _: None,
) -> Reply:
    """Ask once. ``history``: the conversation so far; ``say`` is given the draft of the reply as it comes."""
    inputs = {
        "text": text,
        "audio": audio,
        "messages": json.dumps(list(history)) if history else "",
    }
    reply, begin = Reply(), time.monotonic()
    for piece in client.stream(MODEL, {name: value for name, value in inputs.items() if value}):
        if not reply.found:
            reply.first = time.monotonic() - begin
            say(piece.text("opening") if "opening" in piece else "")
        for name in piece:
            value = _plain(np.atleast_1d(piece[name]) if name in LISTS else piece[name])
            if name in GROWING:
                say(value)
                value = reply.found.get(name, "") + value
            reply.found[name] = value
    reply.total = time.monotonic() - begin
    return reply


def _plain(value: Any) -> Any:
    """Return a value as texts, numbers and lists of them."""
    if isinstance(value, np.ndarray):
        return [_plain(v) for v in value] if value.ndim else _plain(value.item())
    return (
        value.decode()
        if isinstance(value, bytes)
        else value.item()
        if hasattr(value, "item")
        else value
    )


def described(reply: Reply) -> str:
    """Return what is known besides the reply, a line for each thing."""
    found = reply.found
    pairs = zip(found["entities"], found["entity_kinds"], strict=True)
    lines = [f"heard       {found['transcript']}"] if found["transcript"] else []
    lines += [
        f"intent      {found['intent']}  {found['confidence']:.2f}",
        f"entities    {', '.join(f'{text} ({kind})' for text, kind in pairs) or '-'}",
        f"passage     {found['passage_id'] or '-'}  {found['similarity']:.2f}",
    ]
    if found["handover"]:
        lines.append(f"handover    to a person: {found['reason']}")
    lines.append(f"time        {reply.first:.2f} s to the first piece, {reply.total:.2f} s in all")
    return "\n".join(lines)


def turn(client: Client, history: list[dict[str, str]], text: str = "", audio: bytes = b"") -> None:
    """Ask, print the draft as it comes and then the answer, and keep both in the conversation."""
    reply = ask(client, text, audio, history, lambda new: print(new, end="", flush=True))
    print(f"\n{described(reply)}\nanswer      {reply.found['text']}")
    asked = text or reply.found["transcript"]
    history += [
        {"role": "user", "content": asked},
        {"role": "assistant", "content": reply.found["text"]},
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Ask the customer service.")
    parser.add_argument("--text", help="a question")
    parser.add_argument("--wav", type=Path, help="a question as a recording: wav, flac or ogg")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the server's address")
    chosen = parser.parse_args(arguments)
    return status(lambda: converse(chosen.url, chosen.text, chosen.wav))


def converse(url: str, text: str | None, wav: Path | None) -> int:
    """Ask one question, or those that are typed until an empty line."""
    history: list[dict[str, str]] = []
    with Client(url) as client:
        if wav is not None:
            turn(client, history, audio=wav.read_bytes())
        elif text is not None:
            turn(client, history, text=text)
        else:
            while line := input("> ").strip():
                turn(client, history, text=line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
