"""Word error rates."""

from __future__ import annotations

import pytest
from examples.kit.words import errors, word_error_rate, words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("He was NOT, an ill-disposed man!", "he was not an ill disposed man"),
        ("Mr. Dashwood & Mrs. Smith", "mister dashwood and missus smith"),
        ("it\u2019s 'quoted'", "it's quoted"),
        ("  \n", ""),
        ("snake_case", "snake case"),
    ],
)
def test_words_are_as_they_are_said(text, said):
    assert words(text) == said.split()


@pytest.mark.parametrize(
    ("said", "heard", "wrong"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a x c", 1),
        ("a b c", "a c", 1),
        ("a b c", "a b x c", 1),
        ("a b c", "", 3),
        ("", "a b", 2),
        ("a b c d", "b c d a", 2),
        ("kitten", "sitting", 1),
    ],
)
def test_the_fewest_changes_are_counted(said, heard, wrong):
    assert errors(said.split(), heard.split()) == wrong


def test_the_rate_is_over_all_words():
    pairs = [("a b c d", "A, b. c d!"), ("e f g h i j", "e f g x i j")]

    assert word_error_rate(pairs) == pytest.approx(0.1)
    assert word_error_rate([("a", "b c d")]) == 3
    assert word_error_rate([]) == 0
