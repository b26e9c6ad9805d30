"""Which passage answers a question, and whether a person should. Pure: scores in, a decision out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TOPIC = 0.15
"""A passage of the likeliest intent's topic gains this times the intent's confidence."""

CLEAR = 0.1
"""So far above ``near`` a passage is so near that the intent need not be sure."""

PERSON, STRANGE = "person", "out_of_scope"
POLITE = ("greeting", "thanks")

Ranked = Sequence[tuple[str, float]]
"""Names with their scores, best first."""


@dataclass(frozen=True, slots=True)
class Decision:
    """``passage``: its name, ``None`` for none. ``reason``: why there is none; ``handover``: to a person."""

    intent: str
    confidence: float
    passage: str | None
    similarity: float
    handover: bool
    reason: str


def decide(
    intents: Ranked, found: Ranked, topics: Mapping[str, str], thresholds: Mapping[str, float]
) -> Decision:
    """Decide on a question. ``topics``: of each passage the intent that it belongs to."""
    intent, confidence = intents[0]
    passage, similarity = nearest(intents, found, topics)
    sure, near = confidence >= thresholds["sure"], similarity >= thresholds["near"]
    clear = similarity >= thresholds["near"] + CLEAR

    def told(answered: bool, reason: str, *, handover: bool = True) -> Decision:
        return Decision(
            intent, confidence, passage if answered else None, similarity, handover, reason
        )

    if intent == PERSON and (sure or not near):
        return told(answered=False, reason="asked_for_person")
    if intent in POLITE and not near:
        return told(answered=False, reason=intent, handover=False)
    if clear or (near and sure and intent != STRANGE):
        return told(answered=True, reason="", handover=False)
    if intent == STRANGE:
        return told(answered=False, reason="out_of_scope")
    return told(answered=False, reason="not_sure" if near else "no_passage")


def nearest(
    intents: Ranked, found: Ranked, topics: Mapping[str, str]
) -> tuple[str, float]:
    """Return the passage that fits wording and intent best, and how near its wording is."""
    likely = dict(intents)
    passage, similarity = max(
        found, key=lambda row: row[1] + TOPIC * likely.get(topics[row[0]], 0.0)
    )
    return passage, similarity
