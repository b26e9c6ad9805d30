"""The financial sentiment monitor: right answers, honest figures, streams, the report, and the page."""

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from examples.financial_sentiment import client, data
from tests.applications.browser import address, check_fits, check_page, shot
from tests.system.serving import environment, until

from inferd import Client
from inferd.core.errors import InvalidInput

PAGE = "financial_sentiment"
TEN = [
    ("Harlow Foods posts record quarterly profit as snack demand surges", "positive", "earnings"),
    ("Kestrel Airlines shares plunge 20% to a five-year low", "negative", "markets"),
    (
        "Start-up Novaleaf secures $80 million in an oversubscribed funding round",
        "positive",
        "deals",
    ),
    ("Central bank holds interest rates steady at 4.5%", "neutral", "economy"),
    ("Brightwell Bank fined $150 million for money laundering failures", "negative", "legal"),
    ("远航物流上半年扭亏为盈，净赚2.3亿元", "positive", "earnings"),
    ("北辰芯片股价涨停，市值突破千亿元", "positive", "markets"),
    ("央行维持基准利率不变", "neutral", "economy"),
    ("金岳汽车因刹车缺陷召回4万辆货车", "negative", "products"),
    ("天蓝航空任命李敏为首席执行官", "neutral", "people"),
]


@pytest.fixture(scope="module")
def server(serve):
    return serve("financial_sentiment", "--instances", 1)


@pytest.fixture(scope="module")
def url(server):
    host, port = server.data
    return f"http://{host}:{port}"


@pytest.fixture(scope="module")
def asking(url):
    with Client(url, timeout=60) as asking:
        yield asking


@pytest.fixture(scope="module")
def evaluation(prepared):
    return json.loads((prepared("financial_sentiment") / "evaluation.json").read_text())


def lines_of(*documents):
    return "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents)


def run(url, *arguments):
    return client.main(["--url", url, *map(str, arguments)])


# --------------------------------------------------------------------------- one document


def test_the_ten_are_of_the_held_out_headlines():
    held = {h.text: h for lang in data.LANGUAGES for h in data.headlines("held_out", lang)}

    assert [(t, held[t].sentiment, held[t].topic) for t, _, _ in TEN] == TEN


@pytest.mark.parametrize(("text", "sentiment", "topic"), TEN, ids=[f"{n}" for n in range(10)])
def test_ten_headlines_are_answered_rightly(asking, text, sentiment, topic):
    found = client.analyse(asking, text)

    assert (found["sentiment"], found["topic"]) == (sentiment, topic)
    assert found["language"] == ("zh" if ord(text[0]) > 0x3000 else "en")
    assert found["keywords"]


def test_names_amounts_and_percentages_are_found(asking):
    english = client.analyse(
        asking, "Tim Cook said Apple made $3 billion in China, 12% more than before."
    )
    chinese = client.analyse(
        asking, "江川银行（600123）在上海公布，王建国获任董事长，净赚2.3亿元，增长32%"
    )

    def kinds(found):
        return {entity["name"]: entity["kind"] for entity in found["entities"]}

    assert kinds(english) == {
        "Tim Cook": "PERSON", "Apple": "ORG", "$3 billion": "MONEY", "China": "GPE", "12%": "PERCENT",
    }  # fmt: skip
    assert kinds(chinese) == {
        "江川银行": "ORG", "600123": "TICKER", "上海": "GPE", "王建国": "PERSON", "2.3亿元": "MONEY",
        "32%": "PERCENT",
    }  # fmt: skip


def test_a_report_is_judged_sentence_by_sentence(asking):
    report = (
        "Harlow Foods' profit rose 20% in the quarter. Sales beat expectations in every region. "
        "The board raised its full-year guidance. One plant was closed after a fire."
    )

    found = client.analyse(asking, report)

    assert found["sentiment"] == "positive"
    assert len(found["sentences"]) == 4
    assert found["sentences"][0]["score"] > 0 > found["sentences"][3]["score"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no words"),
        ("12345 !!!", "no words"),
        ("Die Aktie fiel gestern nach schlechten Zahlen des Unternehmens deutlich", "German"),
        ("株価は大きく下落しました", "script"),
        ("x " * 10_001, "more than 20,000"),
    ],
    ids=["empty", "numbers", "german", "japanese", "long"],
)
def test_what_cannot_be_judged_is_refused_with_the_reason(asking, text, told):
    with pytest.raises(InvalidInput, match=told):
        client.analyse(asking, text)


# --------------------------------------------------------------------------- figures


@pytest.mark.parametrize(("language", "ahead"), [("en", 0.15), ("zh", 0.4)])
def test_held_out_headlines_are_judged_better_than_by_the_word_list(evaluation, language, ahead):
    held = evaluation[language]["held_out"]

    for figure in ("accuracy", "macro_f1"):
        assert held["sentiment"][figure] >= held["baseline"][figure] + ahead
    assert held["headlines"] == 126
    assert sum(map(sum, held["sentiment"]["confusion"])) == 126


@pytest.mark.parametrize("language", data.LANGUAGES)
def test_what_is_served_judges_as_what_was_measured(asking, evaluation, language):
    held = data.headlines("held_out", language)
    lines = [client.Line(n, {"text": h.text}) for n, h in enumerate(held, 1)]

    answers = list(client.answers(asking, lines))

    right = [a["sentiment"] == h.sentiment for a, h in zip(answers, held, strict=True)]
    topics = [a["topic"] == h.topic for a, h in zip(answers, held, strict=True)]
    figures = evaluation[language]["held_out"]
    assert sum(right) / 126 == pytest.approx(figures["sentiment"]["accuracy"], abs=0.02)
    assert sum(topics) / 126 == pytest.approx(figures["topic"]["accuracy"], abs=0.02)


@pytest.mark.parametrize("language", data.LANGUAGES)
@pytest.mark.parametrize("name", ["later", "blind"])
def test_free_wording_is_judged_better_than_by_the_word_list(evaluation, language, name):
    figures = evaluation[language][name]

    assert figures["sentiment"]["accuracy"] >= figures["baseline"]["accuracy"] + 0.15
    assert figures["topic"]["accuracy"] >= 0.6


# --------------------------------------------------------------------------- many documents


def test_a_batch_goes_on_after_wrong_lines(url, tmp_path, capsys):
    file = tmp_path / "news.jsonl"
    good = {"text": "Profit soars at Harlow Foods", "date": "2026-03-02", "id": 7}
    file.write_text(
        lines_of(good) + "{broken\n\n" + lines_of({"text": "123"}, {"text": "公司亏损扩大"})
    )

    assert run(url, "batch", file) == 1

    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [a.get("sentiment") for a in answers] == ["positive", None, None, "negative"]
    assert answers[0]["id"] == 7
    assert answers[0]["date"] == "2026-03-02"
    assert (answers[1]["line"], answers[2]["line"]) == (2, 4)
    assert "no JSON" in answers[1]["error"]
    assert "no words" in answers[2]["error"]


def test_a_document_is_read_from_standard_input(url, monkeypatch, capsys):
    given = io.BytesIO("公司净利润大幅增长".encode() + b"\xff")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(given, encoding="utf-8"))

    assert run(url, "analyse", "-") == 0

    assert json.loads(capsys.readouterr().out)["sentiment"] == "positive"


def test_no_server_is_told_in_one_line(capsys):
    assert run("http://127.0.0.1:9", "analyse", "Profit rose") == 1
    assert "is the server running?" in capsys.readouterr().err


def follow(url, *arguments, **more):
    command = [sys.executable, "-m", "examples.financial_sentiment.client", "--url", url, "follow"]
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [*command, *map(str, arguments)], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=environment(), **more,
    )  # fmt: skip


def test_a_followed_file_is_answered_as_it_grows_and_ends_at_ctrl_c(url, tmp_path):
    file, html = tmp_path / "news.jsonl", tmp_path / "report.html"
    file.write_text(lines_of({"text": "Profit soars", "date": "2026-03-02"}))
    following = follow(url, file, "--html", html, "--every", 0.1)
    try:
        first = json.loads(following.stdout.readline())
        with file.open("a") as growing:
            growing.write('{"text": "公司亏')
            growing.flush()
            growing.write('损扩大"}\n{broken\n')
        second, third = (json.loads(following.stdout.readline()) for _ in range(2))
        file.rename(tmp_path / "news.1")
        file.write_text(lines_of({"text": "Shares tumble"}))
        fourth = json.loads(following.stdout.readline())
        until(html.exists, 30)
        following.send_signal(signal.SIGINT)
        _, said = following.communicate(timeout=30)
    finally:
        following.kill()

    assert [a.get("sentiment") for a in (first, second, third, fourth)] == [
        "positive", "negative", None, "negative",
    ]  # fmt: skip
    assert third["line"] == 3
    assert following.returncode == 0
    assert "3 documents, 1 errors" in said
    assert "Traceback" not in said
    assert "Shares tumble" in html.read_text()


def test_a_followed_pipe_ends_with_its_last_line(url):
    following = follow(url, "-", stdin=subprocess.PIPE)

    out, said = following.communicate('{"text": "Profit soars"}\n"Shares tumble"', timeout=60)

    assert [json.loads(line)["sentiment"] for line in out.splitlines()] == ["positive", "negative"]
    assert following.returncode == 0
    assert "2 documents, 0 errors" in said


# --------------------------------------------------------------------------- the report


def test_the_report_opens_in_a_browser_with_charts_and_chinese(url, prepared, tmp_path, desktop):
    html, summary = tmp_path / "report.html", tmp_path / "report.json"

    assert run(
        url, "report", prepared("financial_sentiment") / "headlines.jsonl", "--html", html, "--json", summary
    ) == 0  # fmt: skip

    counted = json.loads(summary.read_text())
    assert counted["documents"] == 252
    assert len(counted["by_day"]) == 14
    page = desktop(html.as_uri())
    for title in ("Sentiment over time", "By company, person and place", "By topic"):
        assert page.get_by_role("img", name=title).locator("svg").is_visible()
        assert page.get_by_role("table", name=title).locator("tbody tr").count() > 5
    assert page.get_by_text("江川银行").first.is_visible()
    check_fits(page)
    shot(page, "financial-report")


def test_a_report_on_nothing_is_refused_with_the_reason(asking):
    with pytest.raises(InvalidInput, match="line 1: no JSON"):
        asking.predict(client.REPORT, {"documents": "{broken"})


# --------------------------------------------------------------------------- the page


def done(page):
    page.locator("#status").filter(has_text="analysed").wait_for()


def test_the_page_by_keyboard(server, desktop):
    page = desktop(address(server, PAGE), allow="400")  # the third document has no words

    page.keyboard.press("Tab")
    page.keyboard.type("2026-03-02 Profit soars at Harlow Foods")
    page.keyboard.press("Enter")
    page.keyboard.type("2026-03-03 江川银行被罚1.5亿元")
    page.keyboard.press("Enter")
    page.keyboard.type("12345")
    page.keyboard.press("Control+Enter")
    done(page)

    assert page.locator("#status").inner_text() == "2 analysed, 1 could not be."
    entries = page.locator("#documents > li")
    assert "positive" in entries.nth(0).inner_text()
    assert "negative" in entries.nth(1).inner_text()
    assert "江川银行 ORG" in entries.nth(1).inner_text()
    assert "no words" in entries.nth(2).inner_text()
    assert page.locator("#over-time svg").is_visible()
    assert "江川银行" in page.locator("#by-entity").inner_text()


def test_the_page_offers_the_report(server, desktop, tmp_path):
    page = desktop(address(server, PAGE))
    page.get_by_role("button", name="Try a sample").click()
    done(page)
    shot(page, "financial")
    check_page(page)

    with page.expect_download() as download:
        page.get_by_role("link", name="Report as HTML").click()

    download.value.save_as(tmp_path / "report.html")
    assert "江川银行" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_page_on_a_phone(server, phone):
    page = phone(address(server, PAGE))
    page.get_by_role("button", name="Try a sample").tap()
    done(page)
    check_fits(page)
    shot(page, "financial-phone")


def test_the_page_says_that_there_is_nothing_to_do(server, desktop):
    page = desktop(address(server, PAGE))

    page.get_by_role("button", name="Analyse").click()

    assert page.locator("#status").inner_text() == "Write a document first."
    assert page.locator("#text").evaluate("e => e === document.activeElement")
