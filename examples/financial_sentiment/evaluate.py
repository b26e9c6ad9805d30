"""What the held-out headlines say of the classifiers, and of word lists without any training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from examples.financial_sentiment import data, train
from examples.financial_sentiment.topicwords import TOPICS

RATED = 300
"""Real sentences that the finished classifier is measured on."""

SURE = 0.05
"""VADER's own bound: a compound score beyond it is a polarity."""

CALM = 0.2
"""SnowNLP says how probable it is that a text is positive; so far from one half is no polarity."""

SETS = {
    "held_out": "held out",
    "later": "freely worded, written before the wide training headlines",
    "blind": "freely worded, written just before the tables and the training were widened",
}
"""Sets that nothing was trained on. All are by the hand that wrote the training headlines and the tables."""

BASELINES = {"en": "VADER", "zh": "SnowNLP"}


def embedder(encoder: Any) -> Callable[[Sequence[str]], np.ndarray]:
    """Return what asks a loaded model for one vector for each text, once for each."""
    known: dict[str, np.ndarray] = {}

    def embed(texts: Sequence[str]) -> np.ndarray:
        fresh = [text for text in dict.fromkeys(texts) if text not in known]
        if fresh:
            known.update(zip(fresh, np.asarray(encoder.predict(fresh), np.float32), strict=True))
        return np.stack([known[text] for text in texts])

    return embed


def measure(made: train.Trained) -> dict[str, Any]:
    """Return all figures of one language."""
    rated, ratings = zip(*made.unseen[:RATED], strict=True)
    right = np.array(made.sentiments(rated)) == np.array(ratings)
    return {
        "trained_on": {name: len(data.headlines(name, made.language)) for name in data.TRAINING},
        "real_sentences": made.tone.sentences,
        "carried_over": {"sentiment": made.polarity.carried, "topic": made.topic.carried},
        "on_real_sentences": {
            "tone": round(made.tone.accuracy, 4),
            "sentiment": round(float(right.mean()), 4),
        },
        "sets": SETS,
        **{name: on_headlines(made, name) for name in SETS},
    }


def on_headlines(made: train.Trained, name: str) -> dict[str, Any]:
    """Return the figures on one of the sets that nothing was trained on, those of word lists too."""
    held = data.headlines(name, made.language)
    texts = [h.text for h in held]
    truth = [h.sentiment for h in held]
    said = {
        "sentiment": made.sentiments(texts),
        "baseline": baseline(texts, made.language),
        "direction_words_alone": train.by_cues(texts, made.language),
        "real_sentences_alone": np.array(made.tone.labels)[
            made.tone.scores(texts).argmax(1)
        ].tolist(),
    }
    return {
        "headlines": len(held),
        "baseline_is": BASELINES[made.language],
        **{of: train.figures(truth, labels, data.SENTIMENTS) for of, labels in said.items()},
        "topic": train.figures([h.topic for h in held], made.topics(texts), TOPICS),
    }


def baseline(texts: Sequence[str], language: str) -> list[str]:
    """Return what the common word list of a language says: VADER in English, SnowNLP in Chinese."""
    return _vader(texts) if language == "en" else _snownlp(texts)


def _vader(texts: Sequence[str]) -> list[str]:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()
    scores = [analyzer.polarity_scores(text)["compound"] for text in texts]
    return ["positive" if s >= SURE else "negative" if s <= -SURE else "neutral" for s in scores]


def _snownlp(texts: Sequence[str]) -> list[str]:
    from snownlp import SnowNLP

    scores = [SnowNLP(text).sentiments - 0.5 for text in texts]
    return ["positive" if s > CALM else "negative" if s < -CALM else "neutral" for s in scores]


def told(found: dict[str, Any]) -> str:
    """Return the figures as a table for a terminal."""
    lines = []
    for language, of in found.items():
        for name, meaning in SETS.items():
            figures = of[name]
            lines.append(
                f"{language}: {figures['headlines']} headlines {meaning}: accuracy, macro-F1"
            )
            for title, key in (
                ("sentiment, as served", "sentiment"),
                (f"sentiment, {figures['baseline_is']}", "baseline"),
                ("sentiment, direction words untrained", "direction_words_alone"),
                ("sentiment, real sentences alone", "real_sentences_alone"),
                ("topic, as served", "topic"),
            ):
                accuracy, f1 = figures[key]["accuracy"], figures[key]["macro_f1"]
                lines.append(f"  {title:<38} {accuracy:.3f}  {f1:.3f}")
            lines += ["  confusion (rows: labelled, columns: said)", _matrix(figures["sentiment"])]
    return "\n".join(lines)


def _matrix(figures: dict[str, Any]) -> str:
    labels = figures["labels"]
    rows = [" " * 14 + "".join(f"{label:>10}" for label in labels)]
    rows += [
        f"    {label:<10}" + "".join(f"{n:>10}" for n in counts)
        for label, counts in zip(labels, figures["confusion"], strict=True)
    ]
    return "\n".join(rows)
