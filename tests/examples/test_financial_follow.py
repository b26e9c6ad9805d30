"""The stream reader of the financial example: whole lines only, in whatever way a file grows."""

import os

import pytest
from examples.financial_sentiment.follow import LONGEST_LINE, Splitter, Tail, numbered, parse


@pytest.fixture
def log(tmp_path):
    return tmp_path / "news.jsonl"


@pytest.fixture
def tail(log):
    following = Tail(log)
    yield following
    following.close()


def append(path, data):
    with path.open("ab") as file:
        file.write(data)


def test_a_file_may_come_later_and_its_lines_come_once(log, tail):
    assert tail.lines() == []
    append(log, b"one\ntw")
    assert tail.lines() == [b"one"]
    assert tail.lines() == []
    append(log, b"o\nthree\n")
    assert tail.lines() == [b"two", b"three"]


def test_a_character_cut_in_two_is_put_together(log, tail):
    text = '{"text": "利润"}\n'.encode()
    append(log, text[:12])
    assert tail.lines() == []
    append(log, text[12:])
    assert parse(1, tail.lines()[0]).document == {"text": "利润"}


def test_a_file_that_is_cut_off_begins_anew(log, tail):
    append(log, b"one\ntwo\nhalf")
    assert tail.lines() == [b"one", b"two"]
    log.write_bytes(b"new\n")
    assert tail.lines() == [b"new"]


def test_a_file_that_is_replaced_is_read_to_its_end_first(log, tail):
    append(log, b"one\n")
    assert tail.lines() == [b"one"]
    append(log, b"two\nlast")
    os.rename(log, log.with_suffix(".1"))
    assert tail.lines() == [b"two"]  # no new one yet: this one may still grow
    append(log, b"three\n")
    assert tail.lines() == [b"last", b"three"]


def test_a_file_that_is_moved_away_is_followed_until_another_comes(log, tail):
    append(log, b"one\n")
    tail.lines()
    old = log.with_suffix(".1")
    os.rename(log, old)
    append(old, b"two\n")
    assert tail.lines() == [b"two"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{broken", "no JSON"),
        (b"[1]", "no JSON object"),
        (b'{"title": "x"}', 'no "text"'),
        (b'{"text": 5}', 'no "text"'),
        (b'{"text": "\xff"}', "not UTF-8"),
        (b'{"text": "x", "title": ["\\ud83d"]}', "half of a character"),
        (b"[" * 100_000, "no JSON"),
        (b"x" * (LONGEST_LINE + 1), "longer than"),
    ],
    ids=["broken", "list", "no-text", "number", "bytes", "half", "deep", "long"],
)
def test_a_wrong_line_says_what_is_wrong_with_it(line, problem):
    read = parse(7, line)

    assert read.number == 7
    assert problem in read.problem


def test_blank_lines_are_counted_and_plain_texts_are_documents():
    read = list(numbered([b"", b'\xef\xbb\xbf"Profit rose"', b"  ", b'{"text": "b", "date": "d"}']))

    assert [(line.number, line.document) for line in read] == [
        (2, {"text": "Profit rose"}),
        (4, {"text": "b", "date": "d"}),
    ]


def test_a_line_without_an_end_is_not_kept_without_bound():
    splitter = Splitter()
    for _ in range(3):
        splitter.add(b"x" * LONGEST_LINE)

    (line,) = splitter.add(b"\n")

    assert len(line) == LONGEST_LINE + 1
    assert "longer than" in parse(1, line).problem
