from collections import Counter

import numpy as np
import pytest

from inferd.core.errors import ModelFailed
from inferd.runtimes.genai.parameters import Sampling
from inferd.runtimes.genai.sample import Sampler

LOGITS = np.log(np.array([0.05, 0.5, 0.2, 0.2, 0.05], np.float32))


def sampler(prompt=(), eos=(4,), **sampling):
    return Sampler(Sampling(**sampling), prompt, eos)


def drawn(count=2000, **sampling):
    one = sampler(seed=1, **{"temperature": 1.0, **sampling})
    return Counter(one.next(LOGITS, i) for i in range(count))


def test_without_temperature_the_likeliest_is_taken():
    assert [sampler().next(LOGITS, i) for i in range(5)] == [1] * 5


def test_tokens_are_drawn_by_their_likelihood():
    found = drawn()

    shares = np.array([found[token] for token in range(5)]) / 2000
    np.testing.assert_allclose(shares, np.exp(LOGITS), atol=0.04)


def test_a_low_temperature_favours_the_likely():
    assert drawn(temperature=0.3)[1] > drawn()[1] * 1.5


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-9])
def test_next_to_no_temperature_takes_the_likeliest(temperature):
    assert set(drawn(20, temperature=temperature)) == {1}


def test_top_k_leaves_the_likeliest():
    assert set(drawn(top_k=3)) == {1, 2, 3}
    assert set(drawn(top_k=1)) == {1}
    assert set(drawn(top_k=100)) == set(drawn(top_k=-1)) == set(range(5))


def test_top_p_leaves_those_that_make_up_so_much():
    assert set(drawn(top_p=0.6)) == {1, 2} or set(drawn(top_p=0.6)) == {1, 3}
    assert set(drawn(top_p=0.85)) == {1, 2, 3}
    assert set(drawn(top_p=0.0)) == {1}


def test_a_seed_makes_the_same_choices_again():
    def choices(seed):
        one = sampler(temperature=1.0, seed=seed)
        return [one.next(LOGITS, i) for i in range(50)]

    assert choices(7) == choices(7) != choices(8)
    assert choices(-1) == choices(-1)


def test_without_a_seed_two_answers_differ():
    first, second = sampler(temperature=1.0), sampler(temperature=1.0)

    assert [first.next(LOGITS, i) for i in range(64)] != [second.next(LOGITS, i) for i in range(64)]


def test_what_stands_in_the_prompt_is_less_likely_to_be_repeated():
    assert sampler(prompt=[1], repetition_penalty=3.0).next(LOGITS, 0) in {2, 3}
    assert sampler(prompt=[2], repetition_penalty=3.0).next(LOGITS, 0) == 1


def test_positive_and_negative_logits_are_both_made_smaller_by_repetition():
    one = sampler(prompt=[0, 1], repetition_penalty=2.0)

    assert one.next(np.array([2.0, -1.0, 1.5], np.float32), 0) == 2
    assert (
        sampler(prompt=[1], repetition_penalty=2.0).next(np.array([-1.5, -1.0], np.float32), 0) == 0
    )


@pytest.mark.parametrize("name", ["presence_penalty", "frequency_penalty"])
def test_what_was_said_is_less_likely_to_be_said_again(name):
    one = sampler(**{name: 2.0})

    assert len({one.next(LOGITS, i) for i in range(3)}) == 3


def test_frequency_counts_and_presence_does_not():
    logits = np.array([3.0, 0.0], np.float32)
    often, once = sampler(frequency_penalty=1.1), sampler(presence_penalty=1.1)

    assert [often.next(logits, i) for i in range(4)] == [0, 0, 0, 1]
    assert [once.next(logits, i) for i in range(4)] == [0, 0, 0, 0]


def test_the_end_waits_for_min_tokens():
    logits = np.array([0.0, 0.0, 1.0, 0.0, 9.0], np.float32)
    one = sampler(min_tokens=2)

    assert [one.next(logits, said) for said in range(3)] == [2, 2, 4]


def test_the_logits_stay_as_they_are():
    logits = LOGITS.copy()
    sampler(prompt=[1, 2], repetition_penalty=2.0, min_tokens=3).next(logits, 0)

    np.testing.assert_array_equal(logits, LOGITS)


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf], ids=str)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_no_number_is_a_failure_of_the_model(value, temperature):
    with pytest.raises(ModelFailed, match="no number"):
        sampler(temperature=temperature).next(np.full(5, value, np.float32), 0)
