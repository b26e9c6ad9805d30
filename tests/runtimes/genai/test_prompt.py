import json

import numpy as np
import pytest

from inferd.core.errors import InvalidInput
from inferd.runtimes.genai.prompt import MAX_MESSAGES, asked


def inputs(prompt="", messages=""):
    found = {}
    for name, value in (("prompt", prompt), ("messages", messages)):
        found[name] = np.empty(1, object)
        found[name][0] = value
    return found


def chat(*messages):
    return asked(inputs(messages=json.dumps(messages)))[1]


def test_a_prompt_is_taken_as_it_is():
    assert asked(inputs("  héllo\n".encode())) == ("  héllo\n", [])


def test_a_conversation_is_read():
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]

    assert asked(inputs(messages=json.dumps(said))) == (None, said)


def test_parts_of_text_are_joined_and_nothing_is_an_empty_text():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    assert chat({"role": "user", "content": parts}, {"role": "assistant", "content": None}) == [
        {"role": "user", "content": "ab"},
        {"role": "assistant", "content": ""},
    ]


def test_a_developer_is_the_system():
    assert chat({"role": "developer", "content": "x"})[0]["role"] == "system"


def test_names_and_other_fields_do_not_reach_the_template():
    assert chat({"role": "user", "content": "x", "name": "n"}) == [{"role": "user", "content": "x"}]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (inputs(), "says nothing"),
        (inputs("a", "[]"), "both given"),
        (inputs(b"\xff"), "prompt is not UTF-8: byte 0"),
        (inputs("a\0b"), "prompt holds a NUL"),
        (inputs(messages="{"), "messages is not valid JSON"),
        (inputs(messages="[" * 100_000), "messages is not valid JSON"),
        (inputs(messages="{}"), "at least one message"),
        (inputs(messages="[]"), "at least one message"),
        (inputs(messages=json.dumps([1] * (MAX_MESSAGES + 1))), f"at most {MAX_MESSAGES}"),
        (inputs(messages='["hi"]'), "index 0 must be an object"),
        (inputs(messages='[{"role": "robot", "content": "x"}]'), "whose role is one of system,"),
        (inputs(messages='[{"role": "user", "content": 3}]'), "a text, or a list of parts"),
        (
            inputs(messages='[{"role": "user", "content": [{"type": "image_url"}]}]'),
            "that is no text",
        ),
        (inputs(messages='[{"role": "user", "content": "\\ud800"}]'), "half of a surrogate pair"),
        (inputs(messages='[{"role": "user", "content": "a\\u0000"}]'), "holds a NUL"),
    ],
    ids=range(15),
)
def test_what_says_nothing_sensible_is_refused(given, told):
    with pytest.raises(InvalidInput, match=told):
        asked(given)
