"""Training and measuring the classifiers: real sentences give the tone, our own headlines the rest.

Three classifiers for each language. ``tone`` learns from real rated sentences (reviews, editorials).
``polarity`` weighs what financial direction words say (``cues``), and where they are silent the tone, in
English the sentence's embedding too. ``topic`` takes the topics' words, with the embedding in English and
the characters in Chinese. Whatever was chosen
here was chosen by cross-validation on the training headlines; the held-out ones are only measured.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tokenizers
from onnx import ModelProto
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from examples.financial_sentiment import bag as bags
from examples.financial_sentiment.cues import NAMES, cues, verdict
from examples.financial_sentiment.data import SENTIMENTS, Headline
from examples.financial_sentiment.topicwords import TOPICS, mentions

TONE_HELD_OUT = 2000
"""Real sentences that ``tone`` never sees: it is measured on them, and ``polarity`` learns from some."""

REAL, REAL_WEIGHT = 600, 0.06
"""So many of these are shown to ``polarity``, each counting so much of a headline."""

EMBEDDING_SCALE = 3.0
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
    """A trained classifier of headlines, what cross-validation said of it, and its graph."""

    labels: tuple[str, ...]
    fitted: LogisticRegression
    validated: float
    model: ModelProto


def cue_rows(texts: Sequence[str], language: str) -> np.ndarray:
    """Return the counts of direction words, [texts, names]."""
    return np.stack([cues(text, language) for text in texts])


def polarity_features(texts: Sequence[str], tone: Tone, embed: Embed | None) -> np.ndarray:
    """Return what ``polarity`` sees: the counts, and where they are silent the tone and the embedding."""
    counts = cue_rows(texts, tone.language)
    parts = [counts, bags.log(tone.scores(texts)) * counts[:, -1:]]
    if embed is not None:
        parts.append(embed(texts) * EMBEDDING_SCALE * counts[:, -1:])
    return np.hstack(parts)


def polarity(
    own: Sequence[Headline], tone: Tone, unseen: Labelled, embed: Embed | None
) -> Classifier:
    """Train negative, neutral, positive on our headlines and on some of the real sentences."""
    real = unseen[:REAL]
    texts = [h.text for h in own] + [text for text, _ in real]
    features = polarity_features(texts, tone, embed)
    labels = np.array([h.sentiment for h in own] + [label for _, label in real])
    weights = np.array([1.0] * len(own) + [REAL_WEIGHT] * len(real))
    fitted = LogisticRegression(C=1.0, max_iter=3000)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    correct = 0
    for train, test in folds.split(features[: len(own)], labels[: len(own)]):
        shown = np.concatenate([train, np.arange(len(own), len(labels))])
        fitted.fit(features[shown], labels[shown], weights[shown])
        correct += int((fitted.predict(features[test]) == labels[test]).sum())
    fitted.fit(features, labels, weights)
    inputs, gated = {"cues": len(NAMES), "tone": len(tone.labels)}, {"tone": True}
    factors, bias = _softmax(fitted)
    if embed is not None:
        before = sum(inputs.values())
        inputs["embedding"], gated["embedding"] = len(factors) - before, False
        factors = factors.copy()
        factors[before:] *= EMBEDDING_SCALE
    graph = bags.graph(factors, bias, inputs, gate="cues", gated=gated)
    return Classifier(SENTIMENTS, fitted, correct / len(own), graph)


def topic_features(texts: Sequence[str], tone: Tone, embed: Embed | None) -> Any:
    """Return what ``topic`` sees: embeddings or weighed characters, then the counts of the topics' words."""
    counts = np.stack([mentions(text, tone.language) for text in texts])
    if embed is not None:
        return np.hstack([embed(texts) * EMBEDDING_SCALE, counts])
    return hstack([tone.bag.matrix(ids_of(tone.tokenizer, texts)), csr_matrix(counts)]).tocsr()


def topic(own: Sequence[Headline], tone: Tone, embed: Embed | None) -> Classifier:
    """Train the topics on our headlines."""
    features = topic_features([h.text for h in own], tone, embed)
    labels = [h.topic for h in own]
    fitted = LogisticRegression(C=1.0, max_iter=2000)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    validated = float(accuracy_score(labels, cross_val_predict(fitted, features, labels, cv=folds)))
    fitted.fit(features, labels)
    weights, bias = _softmax(fitted)
    if embed is None:
        graph = bags.graph(weights, bias, {"mentions": len(TOPICS)}, tone.bag)
    else:
        size = len(weights) - len(TOPICS)
        weights = weights.copy()
        weights[:size] *= EMBEDDING_SCALE
        graph = bags.graph(weights, bias, {"embedding": size, "mentions": len(TOPICS)})
    return Classifier(tuple(fitted.classes_), fitted, validated, graph)


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
    "polarity": "What direction words say, and the tone -> negative, neutral, positive for an investor.",
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
    embed: Embed | None

    @property
    def models(self) -> dict[str, ModelProto]:
        """Return the graphs by name."""
        return {
            "tone": self.tone.model(),
            "polarity": self.polarity.model,
            "topic": self.topic.model,
        }


def language(name: str, real: Labelled, own: Sequence[Headline], embed: Embed | None) -> Trained:
    """Train the three classifiers of a language; ``embed``: what turns texts into vectors, if there is any."""
    heard, unseen = tone(name, real)
    return Trained(
        name, heard, polarity(own, heard, unseen, embed), topic(own, heard, embed), unseen, embed
    )
