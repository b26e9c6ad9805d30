"""The report of the financial example: what it counts, what it leaves out, and that its HTML is safe."""

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(find_spec("pygal") is None, reason="pygal is not installed")
EXAMPLE = Path(__file__).parents[2] / "examples" / "financial_sentiment"


@pytest.fixture(scope="module")
def report():
    """The module as the served model imports it: ``charts`` lies beside it."""
    sys.path.insert(0, str(EXAMPLE))
    try:
        import report

        return report
    finally:
        sys.path.remove(str(EXAMPLE))
        for name in ("report", "charts"):
            sys.modules.pop(name, None)


def document(text="Profit rose", score=0.5, *, names=("Harlow",), **more):
    sentiment = "positive" if score > 0.2 else "negative" if score < -0.2 else "neutral"
    entities = [{"name": name, "kind": "ORG"} for name in names]
    given = {"text": text, "score": score, "sentiment": sentiment, "topic": "earnings"}
    return {**given, "language": "en", "keywords": ["profit"], "entities": entities, **more}


def test_days_are_in_order_and_have_their_means(report):
    summary = report.summarise(
        [
            document(score=1.0, date="2026-03-02T18:00:00+00:00"),
            document(score=-0.5, date="2026-03-01"),
            document(score=0.0, date="2026-03-02"),
            document(score=0.4),
            document(score=0.4, date="last week"),
        ]
    )

    assert [(d["day"], d["count"], d["mean_score"]) for d in summary["by_day"]] == [
        ("2026-03-01", 1, -0.5),
        ("2026-03-02", 2, 0.5),
    ]
    assert summary["undated"] == 2
    assert (summary["positive"], summary["neutral"], summary["negative"]) == (3, 1, 1)


def test_a_name_counts_once_in_a_document_and_amounts_are_no_names(report):
    amount = {"name": "$3 billion", "kind": "MONEY"}
    twice = document(names=("Harlow", "Harlow"), score=-1.0)
    twice["entities"].append(amount)

    summary = report.summarise([twice, document(names=("Harlow", "Bank"), score=1.0)])

    assert [(e["entity"], e["count"], e["mean_score"]) for e in summary["by_entity"]] == [
        ("Harlow", 2, 0.0),
        ("Bank", 1, 1.0),
    ]


def test_the_extremes_are_the_strongest_of_their_side(report):
    summary = report.summarise([document(f"{score}", score) for score in (-0.9, 0.9, 0.0, 0.3)])

    assert [d["text"] for d in summary["most_positive"]] == ["0.9", "0.3"]
    assert [d["text"] for d in summary["most_negative"]] == ["-0.9"]


def test_what_is_no_analysed_document_is_told_by_its_line(report):
    lines = [
        json.dumps(document()),
        "{broken",
        '"text"',
        "",
        json.dumps({"text": "x", "line": 9, "error": "the text has no words"}),
        json.dumps({**document(), "score": 7}),
        json.dumps({**document(), "entities": ["Harlow"]}),
        json.dumps({"text": "not yet"}),
    ]

    found, wrong = report.read("\n".join(lines))

    assert found == [document()]
    assert [w.split(":")[0] for w in wrong] == [f"line {n}" for n in (2, 3, 5, 6, 7, 8)]
    assert wrong[2] == "line 5: the text has no words"


def test_lines_end_where_json_lines_do(report):
    text = "Profit rose\u2028Sales fell\u2029Shares\x85"

    found, wrong = report.read(json.dumps(document(text), ensure_ascii=False) + "\r\n")

    assert ([d["text"] for d in found], wrong) == ([text], [])


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000])
def test_what_nests_too_deep_is_told(report, deep):
    assert report.read(deep)[0] == []
    assert "no JSON" in report.read(deep)[1][0]


def test_a_list_is_read_as_lines_are(report):
    found, wrong = report.read(json.dumps([document(), 3]))

    assert found == [document()]
    assert wrong == ["document 2: no JSON object"]


def test_a_long_text_is_shown_by_its_beginning_and_kept_whole_in_the_summary(report):
    summary = report.summarise([document("Profit rose. " * 1500, date="d" * 5000)])

    html = report.page(summary)

    assert html.count("Profit rose.") < 30
    assert "d" * 301 not in html
    assert summary["most_positive"][0]["text"] == "Profit rose. " * 1500


def test_the_page_shows_both_charts_and_needs_nothing_from_elsewhere(report):
    documents = [document("利润增长", date="2026-03-02", names=("华岭食品",))]

    html = report.page(report.summarise(documents))

    assert html.count("<svg") == 3
    assert "<script" not in html
    assert not re.search(r"(?:src|href)=\"(?!#)|url\((?!#)|@import", html)
    assert "华岭食品" in html
    assert "利润增长" in html
    assert "<td>2026-03-02</td>" in html


def test_texts_of_documents_are_never_markup(report):
    evil = "<script>alert(1)</script>&<img src=x onerror=alert(2)>"
    documents = [
        document(evil, names=(evil,), date="2026-03-02", source=evil, topic=evil, keywords=[evil])
    ]

    html = report.page(report.summarise(documents, [f"line 1: {evil}"]), title=evil)

    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


def test_no_documents_are_a_page_as_well(report):
    html = report.page(report.summarise([]))

    assert "There are no documents." in html
    assert "Nothing to show." in html
