import json

import numpy as np
import pytest
from tests.generators import CONTEXT, generator

from inferd.core.errors import InvalidInput, ModelFailed
from inferd.runtimes.genai.engine import _chunk

from .conftest import bytes_of, loaded, prompt

ALPHABET = "bcdefé👋ghijklmnop"
TOKENS = len(ALPHABET.encode())


@pytest.fixture
def reciting(reciter):
    return loaded(reciter)


@pytest.fixture
def thinking(thoughtful):
    return loaded(thoughtful, default_max_tokens=12)


def alone(folder, text, **parameters):
    asked = loaded(folder)
    asked.add(1, text, **parameters)
    return asked.finish().texts[1]


def test_an_answer_comes_token_by_token_and_says_how_it_ended(reciting):
    reciting.add(7, "a")
    reciting.finish()

    assert reciting.texts[7] == ALPHABET
    assert reciting.last[7] == {
        "text": b"", "finish_reason": b"stop", "prompt_tokens": 1, "completion_tokens": TOKENS,
    }  # fmt: skip


def test_pieces_never_cut_a_character(reciting):
    reciting.add(1, "e")
    pieces = []
    while reciting.engine.active or reciting.engine.waiting:
        pieces += [piece["text"][0].decode() for _, piece, _ in reciting.engine.step()]

    assert pieces == ["f", "é", "👋", *"ghijklmnop", ""]


def test_tokens_are_counted_as_they_come(reciting):
    reciting.add(1, "a")
    found = []
    while reciting.engine.active or reciting.engine.waiting:
        found += [piece for _, piece, _ in reciting.engine.step()]

    counts = [int(piece["completion_tokens"][0]) for piece in found]
    assert counts == [1, 2, 3, 4, 5, 7, 11, *range(12, TOKENS + 1), TOKENS]
    assert ["prompt_tokens" in piece for piece in found[:2]] == [True, False]


def test_the_limit_ends_an_answer(reciting):
    reciting.add(1, "a", max_tokens=3)
    reciting.finish()

    assert reciting.texts[1] == "bcd"
    assert reciting.last[1]["finish_reason"] == b"length"
    assert reciting.last[1]["completion_tokens"] == 3


def test_a_character_that_the_limit_cuts_is_left_out(reciting):
    reciting.add(1, "a", max_tokens=6)

    assert reciting.finish().texts[1] == "bcdef"


def test_min_tokens_keep_the_end_away(reciting):
    reciting.add(1, "o", min_tokens=4, max_tokens=6)
    reciting.finish()

    assert reciting.texts[1].startswith("p")
    assert reciting.last[1]["completion_tokens"] >= 4


@pytest.mark.parametrize(
    ("stop", "text"), [("gh", "bcdefé👋"), ('["zz", "é"]', "bcdef"), ("👋g", "bcdefé"), ("b", "")]
)
def test_a_stop_text_ends_it_wherever_pieces_are_cut(reciting, stop, text):
    reciting.add(1, "a", stop=stop)
    reciting.finish()

    assert reciting.texts[1] == text
    assert reciting.last[1]["finish_reason"] == b"stop"


def test_what_might_have_been_a_stop_is_given_in_the_end(reciting):
    reciting.add(1, "a", stop="opq", max_tokens=TOKENS)
    reciting.finish()

    assert reciting.texts[1] == ALPHABET and reciting.last[1]["finish_reason"] == b"length"


def test_a_conversation_is_answered(reciter):
    asked = loaded(reciter)
    messages = json.dumps([{"role": "user", "content": "Hi"}])
    asked.engine.add(1, {"prompt": bytes_of(""), "messages": bytes_of(messages)}, {"max_tokens": 2})
    asked.finish()

    assert asked.last[1]["prompt_tokens"] == len("user:Hi\nassistant:")


def test_many_are_answered_as_each_would_be_alone(thoughtful):
    asked = loaded(thoughtful, default_max_tokens=12)
    texts = [f"{'x' * (5 * i)}{i}" for i in range(8)]
    for key, text in enumerate(texts):
        asked.add(key, text)
    asked.finish()

    assert [asked.texts[i] for i in range(8)] == [
        alone(thoughtful, t, max_tokens=12) for t in texts
    ]


def test_requests_join_while_others_are_answered(thoughtful, thinking):
    thinking.add(1, "the first one")
    for _ in range(12):
        thinking.step()
    thinking.add(2, "another")
    thinking.finish()

    assert thinking.first[2] < thinking.steps[1], "it began before the first ended"
    assert thinking.texts[2] == alone(thoughtful, "another", max_tokens=12)
    assert thinking.texts[1] == alone(thoughtful, "the first one", max_tokens=12)


def test_more_requests_than_rows_wait_for_one(thoughtful):
    asked = loaded(thoughtful, sequences=2, default_max_tokens=5)
    for key in range(5):
        asked.add(key, f"number {key}")
    most = 0
    while asked.engine.active or asked.engine.waiting:
        asked.step()
        most = max(most, asked.engine.active)

    assert most == 2 and sorted(asked.last) == [0, 1, 2, 3, 4]
    assert asked.texts[4] == alone(thoughtful, "number 4", max_tokens=5)


def test_an_idle_engine_waits_a_blink_so_that_those_who_come_together_begin_together(reciting):
    reciting.add(0, "x" * 20 + "a")
    assert reciting.engine.step() == []
    for key in range(1, 8):
        reciting.add(key, f"{key}" * 20 + "a")
    reciting.finish()

    assert len(set(reciting.first.values())) == 1


def test_the_wait_has_an_end_however_many_come(thinking):
    for key in range(30):
        thinking.add(key, "another")
        if thinking.engine.step():
            break
    else:
        raise AssertionError("nobody was answered")
    assert key < 15


def test_a_long_prompt_is_read_between_the_tokens_of_others(thoughtful):
    asked = loaded(thoughtful, prefill_tokens=16, default_max_tokens=30)
    asked.add(1, "short")
    while not asked.first:
        asked.step()
    asked.add(2, "x" * 160)
    begun = asked.count
    while 2 not in asked.first:
        asked.step()

    assert asked.first[2] - begun >= 10 + 9, "ten chunks, and a token between two"
    assert asked.steps[1] > begun + 15
    assert asked.finish().texts[2] == alone(thoughtful, "x" * 160, max_tokens=30)


def test_cancelling_frees_the_row_at_once(thoughtful):
    asked = loaded(thoughtful, sequences=1, default_max_tokens=100)
    asked.add(1, "goes on and on")
    asked.add(2, "waits")
    while not asked.first:
        asked.step()
    asked.engine.cancel(1)

    assert asked.engine.active == 0
    asked.finish()
    assert asked.texts[2] == alone(thoughtful, "waits", max_tokens=100) and 1 not in asked.last


def test_cancelling_who_waits_or_is_unknown_changes_nothing_else(thinking):
    for key in (1, 2, 3):
        thinking.add(key, f"number {key}")
    thinking.engine.cancel(2)
    thinking.engine.cancel(99)
    thinking.finish()

    assert sorted(thinking.last) == [1, 3] and thinking.engine.active == 0


def test_who_is_held_gets_nothing_and_goes_on_where_it_was(thoughtful, thinking):
    thinking.add(1, "the first one")
    thinking.add(2, "the second one")
    while not thinking.first:
        thinking.step()
    thinking.engine.hold(1, on=True)
    held = thinking.texts[1]
    while 2 not in thinking.last:
        thinking.step()
    assert thinking.texts[1] == held and thinking.engine.active == 0

    thinking.engine.hold(1, on=False)
    thinking.finish()
    assert thinking.texts[1] == alone(thoughtful, "the first one", max_tokens=12)
    assert thinking.texts[2] == alone(thoughtful, "the second one", max_tokens=12)


def test_who_is_held_may_be_cancelled(thoughtful):
    asked = loaded(thoughtful, sequences=1)
    asked.add(1, "the first one")
    while not asked.first:
        asked.step()
    asked.engine.hold(1, on=True)
    asked.engine.cancel(1)
    asked.add(2, "a", max_tokens=2)

    assert 2 in asked.finish().last


def test_a_conversation_goes_on_without_being_read_again(thoughtful):
    asked = loaded(thoughtful, default_max_tokens=4)
    asked.add(1, "x" * 60)
    asked.finish()
    read = []
    run = asked.decoder.run
    asked.decoder.run = lambda tokens, first: read.append(tokens.size) or run(tokens, first)
    asked.add(2, "x" * 60 + "yz")
    asked.finish()

    assert read[0] == 2
    assert asked.texts[2] == alone(thoughtful, "x" * 60 + "yz", max_tokens=4)


def test_the_context_is_the_limit_of_prompt_and_answer(thoughtful):
    asked = loaded(thoughtful)
    asked.add(1, "x" * (CONTEXT - 5), max_tokens=1000, min_tokens=1000)
    asked.finish()

    assert asked.last[1]["completion_tokens"] == 5 and asked.last[1]["finish_reason"] == b"length"


@pytest.mark.parametrize(
    ("text", "parameters", "told"),
    [
        ("x" * CONTEXT, {}, f"has {CONTEXT} tokens, and the model reads at most {CONTEXT - 1}"),
        ("", {}, "says nothing"),
        ("a", {"temprature": 1}, "unknown parameter"),
    ],
    ids=["long", "empty", "parameter"],
)
def test_a_request_that_is_refused_leaves_nothing_behind(reciting, text, parameters, told):
    with pytest.raises(InvalidInput, match=told):
        reciting.add(1, text, **parameters)
    assert reciting.engine.waiting == 0
    reciting.add(1, "a")
    assert reciting.finish().texts[1] == ALPHABET


def test_a_seed_gives_the_same_answer_again_and_in_company(thoughtful):
    first = alone(thoughtful, "tell", temperature=1.0, seed=5, max_tokens=20)
    asked = loaded(thoughtful)
    for key, seed in enumerate((5, 6, 5)):
        asked.add(key, "tell", temperature=1.0, seed=seed, max_tokens=20)
    asked.finish()

    assert asked.texts[0] == asked.texts[2] == first != asked.texts[1]


def test_a_failed_run_ends_everybody_and_the_next_request_works(reciting):
    run = reciting.decoder.run
    reciting.add(1, "a")
    reciting.add(2, "b")
    while not reciting.first:
        reciting.step()

    def fails(tokens, first):
        raise ModelFailed("the model failed: out of luck")

    reciting.decoder.run = fails
    with pytest.raises(ModelFailed, match="out of luck"):
        reciting.engine.step()
    reciting.engine.cancel(1)
    reciting.decoder.run = run
    reciting.add(3, "a")

    assert reciting.finish().texts[3] == ALPHABET
    assert 1 not in reciting.last and 2 not in reciting.last


def test_numbers_that_are_none_end_one_answer_alone(reciting):
    run = reciting.decoder.run

    def spoiled(tokens, first):
        logits = run(tokens, first)
        if len(tokens) == 2:
            logits[0] = np.nan
        return logits

    reciting.add(1, "a")
    reciting.add(2, "g")
    reciting.decoder.run = spoiled
    reciting.finish()

    assert isinstance(reciting.errors[1], ModelFailed)
    assert reciting.texts[2] == "hijklmnop" and 2 in reciting.last


def test_inputs_that_are_left_out_count_as_empty(reciter):
    asked = loaded(reciter)
    asked.engine.add(1, {"prompt": prompt("a")["prompt"]}, {})

    assert asked.finish().texts[1] == ALPHABET


def test_long_prompts_are_read_one_after_the_other_and_short_ones_between(thoughtful):
    asked = loaded(thoughtful, prefill_tokens=16, default_max_tokens=1)
    for key in (1, 2, 3):
        asked.add(key, str(key) * 192)  # 12 chunks each, of which a step reads four
    asked.step()
    asked.add(4, "short")
    asked.finish()

    first = asked.first
    assert first[4] < first[1] < first[2] < first[3], (
        "a step reads four chunks, so some steps lie between"
    )


@pytest.mark.parametrize("most", [0, 1, 2, 3, 4, 16])
def test_no_chunk_of_a_prompt_is_a_single_token(most):
    for left in range(2, 40):
        chunks = []
        while (rest := left - sum(chunks)) > 0:
            chunks.append(_chunk(most, rest))

        assert sum(chunks) == left and min(chunks) >= 2 and max(chunks) <= max(most, 2) + 1
    assert _chunk(most, 1) == 1


def test_a_token_that_the_model_does_not_know_costs_only_who_sent_it(tmp_path):
    folder = generator(tmp_path / "m")
    file = folder / "tokenizer.json"
    known = json.loads(file.read_text())
    known["added_tokens"].append({**known["added_tokens"][0], "id": 300, "content": "<|more|>"})
    file.write_text(json.dumps(known))
    asked = loaded(folder, default_max_tokens=5)
    asked.add(1, "hello")
    with pytest.raises(InvalidInput, match="token that the model does not know"):
        asked.add(2, "hello <|more|>")
    asked.finish()

    assert asked.last[1]["completion_tokens"] == 5
