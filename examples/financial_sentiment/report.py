"""A report on analysed documents: ``summarise`` counts them, ``page`` makes one HTML file of the summary.

A document is what the pipeline answered, with ``text``, and with ``date`` (ISO 8601) and ``source`` where they are
known. The file holds all it needs, charts and styles; it has no script and asks for nothing.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from html import escape
from typing import Any

import charts

Document = dict[str, Any]

SENTIMENTS = ("positive", "neutral", "negative")
NAMED = ("ORG", "PERSON", "GPE", "TICKER")
"""Kinds of entities that a sentiment can be about; amounts and percentages cannot."""

ENTITIES, KEYWORDS, EXTREMES = 12, 20, 5
LONGEST_CELL = 300
"""Characters of a text that are shown in the HTML; the JSON has it whole."""
MOST = 100_000
"""Documents of one report."""


def read(text: str) -> tuple[list[Document], list[str]]:
    """Read JSON Lines, or one JSON list; returns the documents, and what was wrong with the others.

    Whatever has no sentiment (a line that could not be analysed, say) is told by its number and left out.
    """
    found, wrong = [], []
    for place, thing in _things(text):
        problem = thing if isinstance(thing, str) else unfit(thing)
        if problem:
            wrong.append(f"{place}: {problem}")
        elif len(found) < MOST:
            found.append(thing)
    return found, wrong


def _things(text: str) -> Iterable[tuple[str, Any]]:
    if text.lstrip().startswith("["):
        try:
            listed = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield "list", f"no JSON: {error}"
            return
        yield from ((f"document {n}", thing) for n, thing in enumerate(listed, 1))
        return
    for number, line in enumerate(text.split("\n"), 1):  # JSON may hold U+2028 as it is
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                yield f"line {number}", f"no JSON: {error}"


def unfit(thing: Any) -> str:
    """Return what keeps a value from being an analysed document, or nothing."""
    if not isinstance(thing, dict):
        return "no JSON object"
    if thing.get("sentiment") not in SENTIMENTS:
        return str(thing["error"]) if "error" in thing else "it has no sentiment: analyse it first"
    score = thing.get("score")
    if not isinstance(score, int | float) or isinstance(score, bool) or not -1 <= score <= 1:
        return "its score is no number from -1 to 1"
    if not isinstance(thing.get("text", ""), str) or not isinstance(thing.get("topic", ""), str):
        return "its text or topic is no text"
    if not all(isinstance(k, str) for k in _list(thing, "keywords")):
        return "its keywords are no list of texts"
    if not all(
        isinstance(e, dict) and isinstance(e.get("name"), str) for e in _list(thing, "entities")
    ):
        return "its entities are no list of {name, kind}"
    return ""


def _list(thing: Document, name: str) -> list[Any]:
    value = thing.get(name, [])
    return value if isinstance(value, list) else [None]


def day_of(thing: Document) -> str | None:
    """Return the day of a document, ISO 8601, or ``None`` where its date is missing or none."""
    text = thing.get("date")
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text.strip()).date().isoformat()
    except ValueError:
        return None


# --------------------------------------------------------------------------- counting


def summarise(documents: Sequence[Document], wrong: Sequence[str] = ()) -> dict[str, Any]:
    """Return counts and mean scores: of all, by day, topic, entity, source and language."""
    days = _groups(documents, lambda d: [day] if (day := day_of(d)) else [])
    entities = _groups(documents, _names)
    ranked = sorted(documents, key=lambda d: (d["score"], d.get("text", "")))
    words = Counter(k for d in documents for k in dict.fromkeys(_list(d, "keywords")))
    return {
        "documents": len(documents),
        "undated": sum(day_of(d) is None for d in documents),
        "ignored": list(wrong),
        **_figures(documents),
        "by_day": [{"day": day, **_figures(days[day])} for day in sorted(days)],
        "by_topic": _largest(_groups(documents, lambda d: [d.get("topic") or "none"]), "topic"),
        "by_entity": _largest(entities, "entity")[:ENTITIES],
        "by_language": _largest(
            _groups(documents, lambda d: [d.get("language") or "?"]), "language"
        ),
        "by_source": _largest(_groups(documents, _source), "source")[:ENTITIES],
        "keywords": [{"keyword": k, "documents": n} for k, n in _commonest(words, KEYWORDS)],
        "most_positive": [_short(d) for d in ranked[::-1][:EXTREMES] if d["score"] > 0],
        "most_negative": [_short(d) for d in ranked[:EXTREMES] if d["score"] < 0],
    }


def _groups(documents: Iterable[Document], keys: Any) -> dict[str, list[Document]]:
    groups: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        for key in keys(document):
            groups[str(key)].append(document)
    return groups


def _names(document: Document) -> list[str]:
    named = (e["name"] for e in _list(document, "entities") if e.get("kind") in NAMED)
    return list(dict.fromkeys(named))


def _source(document: Document) -> list[str]:
    source = document.get("source")
    return [source] if isinstance(source, str) and source else []


def _largest(groups: dict[str, list[Document]], name: str) -> list[dict[str, Any]]:
    order = sorted(groups, key=lambda key: (-len(groups[key]), key))
    return [{name: key, **_figures(groups[key])} for key in order]


def _figures(documents: Sequence[Document]) -> dict[str, Any]:
    counts = Counter(d["sentiment"] for d in documents)
    mean = sum(d["score"] for d in documents) / len(documents) if documents else 0.0
    return {
        "count": len(documents),
        "mean_score": round(mean, 4),
        **{sentiment: counts[sentiment] for sentiment in SENTIMENTS},
    }


def _commonest(counts: Counter[str], most: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:most]


def _short(document: Document) -> dict[str, Any]:
    kept = ("text", "date", "source", "sentiment", "topic")
    found = {key: document[key] for key in kept if document.get(key)}
    return {**found, "score": round(float(document["score"]), 4)}


# --------------------------------------------------------------------------- HTML

STYLE = """
body { font: 16px/1.5 system-ui, "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif;
  margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c2430; background: #fff }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.2rem }
figure { margin: 0 } figure svg { width: 100%; height: auto }
table { border-collapse: collapse; width: 100%; font-size: .9rem }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid #d8dee6 }
td:first-child { overflow-wrap: anywhere; min-width: 6.5rem }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.scroll { overflow-x: auto } .quiet { color: #5a6675 }
@media print { body { margin: 0 } }
"""
COUNTS = ("count", *SENTIMENTS, "mean_score")
SHOWN = {
    "count": "documents",
    "mean_score": "mean score",
    "documents": "documents",
    "score": "score",
}


def page(summary: dict[str, Any], title: str = "Financial sentiment") -> str:
    """Return the report as one HTML file."""
    days, entities, topics = summary["by_day"], summary["by_entity"], summary["by_topic"]
    made = datetime.now().astimezone().date()
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(_told(summary, made))}</p>",
        _chart("Sentiment over time", charts.over_time(days), days, ("day", *COUNTS)),
        _chart("By company, person and place", charts.by_name(entities, "entity"), entities,
               ("entity", *COUNTS)),
        _chart("By topic", charts.by_name(topics, "topic"), topics, ("topic", *COUNTS)),
        _section("By source", summary["by_source"], ("source", *COUNTS)),
        _section("By language", summary["by_language"], ("language", *COUNTS)),
        _section("Keywords", summary["keywords"], ("keyword", "documents")),
        _section("Most positive", summary["most_positive"], ("text", "date", "topic", "score")),
        _section("Most negative", summary["most_negative"], ("text", "date", "topic", "score")),
        _ignored(summary["ignored"]),
    ]  # fmt: skip
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _told(summary: dict[str, Any], made: date) -> str:
    if not summary["documents"]:
        return "There are no documents."
    days = summary["by_day"]
    span = f", from {days[0]['day']} to {days[-1]['day']}" if days else ""
    counts = ", ".join(f"{summary[s]} {s}" for s in SENTIMENTS)
    return (
        f"{summary['documents']} documents{span}: {counts}; mean score {summary['mean_score']:+.2f}"
        f" on a scale from -1 to 1. Made on {made.isoformat()} by automatic classification, which errs."
    )


def _chart(title: str, svg: str, rows: list[dict[str, Any]], columns: Sequence[str]) -> str:
    if not rows:
        return f'<h2>{escape(title)}</h2>\n<p class="quiet">Nothing to show.</p>'
    return (
        f'<h2>{escape(title)}</h2>\n<figure role="img" aria-label="{escape(title)}: the table'
        f' below has the numbers">{svg}</figure>\n' + _table(title, rows, columns)
    )


def _section(title: str, rows: list[dict[str, Any]], columns: Sequence[str]) -> str:
    return f"<h2>{escape(title)}</h2>\n{_table(title, rows, columns)}" if rows else ""


def _table(title: str, rows: list[dict[str, Any]], columns: Sequence[str]) -> str:
    numbers = {c for c in columns if any(isinstance(row.get(c), int | float) for row in rows)}
    css = {c: ' class="number"' if c in numbers else "" for c in columns}
    head = "".join(f'<th scope="col"{css[c]}>{escape(SHOWN.get(c, c))}</th>' for c in columns)
    lines = [
        "<tr>" + "".join(f"<td{css[c]}>{escape(_cell(row.get(c)))}</td>" for c in columns) + "</tr>"
        for row in rows
    ]
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(title)}"><table>'
        f"<caption>{escape(title)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(lines) + "\n</tbody></table></div>"
    )


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{round(value, 2) + 0.0:+.2f}"  # no minus before a zero
    text = "" if value is None else str(value)
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL].rstrip()} …"


def _ignored(wrong: Sequence[str]) -> str:
    if not wrong:
        return ""
    items = "".join(f"<li>{escape(problem)}</li>" for problem in wrong[:50])
    more = f"<p>... and {len(wrong) - 50} more</p>" if len(wrong) > 50 else ""
    return f"<h2>Left out</h2>\n<p>{len(wrong)} could not be counted:</p>\n<ul>{items}</ul>{more}"
