"""Keywords of an English text, by co-occurrence: a model that is plain Python.

Candidate phrases are the runs of words between stop words and punctuation. A word scores by how
many words it stands together with over how often it occurs, a phrase by the sum of its words
(rapid automatic keyword extraction, Rose et al. 2010).
"""

import re
from collections import defaultdict
from typing import Annotated, TypedDict

import numpy as np

from inferd import Model

TOP = 5
LONGEST = 3
"""Words of a phrase; longer runs are more often whole clauses than terms."""

STOP = """
a about above after again against all also although am an and any are as at be because been
before being below between both but by can cannot could did do does doing done down during each
either else every few for from further get gets give given goes had has have having he her here
hers him his how however i if in into is it its itself just let lets like made make makes many
may me might more most much must my need neither no nor not now of off often on once one only or
other our out over own per put rather same see several shall she should since so some still such
take than that the their them then there these they this those though through thus to too under
until up upon us use used uses using very via was we well were what when where whether which
while who whom why will with within without would yet you your
"""
STOP_WORDS = frozenset(STOP.split())
WORD = re.compile(r"[a-z][a-z0-9'-]*|[^\sa-z]+", re.IGNORECASE)


class Answer(TypedDict):
    """The best phrases of each text, ``[batch, 5]``; fewer are filled up with empty ones."""

    keywords: Annotated[list[list[str]], "string", (-1, TOP)]
    scores: Annotated[np.ndarray, "float32", (-1, TOP)]


class Keywords(Model):
    """A text -> its ``TOP`` best phrases with their scores."""

    def predict(self, text: list[str]) -> Answer:
        """Answer a batch of texts."""
        words = [[""] * TOP for _ in text]
        scores = np.zeros((len(text), TOP), np.float32)
        for row, one in enumerate(text):
            for column, (phrase, score) in enumerate(rank(one)[:TOP]):
                words[row][column], scores[row, column] = phrase, score
        return {"keywords": words, "scores": scores}


def phrases(text: str) -> list[tuple[str, ...]]:
    """Return the candidate phrases of a text, in order."""
    found: list[tuple[str, ...]] = []
    run: list[str] = []
    for word in [*WORD.findall(text.lower()), "."]:
        if word[0].isalpha() and word not in STOP_WORDS and len(word) > 1:
            run.append(word)
        else:
            if 0 < len(run) <= LONGEST:
                found.append(tuple(run))
            run = []
    return found


def rank(text: str) -> list[tuple[str, float]]:
    """Return the phrases of a text with their scores, best first, each once."""
    candidates = phrases(text)
    together: dict[str, int] = defaultdict(int)
    count: dict[str, int] = defaultdict(int)
    for phrase in candidates:
        for word in phrase:
            count[word] += 1
            together[word] += len(phrase)
    scores = {
        " ".join(phrase): sum(together[word] / count[word] for word in phrase)
        for phrase in candidates
    }
    return sorted(scores.items(), key=lambda item: -item[1])
