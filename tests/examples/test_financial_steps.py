"""The steps of the financial example: direction words, languages, sentences, names, the judgement."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from examples.financial_sentiment.cues import NAMES, cues, verdict

from inferd.core.errors import InvalidInput

for needed in ("jieba", "py3langid", "yake"):
    pytest.importorskip(needed)

EXAMPLE = Path(__file__).parents[2] / "examples" / "financial_sentiment"


@pytest.fixture(scope="module")
def steps():
    """The module as a pipeline imports it: ``cues`` and ``topicwords`` lie beside it."""
    spec = spec_from_file_location("financial_steps", EXAMPLE / "files" / "steps.py")
    module = module_from_spec(spec)
    sys.path.insert(0, str(EXAMPLE))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(EXAMPLE))
        for name in ("cues", "topicwords"):
            sys.modules.pop(name, None)
    return module


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("en", "Profit rises", "positive"),
        ("en", "Profit falls", "negative"),
        ("en", "Unemployment falls", "positive"),
        ("en", "Unemployment rises", "negative"),
        ("en", "The loss narrowed", "positive"),
        ("en", "Costs climbed", "negative"),
        ("en", "The company is in Leeds", "neutral"),
        ("zh", "利润上升", "positive"),
        ("zh", "利润下降", "negative"),
        ("zh", "失业率下降", "positive"),
        ("zh", "失业率上升", "negative"),
        ("zh", "公司在杭州", "neutral"),
        ("en", "Revenue fails to meet expectations", "negative"),
        ("en", "Sales fell less than feared", "positive"),
        ("en", "The miner cuts losses", "positive"),
        ("en", "A narrower loss than last year", "positive"),
        ("en", "The loss widened", "negative"),
        ("en", "Profit rose despite weak demand", "positive"),
        ("zh", "业绩不及预期", "negative"),
        ("zh", "公司扭亏为盈", "positive"),
        ("zh", "亏损收窄", "positive"),
        ("zh", "出口降幅收窄", "positive"),
        ("zh", "上市首日跌破发行价", "negative"),
        ("zh", "获社保基金增持", "positive"),
        ("zh", "计提减值十亿元", "negative"),
        ("zh", "平台暴雷", "negative"),
        ("zh", "监管未发现违规", "positive"),
    ],
)
def test_a_direction_is_read_together_with_what_moves(language, text, said):
    assert verdict(cues(text, language)) == said


def test_a_thing_of_another_clause_does_not_turn_a_direction_round():
    found = dict(zip(NAMES, cues("Unemployment is unchanged, profits rise", "en"), strict=True))

    assert (found["up"], found["up_bad"]) == (1, 0)
    assert found["silent"] == 0


def test_where_no_word_has_a_direction_the_counts_are_silent():
    assert cues("The company is in Leeds", "en")[-1] == 1


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Profit rose", "en"),
        ("Kestrel Airlines", "en"),
        ("Société Vallon shares rise on strong demand", "en"),
        ("利润增长", "zh"),
        ("Apple公司在iPhone销售上表现强劲", "zh"),
    ],
)
def test_a_language_is_told_by_script_and_words(steps, text, language):
    assert steps.read(text)["language"] == language


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Les ventes de la société ont fortement reculé au troisième trimestre", "French"),
        ("Las acciones de la empresa cayeron ayer después de los malos resultados", "Spanish"),
        ("삼성전자의 영업이익이 크게 증가했다", "script"),
        ("Прибыль компании выросла", "script"),
    ],
    ids=["french", "spanish", "korean", "russian"],
)
def test_other_languages_are_refused(steps, text, told):
    with pytest.raises(InvalidInput, match=told):
        steps.read(text)


def test_sentences_are_parted_and_short_forms_are_not(steps):
    text = 'Acme Inc. rose 3.5% on Monday. "It was good," said J. Smith. 利润增长。亏损收窄！\nA new line'

    assert steps.parts(text) == [
        "Acme Inc. rose 3.5% on Monday.",
        '"It was good," said J. Smith.',
        "利润增长。",
        "亏损收窄！",
        "A new line",
    ]


def test_of_a_long_document_the_beginning_and_the_end_are_judged(steps):
    found = steps.parts(" ".join(f"Sentence {n} says so." for n in range(200)))

    assert len(found) == steps.MOST_PARTS
    assert found[0].startswith("Sentence 0 ")
    assert found[-1].startswith("Sentence 199 ")


def test_keywords_are_no_units_and_do_not_repeat_each_other(steps):
    for text, language in (
        ("Profit at Harlow Foods rose to $3 billion, Harlow Foods said", "en"),
        ("华岭食品净利润同比增长32%至3亿元", "zh"),
    ):
        found = steps.keywords(text, language)
        assert found
        assert not set(found) & steps.UNITS
        assert not any(a in b for a in found for b in found if a is not b)


def test_names_do_not_overlap_and_keep_the_order_of_the_text(steps):
    found = steps.entities_zh("江川银行在上海被罚1.5亿元，王建国辞任，跌幅达3%")

    assert found["names"] == ["江川银行", "上海", "1.5亿元", "王建国", "3%"]
    assert found["kinds"] == ["ORG", "GPE", "MONEY", "PERSON", "PERCENT"]


def test_a_sentence_that_takes_a_side_outweighs_those_that_take_none(steps):
    calm, bad = [0.05, 0.9, 0.05], [0.98, 0.01, 0.01]
    polarity = np.array([bad, calm, calm], np.float32)
    topic = np.full((3, len(steps.TOPICS)), 1 / 7, np.float32)
    topic[:, 2] += 0.5

    found = steps.judge(polarity, topic)

    assert found["sentiment"] == "negative"
    assert found["score"] < -0.4
    assert found["topic"] == steps.TOPICS[2]
    assert found["sentence_scores"][0] == pytest.approx(-0.97)
