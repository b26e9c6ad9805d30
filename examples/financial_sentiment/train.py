"""Training and measuring the classifiers: real sentences give the tone, our own headlines the rest.

Three classifiers for each language. ``tone`` learns from real rated sentences (reviews, editorials).
``polarity`` weighs what financial direction words say (``cues``), the tone and the sentence's embedding.
``topic`` takes the embedding and the topics' words. The embedding is of both languages, so each learns from the
other's headlines too. Whatever was chosen here was chosen by training on one of the two sets of training headlines
and measuring on the other; the held-out ones are only measured.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tokenizers
from onnx import ModelProto
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from examples.financial_sentiment import bag as bags
from examples.financial_sentiment import data
from examples.financial_sentiment.cues import NAMES, cues, verdict
from examples.financial_sentiment.data import Headline
from examples.financial_sentiment.topicwords import TOPICS, mentions

TONE_HELD_OUT = 2000
"""Real sentences that ``tone`` never sees: it is measured on them."""

EMBEDDING, CUES, TONE, MENTIONS = 0.4, 0.5, 0.3, 1.0
"""How far each kind of feature is spread before it is weighed: the regularisation is the same for all."""

FIRM = 0.15
"""Regularisation: smaller is firmer."""

Labelled = Sequence[tuple[str, str]]
Embed = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True, slots=True)
class Tone:
    """The classifier of real sentences."""

    language: str
    tokenizer: tokenizers.Tokenizer
    bag: bags.Bag
    labels: tuple[str, ...]
    weights: np.ndarray
    bias: np.ndarray
    accuracy: float
    sentences: int

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """Return the probabilities of ``labels``, [texts, labels]."""
        sums = self.bag.matrix(ids_of(self.tokenizer, texts)) @ self.weights + self.bias
        powers = np.exp(sums - sums.max(1, keepdims=True))
        return np.asarray(powers / powers.sum(1, keepdims=True), np.float32)

    def model(self) -> ModelProto:
        """Return the graph."""
        return bags.graph(self.weights, self.bias, {}, self.bag)


def ids_of(tokenizer: tokenizers.Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Return the ids of each text."""
    return [encoded.ids for encoded in tokenizer.encode_batch(list(texts))]


def tone(language: str, real: Labelled) -> tuple[Tone, list[tuple[str, str]]]:
    """Train on real sentences; returns the classifier and the sentences that it never saw."""
    rows = list(real)
    random.Random(0).shuffle(rows)
    unseen, seen = rows[:TONE_HELD_OUT], rows[TONE_HELD_OUT:]
    made = bags.tokenizer((text for text, _ in seen), language, rare=4)
    ids = ids_of(made, [text for text, _ in seen])
    bag = bags.fit(ids, longest=2, rare=4, most=12_000)
    labels = tuple(sorted({label for _, label in rows}))
    fitted = SGDClassifier(loss="log_loss", alpha=3e-5, max_iter=12, tol=None, random_state=0)
    fitted.fit(bag.matrix(ids), [label for _, label in seen])
    weights, bias = _softmax(fitted)
    trained = Tone(language, made, bag, labels, weights, bias, 0.0, len(seen))
    guessed = np.array(labels)[trained.scores([text for text, _ in unseen]).argmax(1)]
    accuracy = float(accuracy_score([label for _, label in unseen], guessed))
    return Tone(language, made, bag, labels, weights, bias, accuracy, len(seen)), unseen


def _softmax(fitted: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return weights [features, classes] and biases of a fitted linear classifier, also of two classes."""
    weights, bias = fitted.coef_.T, fitted.intercept_
    if weights.shape[1] == 1:
        weights, bias = np.hstack([-weights, weights]) / 2, np.array([-bias[0], bias[0]]) / 2
    return weights, bias


@dataclass(frozen=True, slots=True)
class Classifier:
    """A trained classifier of headlines, what it said of styles that it had not seen, and its graph."""

    fitted: LogisticRegression
    carried: dict[str, float]
    model: ModelProto


@dataclass(frozen=True, slots=True)
class Features:
    """What a classifier sees: columns of several kinds, moved and spread so that they weigh alike."""

    sizes: dict[str, int]
    centre: np.ndarray
    spread: np.ndarray

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Return rows as the classifier is shown them."""
        return np.asarray((rows - self.centre) * self.spread)

    def folded(self, fitted: LogisticRegression) -> tuple[np.ndarray, np.ndarray]:
        """Return weights and biases for the rows as they come."""
        weights, bias = _softmax(fitted)
        weights = weights * self.spread[:, None]
        return weights, bias - self.centre @ weights


def cue_rows(texts: Sequence[str], language: str) -> np.ndarray:
    """Return the counts of direction words, [texts, names]."""
    return np.stack([cues(text, language) for text in texts])


def polarity_rows(texts: Sequence[str], tone: Tone, embed: Embed) -> np.ndarray:
    """Return what ``polarity`` sees: the counts, the tone's logarithms, the embedding."""
    counts, heard = cue_rows(texts, tone.language), bags.log(tone.scores(texts))
    return np.hstack([counts, heard, embed(texts)])


def topic_rows(texts: Sequence[str], language: str, embed: Embed) -> np.ndarray:
    """Return what ``topic`` sees: the embedding, and the counts of the topics' words."""
    return np.hstack([embed(texts), np.stack([mentions(text, language) for text in texts])])


def features(rows: np.ndarray, sizes: dict[str, int]) -> Features:
    """Return how rows of so many columns of each kind are moved and spread."""
    spread = np.empty(rows.shape[1])
    centre = np.zeros(rows.shape[1])
    at = 0
    for kind, size in sizes.items():
        part = slice(at, at + size)
        if kind == "embedding":
            centre[part] = rows[:, part].mean(0)
            spread[part] = EMBEDDING / (rows[:, part].std() + 1e-9)
        else:
            spread[part] = {"tone": TONE, "cues": CUES, "mentions": MENTIONS}[kind]
        at += size
    return Features(sizes, centre, spread)


Rows = dict[str, np.ndarray]
Labels = dict[str, list[str]]


def classifier(rows: Rows, labels: Labels, sizes: dict[str, int]) -> tuple[Classifier, Features]:
    """Train on the sets of both hands' headlines, and measure how much carries over from one to the other."""
    seen = features(np.vstack(list(rows.values())), sizes)
    carried = {}
    for test in data.TRAINING:
        (other,) = (name for name in data.TRAINING if name != test)
        fitted = _fit(rows, labels, seen, [name for name in rows if name.startswith(other)])
        right = fitted.predict(seen.of(rows[test])) == np.array(labels[test])
        carried[f"{other} to {test}"] = round(float(right.mean()), 4)
    fitted = _fit(rows, labels, seen, list(rows))
    weights, bias = seen.folded(fitted)
    logs = ["tone"] if "tone" in sizes else []
    return Classifier(fitted, carried, bags.graph(weights, bias, sizes, logs=logs)), seen


def _fit(rows: Rows, labels: Labels, seen: Features, names: Sequence[str]) -> LogisticRegression:
    shown = seen.of(np.vstack([rows[name] for name in names]))
    told = [label for name in names for label in labels[name]]
    return LogisticRegression(C=FIRM, max_iter=1000, class_weight="balanced").fit(shown, told)


def figures(truth: Sequence[str], said: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """Return accuracy, macro-F1 and the confusion matrix (rows: labelled, columns: said)."""
    return {
        "accuracy": round(float(accuracy_score(truth, said)), 4),
        "macro_f1": round(
            float(f1_score(truth, said, labels=labels, average="macro", zero_division=0)), 4
        ),
        "labels": list(labels),
        "confusion": confusion_matrix(truth, said, labels=labels).tolist(),
    }


def by_cues(texts: Sequence[str], language: str) -> list[str]:
    """Return what the direction words alone say of each text, untrained."""
    return [verdict(cues(text, language)) for text in texts]


MEANING = {
    "tone": "A sentence -> how it sounds, learned from real rated sentences (reviews, editorials).",
    "polarity": "What direction words say, the tone, the vector -> negative, neutral, positive for an investor.",
    "topic": "A sentence -> which of the topics it is about.",
}


@dataclass(frozen=True, slots=True)
class Trained:
    """All of one language."""

    language: str
    tone: Tone
    polarity: Classifier
    topic: Classifier
    unseen: Labelled
    embed: Embed
    seen: tuple[Features, Features]

    @property
    def models(self) -> dict[str, ModelProto]:
        """Return the graphs by name."""
        return {
            "tone": self.tone.model(),
            "polarity": self.polarity.model,
            "topic": self.topic.model,
        }

    def sentiments(self, texts: Sequence[str]) -> list[str]:
        """Return what ``polarity`` says."""
        rows = polarity_rows(texts, self.tone, self.embed)
        return [str(label) for label in self.polarity.fitted.predict(self.seen[0].of(rows))]

    def topics(self, texts: Sequence[str]) -> list[str]:
        """Return what ``topic`` says."""
        rows = topic_rows(texts, self.language, self.embed)
        return [str(label) for label in self.topic.fitted.predict(self.seen[1].of(rows))]


def language(name: str, real: Labelled, embed: Embed) -> Trained:
    """Train the three classifiers of a language; headlines of the other one are shown to them too."""
    heard, unseen = tone(name, real)
    polarities: Rows = {}
    topics: Rows = {}
    labels: dict[str, Labels] = {"sentiment": {}, "topic": {}}
    for of in (name, *(other for other in data.LANGUAGES if other != name)):
        for kind in data.TRAINING:
            own = data.headlines(kind, of)
            key = kind if of == name else f"{kind}/{of}"
            texts = [h.text for h in own]
            vectors, counts = embed(texts), cue_rows(texts, of)
            tones = (
                bags.log(heard.scores(texts)) if of == name else _silence(polarities, heard, own)
            )
            polarities[key] = np.hstack([counts, tones, vectors])
            topics[key] = topic_rows(texts, of, embed)
            labels["sentiment"][key] = [h.sentiment for h in own]
            labels["topic"][key] = [h.topic for h in own]
    size = vectors.shape[1]
    sees = {"cues": len(NAMES), "tone": len(heard.labels), "embedding": size}
    polarity, first = classifier(polarities, labels["sentiment"], sees)
    topic, second = classifier(
        topics, labels["topic"], {"embedding": size, "mentions": len(TOPICS)}
    )
    return Trained(name, heard, polarity, topic, unseen, embed, (first, second))


def _silence(rows: Rows, heard: Tone, own: Sequence[Headline]) -> np.ndarray:
    """Return the mean tone of this language for texts of another, which it cannot hear."""
    known = np.vstack([rows[name] for name in data.TRAINING])[:, len(NAMES) :][
        :, : len(heard.labels)
    ]
    return np.tile(known.mean(0), (len(own), 1))
