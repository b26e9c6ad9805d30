"""The Python steps: which language, which sentences, what their words say, and the judgement of the whole."""

# ruff: noqa: RUF001  (Chinese has punctuation of its own)

from __future__ import annotations

import logging
import re
import tempfile
import unicodedata
import warnings
from functools import cache
from typing import Annotated, Any, TypedDict

import cues as directions
import numpy as np
import topicwords

from inferd.core.errors import InvalidInput

SENTIMENTS = ("negative", "neutral", "positive")
TOPICS = tuple(sorted(topicwords.TOPICS))
"""In the order of the classifiers' classes."""

LONGEST = 20_000
"""Characters of a document; longer ones are refused."""

MOST_PARTS = 64
"""Sentences that are judged: of a longer document the first half of these and the last."""

LONGEST_PART = 600
KEYWORDS = 8
UNITS = frozenset(
    [
        "million",
        "billion",
        "trillion",
        "percent",
        "亿元",
        "万元",
        "亿美元",
        "万亿元",
        "同比",
        "环比",
    ]
)

Scores = Annotated[np.ndarray, "float32", (-1, -1)]

# --------------------------------------------------------------------------- language and sentences

CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
OTHER_SCRIPTS = re.compile(
    r"[\u3040-\u30ff\uac00-\ud7af\u0400-\u052f\u0600-\u06ff\u0590-\u05ff\u0900-\u097f\u0e00-\u0e7f\u0370-\u03ff]"
)
LETTERS = re.compile(r"[^\W\d_]")
CHINESE_SHARE, OTHER_SHARE = 0.25, 0.2
LATIN = ("en", "fr", "de", "es", "it", "pt", "nl", "sv", "pl", "tr", "id", "vi", "fi", "cs", "ro")
NAMES = {
    "fr": "French", "de": "German", "es": "Spanish", "it": "Italian", "pt": "Portuguese", "nl": "Dutch",
    "sv": "Swedish", "pl": "Polish", "tr": "Turkish", "id": "Indonesian", "vi": "Vietnamese",
    "fi": "Finnish", "cs": "Czech", "ro": "Romanian",
}  # fmt: skip
FOREIGN = 12.0
"""How much better another language has to fit than English: names alone fit many languages a little."""


class Document(TypedDict):
    """``parts``: the sentences."""

    text: str
    language: str
    parts: list[str]


def read(text: str) -> Document:
    """Tidy a document, find its language and take it apart; raises ``InvalidInput``."""
    if len(text) > LONGEST:
        raise InvalidInput(
            f"the text has {len(text):,} characters, more than {LONGEST:,}",
            help="send its sections one by one",
        )
    tidy = re.sub(r"[^\S\n]+", " ", unicodedata.normalize("NFC", text)).strip()
    if not LETTERS.search(tidy):
        raise InvalidInput("the text has no words", help="send a sentence in English or Chinese")
    return {"text": tidy, "language": language(tidy), "parts": parts(tidy)}


def language(text: str) -> str:
    """Return ``en`` or ``zh``; raises ``InvalidInput`` for another language."""
    letters = len(LETTERS.findall(text))
    if len(OTHER_SCRIPTS.findall(text)) > OTHER_SHARE * letters:
        raise _unknown("its script is neither Latin nor Chinese")
    if len(CHINESE.findall(text)) > CHINESE_SHARE * letters:
        return "zh"
    ranked = dict(_identifier().rank(text))
    best = max(ranked, key=lambda code: float(ranked[code]))
    if best != "en" and float(ranked[best]) - float(ranked["en"]) > FOREIGN:
        raise _unknown(f"it looks {NAMES[best]}")
    return "en"


def _unknown(why: str) -> InvalidInput:
    return InvalidInput(
        f"the text is neither English nor Chinese: {why}", help="send English or Chinese text"
    )


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    identifier.set_languages(list(LATIN))
    return identifier


END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9\u4e00-\u9fff])|(?<=[。！？；])|\n+")
SHORT = re.compile(r"(?:\b(?:Inc|Corp|Co|Ltd|Mr|Mrs|Ms|Dr|St|No|vs|approx|U\.S|U\.K)|\b[A-Z])\.$")


def parts(text: str) -> list[str]:
    """Return the sentences of a text, at most ``MOST_PARTS``, each at most ``LONGEST_PART`` characters."""
    found: list[str] = []
    for piece in END.split(text):
        if not LETTERS.search(piece):
            continue
        if found and SHORT.search(found[-1]) and not piece.startswith("\n"):
            found[-1] = f"{found[-1]} {piece.strip()}"
        else:
            found.append(piece.strip())
    if len(found) > MOST_PARTS:
        found = found[: MOST_PARTS // 2] + found[-MOST_PARTS // 2 :]
    return [part[:LONGEST_PART] for part in found]


# --------------------------------------------------------------------------- words


class Words(TypedDict):
    """A row for each sentence: counts of direction words, and of the topics' words."""

    directions: Annotated[np.ndarray, "float32", (-1, len(directions.NAMES))]
    mentions: Annotated[np.ndarray, "float32", (-1, len(topicwords.TOPICS))]


def cues(parts: list[str], language: str) -> Words:
    """Count what the tables know."""
    return {
        "directions": np.stack([directions.cues(part, language) for part in parts]),
        "mentions": np.stack([topicwords.mentions(part, language) for part in parts]),
    }


def keywords(text: str, language: str) -> list[str]:
    """Return the words and phrases that carry the text, the best first."""
    if language == "zh":
        found = [str(word) for word in _jieba().analyse.extract_tags(text, topK=3 * KEYWORDS)]
    else:
        found = [str(phrase) for phrase, _ in _yake().extract_keywords(text)]
    kept: list[str] = []
    for phrase in found:  # a phrase within another says it twice
        small = phrase.lower()
        if small in UNITS or not LETTERS.search(phrase):
            continue
        if not any(small in k.lower() or k.lower() in small for k in kept):
            kept.append(phrase)
    return kept[:KEYWORDS]


@cache
def _yake() -> Any:
    from yake import KeywordExtractor

    return KeywordExtractor(lan="en", n=2, top=4 * KEYWORDS)


@cache
def _jieba() -> Any:
    """Return jieba with its dictionary loaded; the cache it writes lies in a folder of our own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports pkg_resources and has old escapes
        import jieba
        import jieba.analyse
        import jieba.posseg
    jieba.setLogLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="jieba-") as private:
        jieba.dt.tmp_dir = (
            private  # by default a file of a known name in /tmp, which others may have put there
        )
        jieba.initialize()
    return jieba


# --------------------------------------------------------------------------- entities of Chinese texts

PATTERNS = {
    "PERCENT": r"\d+(?:\.\d+)?\s*(?:%|％|个百分点|个基点)|百分之[一二三四五六七八九十百零点\d]+",
    "MONEY": r"[¥￥$€£]\s?\d[\d,.]*\s*(?:万亿|千亿|百亿|亿|万)?|(?:约)?\d[\d,.]*\s*(?:万亿|千亿|百亿|亿|万)?(?:美元|欧元|港元|日元|英镑|人民币|元)",
    "TICKER": r"(?<!\d)(?:60|68|00|30|83|43)\d{4}(?!\d)(?:\.(?:SH|SZ|BJ))?|(?<!\d)\d{4,5}\.HK|[（(][A-Z]{1,5}[)）]",
    "ORG": r"[\u4e00-\u9fff]{2,6}?(?:银行|保险|证券|基金|集团|股份|控股|资本|科技|汽车|航空|制药|药业|软件|通信|电力|能源|"
    r"光伏|食品|水泥|钢铁|传媒|物流|农业|机械|酒店|百货|芯片|半导体|化工|出行|央行|证监会)",
}
"""Shapes of what the tagger cannot know; the last are the ends of companies' names."""

TAGS = {"nr": "PERSON", "nrt": "PERSON", "ns": "GPE", "nt": "ORG"}
NOT_NAMES = frozenset(
    ["上市", "净利", "净利润", "营收", "盈利", "同比", "环比", "大盘", "市盈率", "沪深", "康复"]
)
STARTS = re.compile(
    r"^(?:因|与|和|及|对|向|获|被|由|在|多家|针对|该|本|一家|两家|全球|国际|今日|公司|知名|关于)"
)


class Named(TypedDict):
    """Entities in the order of the text, each once, and their kinds."""

    names: list[str]
    kinds: list[str]


def entities_zh(text: str) -> Named:
    """Find companies, people, places, amounts, percentages and tickers of a Chinese text."""
    found: list[tuple[int, int, str, str]] = []
    for kind, pattern in PATTERNS.items():
        for match in re.finditer(pattern, text):
            found += _spoken_for(found, match.start(), match.group().strip("（()）"), kind)
    place = 0
    for word, tag in _jieba().posseg.cut(text):
        if tag in TAGS and len(word) > 1 and word not in NOT_NAMES:
            found += _spoken_for(found, place, word, TAGS[tag])
        place += len(word)
    names = {name: kind for _, _, name, kind in sorted(found)}
    return {"names": list(names), "kinds": list(names.values())}


def _spoken_for(
    found: list[tuple[int, int, str, str]], start: int, name: str, kind: str
) -> list[tuple[int, int, str, str]]:
    """Return the entity, without the words that lead to it, unless its place is taken."""
    if kind == "ORG" and (lead := STARTS.match(name)):
        start, name = start + lead.end(), name[lead.end() :]
    end = start + len(name)
    if len(name) < 2 or any(start < e and s < end for s, e, _, _ in found):
        return []
    return [(start, end, name, kind)]


# --------------------------------------------------------------------------- judgement


class Judged(TypedDict):
    """``score`` runs from -1 to 1; ``probabilities`` are those of negative, neutral, positive."""

    topic: str
    topic_score: float
    sentiment: str
    score: float
    confidence: float
    probabilities: Annotated[np.ndarray, "float32", (3,)]
    sentence_scores: Annotated[np.ndarray, "float32", (-1,)]


def judge(polarity: Scores, topic: Scores) -> Judged:
    """Judge the document by its sentences: those that take sides count most, the first one twice."""
    scores = polarity[:, 2] - polarity[:, 0]
    weights = 0.25 + np.abs(scores)
    weights[0] *= 2
    whole = np.average(polarity, axis=0, weights=weights).astype(np.float32)
    topics = np.average(topic, axis=0, weights=[2.0] + [1.0] * (len(topic) - 1))
    return {
        "topic": TOPICS[int(topics.argmax())],
        "topic_score": float(topics.max()),
        "sentiment": SENTIMENTS[int(whole.argmax())],
        "score": float(whole[2] - whole[0]),
        "confidence": float(whole.max()),
        "probabilities": whole,
        "sentence_scores": scores,
    }
