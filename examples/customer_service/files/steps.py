"""The Python steps of the customer service: what was asked, what is decided, and what is said at last."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypedDict

import choose
import numpy as np
import talk

from inferd.core.errors import InvalidInput

LONGEST = 2000
"""Characters of a question."""

ASSISTANT = "assistant:"
"""How a conversation ends that was written as one text (OpenAI's door does)."""

Labels = Annotated[np.ndarray, "string", (-1, -1)]
Scores = Annotated[np.ndarray, "float32", (-1, -1)]

FIXED = {
    "greeting": "Hello! Ask me about deliveries, returns, payments, your account or our shop.",
    "thanks": "You are welcome. Have a nice day!",
    "nothing_heard": "I could not hear a question. Please say it again, or type it.",
    "asked_for_person": "I will connect you with a colleague{about}. Please stay here for a moment.",
    "out_of_scope": "I can only answer questions about our shop, in English. A colleague can help you{about}.",
    "not_sure": "I am not sure that I understand you. A colleague will help you{about}.",
    "no_passage": "I have found nothing about that. A colleague will help you{about}.",
}
"""What is said instead of a reply, by reason."""


class Given(TypedDict):
    """``text``: typed; ``history``: what was said before, as JSON; ``spoken``: there is audio instead."""

    text: str
    history: str
    spoken: bool


def given(audio: bytes, text: str, messages: str) -> Given:
    """Find the question of a request: the text, the audio, or the last message of the conversation."""
    history = talk.conversation(messages)
    last = history[-1]["content"] if history and history[-1]["role"] == "user" else ""
    text = text.strip()
    if last and text.endswith(ASSISTANT):
        text = ""
    if len(text) > LONGEST:
        raise InvalidInput(f"the text has {len(text)} characters, more than {LONGEST}")
    if audio and text:
        raise InvalidInput(
            "the question comes twice, as text and as audio", help="send one of them"
        )
    if last and not text and not audio:
        text, history = last, history[:-1]
    if not text and not audio:
        raise InvalidInput(
            "there is no question",
            help="send it as text, as audio (wav, flac or ogg), or as the last of messages",
        )
    return {"text": text, "history": json.dumps(history[-talk.TURNS :]), "spoken": not text}


class Question(TypedDict):
    """``text``: the question; ``transcript``: what was heard; ``queries``: what is looked up."""

    text: str
    transcript: str
    queries: list[str]


def question(text: str, heard: str, history: str) -> Question:
    """Bring what was typed and what was heard together."""
    heard = heard.strip()
    text = (text or heard)[:LONGEST]
    return {"text": text, "transcript": heard, "queries": talk.queries(text, json.loads(history))}


class Decided(TypedDict):
    """What is known before the reply. ``fixed``: what is said instead of one, else the passage."""

    intent: str
    confidence: float
    passage: str
    passage_id: str
    similarity: float
    handover: bool
    reason: str
    generate: bool
    prompt: str
    opening: str
    fixed: str


def decide(
    text: str,
    history: str,
    intents: Labels,
    confidences: Scores,
    passages: Labels,
    similarities: Scores,
    entities: list[str],
    kinds: list[str],
) -> Decided:
    """Choose the passage, or why a person should answer. There is a row for each text that was looked up."""
    known = faq()
    rows = zip(intents, confidences, passages, similarities, strict=True)
    looks = [choose.Look(_ranked(i, c), _ranked(p, s)) for i, c, p, s in rows]
    look, before = choose.looked(looks, thresholds())
    topics = {name: p["topic"] for name, p in known.items()}
    person = talk.wants_person(text)
    found = choose.decide(look, before, topics, thresholds(), person=person)
    reason = found.reason if text else "nothing_heard"
    note = known[found.passage]["text"] if text and found.passage else ""
    return {
        "intent": found.intent if text else "", "confidence": found.confidence if text else 0.0,
        "passage": note, "passage_id": found.passage or "" if text else "",
        "similarity": found.similarity, "handover": bool(text) and found.handover,
        "reason": reason, "generate": bool(note),
        "prompt": talk.prompt(text, note, json.loads(history)) if note else "",
        "opening": talk.opening(note),
        "fixed": note or FIXED[reason].format(about=_about(entities, kinds)),
    }  # fmt: skip


def _ranked(names: np.ndarray, scores: np.ndarray) -> list[tuple[str, float]]:
    told = [n.decode() if isinstance(n, bytes) else str(n) for n in names]
    return list(zip(told, map(float, scores), strict=True))


def _about(entities: list[str], kinds: list[str]) -> str:
    orders = [e for e, kind in zip(entities, kinds, strict=True) if kind == "ORDER"]
    return f" with order {orders[0]}" if orders else ""


class Checked(TypedDict):
    """``text``: the reply; ``grounded``: the model's own, and not the passage in its place."""

    text: str
    grounded: bool


def check(opening: str, draft: str, passage: str) -> Checked:
    """Tidy what the model said; where it says what the passage does not, the passage is the reply."""
    reply = talk.tidy(opening + draft)
    if talk.grounded(reply, passage):
        return {"text": reply, "grounded": True}
    return {"text": passage, "grounded": False}


@cache
def faq() -> dict[str, dict[str, Any]]:
    """Return the passages by name."""
    rows = json.loads(Path(__file__).with_name("faq.json").read_text())
    return {row["id"]: row for row in rows}


@cache
def thresholds() -> dict[str, float]:
    """Return what was calibrated on held-out sentences."""
    found: dict[str, float] = json.loads(Path(__file__).with_name("thresholds.json").read_text())
    return found
