"""Which passage answers a question, and whether a person should. Pure: scores in, a decision out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TOPIC = 0.15
"""A passage of the likeliest intent's topic gains this times the intent's confidence."""

CARRIED = 0.5
"""A passage gains this times its similarity to the question before, where one follows another."""

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


@dataclass(frozen=True, slots=True)
class Look:
    """What was found for one text: the likeliest intents, and the passages with the nearest wordings."""

    intents: Ranked
    found: Ranked


def looked(looks: Sequence[Look], thresholds: Mapping[str, float]) -> tuple[Look, Ranked]:
    """Return the look that counts, and the passages of the question before.

    ``looks``: of ``talk.queries``: the question alone, or what was before and both together, or all three.
    """
    alone, *rest = looks
    if not rest or (len(looks) == 3 and alone.found[0][1] >= thresholds["near"] + CLEAR):
        return alone, ()
    before, both = looks[-2:]
    return both, before.found


def decide(
    look: Look,
    before: Ranked,
    topics: Mapping[str, str],
    thresholds: Mapping[str, float],
    *,
    person: bool = False,
) -> Decision:
    """Decide on a question.

    ``topics``: of each passage the intent that it belongs to; ``person``: one is asked for in so many words.
    """
    intent, confidence = look.intents[0]
    passage, similarity = nearest(look, before, topics)
    sure, near = confidence >= thresholds["sure"], similarity >= thresholds["near"]
    clear = similarity >= thresholds["near"] + CLEAR

    def told(answered: bool, reason: str, *, handover: bool = True) -> Decision:
        return Decision(
            intent, confidence, passage if answered else None, similarity, handover, reason
        )

    if person or (intent == PERSON and (sure or not near)):
        return told(answered=False, reason="asked_for_person")
    if intent in POLITE and not near:
        return told(answered=False, reason=intent, handover=False)
    if clear or (near and sure and intent != STRANGE):
        return told(answered=True, reason="", handover=False)
    if intent == STRANGE and sure:
        return told(answered=False, reason="out_of_scope")
    return told(answered=False, reason="not_sure" if near else "no_passage")


def nearest(look: Look, before: Ranked, topics: Mapping[str, str]) -> tuple[str, float]:
    """Return the passage that fits wording, intent and what was before best, and how near its wording is."""
    likely = dict(look.intents)
    carried = dict(reversed(before))  # of a passage that is there twice, the nearest wording

    def fit(row: tuple[str, float]) -> float:
        passage, similarity = row
        return (
            similarity
            + TOPIC * likely.get(topics[passage], 0.0)
            + CARRIED * carried.get(passage, 0.0)
        )

    return max(look.found, key=fit)
