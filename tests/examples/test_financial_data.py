"""The labelled headlines of the financial example: what is measured on was not trained on."""

import pytest
from examples.financial_sentiment import data
from examples.financial_sentiment.topicwords import TOPICS

ALIKE = 0.6


def headlines(names, language):
    return [h for name in names for h in data.headlines(name, language)]


def pieces(text, size):
    text = text.lower()
    return {text[at : at + size] for at in range(max(1, len(text) - size + 1))}


@pytest.mark.parametrize("language", data.LANGUAGES)
def test_no_headline_to_measure_on_is_nearly_one_that_is_trained_on(language):
    size = 3 if language == "en" else 2
    held = [(h.text, pieces(h.text, size)) for h in headlines(data.HELD_OUT, language)]

    for seen in headlines(("wide",), language):
        mine = pieces(seen.text, size)
        for text, theirs in held:
            assert len(mine & theirs) / len(mine | theirs) < ALIKE, (seen.text, text)


@pytest.mark.parametrize("language", data.LANGUAGES)
def test_no_headline_is_in_two_sets_or_twice_in_one(language):
    texts = [h.text for h in headlines((*data.TRAINING, *data.HELD_OUT), language)]

    assert len(texts) == len(set(texts))


@pytest.mark.parametrize("language", data.LANGUAGES)
def test_labels_are_those_that_there_are_and_all_are_there(language):
    for name in (*data.TRAINING, *data.HELD_OUT):
        found = data.headlines(name, language)
        assert {h.sentiment for h in found} == set(data.SENTIMENTS)
        assert {h.topic for h in found} == set(TOPICS)
