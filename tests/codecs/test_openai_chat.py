import pytest
from tests.codecs.signatures import signature

from inferd.codecs.generation import roles
from inferd.codecs.openai_chat import conversation, read_chat, read_completion, rendered
from inferd.core.errors import InvalidInput

PROMPT = roles(signature([("prompt", "BYTES", [-1])], [("text", "BYTES", [-1])]))
MESSAGES = roles(signature([("messages", "BYTES", [-1])], [("text", "BYTES", [-1])]))
HI = [{"role": "user", "content": "hi"}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:"}}


def chat(messages=HI, to=PROMPT, **more):
    return read_chat({"model": "m", "messages": messages, **more}, to)


def completion(prompt="once", to=PROMPT, **more):
    return read_completion({"model": "m", "prompt": prompt, **more}, to)


def prompt_of(run):
    return run.inputs["prompt"].item().decode()


def test_a_conversation_becomes_a_prompt_by_a_plain_template():
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "hi "}, {"type": "text", "text": "there"}]},
        {"role": "assistant", "content": None},
        {"role": "user", "content": "well?"},
    ]  # fmt: skip
    (run,) = chat(messages).runs

    assert prompt_of(run) == (
        "system: Be brief.\nuser: hi there\nassistant: \nuser: well?\nassistant:"
    )
    assert rendered([]) == "assistant:"


def test_a_model_that_takes_messages_gets_them_as_they_are():
    messages = [{"role": "user", "content": [IMAGE, {"type": "text", "text": "é"}], "name": "x"}]
    (run,) = chat(messages, MESSAGES).runs

    assert (
        run.inputs["messages"].item()
        == (
            '[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:"}},'
            '{"type":"text","text":"é"}],"name":"x"}]'
        ).encode()
    )
    assert completion("go", MESSAGES).runs[0].inputs["messages"].item() == (
        b'[{"role":"user","content":"go"}]'
    )


@pytest.mark.parametrize(
    "messages",
    [
        None, [], "hi", [1], [{}], [{"role": "user"}], [{"role": "boss", "content": "x"}],
        [{"role": "user", "content": 5}], [{"role": "user", "content": [IMAGE]}],
        [{"role": "user", "content": [{"type": "text"}]}], [{"role": "user", "content": ["x"]}],
        [{"role": ["user"], "content": "x"}], [{"role": "user", "content": "\ud800"}],
    ],
    ids=range(13),
)  # fmt: skip
def test_what_is_no_conversation_is_refused(messages):
    with pytest.raises(InvalidInput, match='^"messages" '):
        chat(messages)


def test_parts_that_are_no_objects_are_refused_for_every_model():
    with pytest.raises(InvalidInput, match="index 0 has a part of type unknown"):
        conversation([{"role": "user", "content": [5]}], foreign=True)


def test_what_the_model_is_to_heed_goes_to_it():
    ask = chat(
        temperature=0.5, top_p=1, seed=7, presence_penalty=-2, frequency_penalty=2, user="u",
        max_completion_tokens=9, top_k=40, store=True, metadata={"a": "b"}, service_tier="auto",
    )  # fmt: skip

    assert ask.runs[0].parameters == {
        "temperature": 0.5, "top_p": 1, "seed": 7, "presence_penalty": -2, "frequency_penalty": 2,
        "user": "u", "max_tokens": 9, "top_k": 40,
    }  # fmt: skip
    assert ask.limit == 9
    assert chat(max_tokens=3).limit == 3
    assert chat().runs[0].parameters == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 2.1), ("temperature", "1"), ("top_p", -0.1), ("top_p", True),
        ("presence_penalty", 3), ("frequency_penalty", -3), ("seed", 1.5), ("seed", 1 << 70),
        ("n", 0), ("n", 129), ("max_tokens", 0), ("stream", 1),
        ("stop", 5), ("stop", [5]), ("stop", ["a"] * 5), ("stop", ""), ("stop", "x" * 257),
        ("stream_options", {}), ("user", 5), ("x", {"a": 1}),
        ("tools", [{}]), ("tool_choice", "required"), ("functions", [{}]), ("logprobs", True),
        ("top_logprobs", 2), ("logit_bias", {"5": 1}), ("response_format", {"type": "json_object"}),
        ("audio", {"voice": "x"}), ("modalities", ["audio"]), ("suffix", "x"),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("kind", [chat, completion], ids=["chat", "completion"])
def test_a_field_of_wrong_kind_or_not_offered_is_refused_by_name(kind, name, value):
    with pytest.raises(InvalidInput, match=f'^"{name}" '):
        kind(**{name: value})


def test_a_wrong_limit_of_a_chat_is_refused_by_its_newer_name():
    with pytest.raises(InvalidInput, match='^"max_completion_tokens" '):
        chat(max_completion_tokens=-1)


@pytest.mark.parametrize("kind", [chat, completion], ids=["chat", "completion"])
def test_fields_that_ask_for_nothing_are_taken(kind):
    kind(
        tools=[], tool_choice="none", functions=[], logprobs=False, top_logprobs=0, logit_bias={},
        response_format={"type": "text"}, modalities=["text"], suffix="", stop=[], n=None,
        stream=False, parallel_tool_calls=True, audio=None,
    )  # fmt: skip


def test_streams_may_tell_usage():
    assert not chat(stream=True).usage
    assert chat(stream=True, stream_options={"include_usage": True}).usage
    for bad in ([1], {"include_usage": 1}):
        with pytest.raises(InvalidInput, match='^"stream_options" '):
            chat(stream=True, stream_options=bad)


def test_stops_are_one_or_some():
    assert chat(stop="a").stops == ("a",)
    assert chat(stop=["a", "b"]).stops == ("a", "b")
    assert chat().stops == ()


def test_several_answers_are_several_runs_with_seeds_that_count_up():
    ask = completion(["a", "b"], n=2, seed=5, echo=True, best_of=2)

    assert [prompt_of(run) for run in ask.runs] == ["a", "a", "b", "b"]
    assert [run.parameters["seed"] for run in ask.runs] == [5, 6, 5, 6]
    assert [run.prompt for run in ask.runs] == [0, 0, 1, 1]
    assert [run.echo for run in ask.runs] == ["a", "a", "b", "b"]
    assert ask.runs[0].tokens == 1


@pytest.mark.parametrize(
    ("prompt", "more", "told"),
    [
        (None, {}, '^"prompt" is missing'),
        ([], {}, "a text or a list"),
        (5, {}, "a text or a list"),
        ([1, 2], {}, "token ids"),
        ([[1]], {}, "token ids"),
        (["a", 1], {}, "a text or a list"),
        (["a"] * 65, {"n": 2}, "at most 128 answers"),
        ("a", {"best_of": 2}, '^"best_of" is 2'),
    ],
    ids=range(8),
)
def test_what_is_no_prompt_is_refused(prompt, more, told):
    with pytest.raises(InvalidInput, match=told):
        completion(prompt, **more)
