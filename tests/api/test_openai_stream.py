import asyncio

import pytest
from tests.api.generating import Pieces, asked, begun, drained, events, model, piece
from tests.api.serving import Server

from inferd.api.openai_stream import merged
from inferd.core.errors import ModelFailed

CHAT_PATH, TEXT_PATH = "/v1/chat/completions", "/v1/completions"
HI = [{"role": "user", "content": "hi"}]


def chat(**more):
    return {"model": "m", "messages": HI, "stream": True, **more}


def stream(pieces, body=None, path=CHAT_PATH):
    status, chunks = asked(Server(model(pieces)), path, body or chat())
    assert status == 200
    return chunks


def said(chunks, index=0):
    """The text of one choice, put together from its deltas."""
    choices = [c for chunk in chunks for c in chunk["choices"] if c["index"] == index]
    return "".join(c["text"] if "text" in c else c["delta"].get("content", "") for c in choices)


def finishes(chunks, index=0):
    return [c["finish_reason"] for chunk in chunks for c in chunk["choices"] if c["index"] == index]


def test_a_stream_has_the_form_of_the_protocol():
    *chunks, done = stream(Pieces(["Hel", "lo"]))

    assert done == b"[DONE]"
    assert {c["object"] for c in chunks} == {"chat.completion.chunk"}
    assert len({(c["id"], c["created"], c["model"]) for c in chunks}) == 1
    deltas = [c["choices"][0]["delta"] for c in chunks]
    assert deltas == [
        {"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo"}, {},
    ]  # fmt: skip
    assert finishes(chunks) == [None, None, None, "stop"]
    assert all("usage" not in c for c in chunks)


def test_usage_comes_last_where_it_was_asked_for():
    *chunks, last, _ = stream(Pieces(["a", "b"]), chat(stream_options={"include_usage": True}))

    assert all(c["usage"] is None for c in chunks)
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def test_usage_is_what_the_model_reports():
    told = [piece("a", prompt_tokens=30), piece("bc", completion_tokens=9, finish_reason="length")]
    *chunks, last, _ = stream(Pieces(told), chat(stream_options={"include_usage": True}))

    assert last["usage"] == {"prompt_tokens": 30, "completion_tokens": 9, "total_tokens": 39}
    assert finishes(chunks)[-1] == "length"


def test_legacy_completions_have_texts():
    *chunks, done = stream(
        Pieces(["b"]), {"model": "m", "prompt": "a", "stream": True, "echo": True}, TEXT_PATH
    )

    assert done == b"[DONE]"
    assert {c["object"] for c in chunks} == {"text_completion"}
    assert said(chunks) == "ab"
    assert finishes(chunks) == [None, "stop"]


def test_a_character_cut_in_two_comes_whole():
    chunks = stream(Pieces([b"caf\xc3", b"\xa9", b"!"]))[:-1]

    assert [c["choices"][0]["delta"].get("content") for c in chunks] == ["", "caf", "é", "!", None]


@pytest.mark.parametrize(
    ("more", "text", "finish", "given"),
    [
        ({"stop": "END"}, "one ", "stop", 3),
        ({"stop": ["x", " E"]}, "one", "stop", 2),
        ({"max_tokens": 2}, "one E", "length", 2),
        ({"max_completion_tokens": 1, "max_tokens": 5}, "one", "length", 1),
    ],
    ids=["stop", "the first of two", "limit", "its newer name"],
)
def test_an_answer_that_is_ended_here_ends_its_generation(more, text, finish, given):
    pieces = Pieces(["one", " E", "ND and", " so on"])
    chunks = stream(pieces, chat(**more))[:-1]

    assert (said(chunks), finishes(chunks)[-1]) == (text, finish)
    assert pieces.closed == [given]


def test_the_generation_is_closed_before_the_last_text_is_sent():
    pieces = Pieces(["a", "b", "c"])

    async def read():
        response, _ = await begun(Server(model(pieces)), CHAT_PATH, chat(max_tokens=2))
        async for data in response.body:
            if b"length" in data:
                return list(pieces.closed)
        return None

    assert asyncio.run(read()) == [2]


def test_several_answers_come_side_by_side():
    pieces = Pieces(["a", "b", "c"])
    chunks = stream(pieces, chat(n=3, seed=5))[:-1]

    assert [said(chunks, i) for i in range(3)] == ["abc"] * 3
    assert all(finishes(chunks, i)[-1] == "stop" for i in range(3))
    assert [r.parameters["seed"] for r in pieces.seen] == [5, 6, 7]
    first = [c["choices"][0]["index"] for c in chunks if "role" in c["choices"][0].get("delta", {})]
    assert sorted(first) == [0, 1, 2]


def test_more_answers_than_run_at_once_all_come():
    pieces = Pieces(["a"])
    chunks = stream(pieces, chat(n=40))[:-1]

    assert [said(chunks, i) for i in range(40)] == ["a"] * 40


def test_a_failure_in_the_middle_is_the_last_event():
    chunks = stream(Pieces(["a"], error=ModelFailed("it broke")))

    assert said(chunks[:-1]) == "a"
    assert chunks[-1] == {
        "error": {"message": "it broke", "type": "server_error", "param": None, "code": "model_failed"}
    }  # fmt: skip


def test_what_is_nobodys_business_is_not_told_in_the_middle():
    chunks = stream(Pieces(["a"], error=ValueError("secret")))

    assert chunks[-1]["error"]["message"] == "internal error (request id r-1)"


def test_a_failure_of_one_answer_ends_the_others():
    def some(request):
        return ["a", "b"] if request.parameters["seed"] == 0 else bad()

    def bad():
        yield "a"
        raise ModelFailed("it broke")

    pieces = Pieces(some)
    chunks = stream(pieces, chat(n=2, seed=0))

    assert chunks[-1]["error"]["code"] == "model_failed"
    assert len(pieces.closed) == 2


def test_an_answer_that_something_else_cancels_is_a_failure_and_no_hang():
    def some(request):
        raise asyncio.CancelledError
        yield

    async def read():
        server = Server(model(Pieces(some)))
        return await asyncio.wait_for(begun(server, CHAT_PATH, chat(n=2)), 5)

    response, _ = asyncio.run(read())
    assert response.status == 499


@pytest.mark.parametrize("n", [1, 3])
def test_closing_a_stream_ends_its_generations_at_once(n):
    pieces = Pieces(["a", "b", "c", "d"], hold=2)

    async def read():
        response, _ = await begun(Server(model(pieces)), CHAT_PATH, chat(n=n))
        body = aiter(response.body)
        await anext(body)
        await body.aclose()
        return sorted(pieces.closed)

    assert len(asyncio.run(read())) == n


@pytest.mark.parametrize("n", [1, 3])
def test_a_cancelled_stream_ends_its_generations_at_once(n):
    pieces = Pieces(["a", "b", "c", "d"], hold=2)

    async def leave():
        async def read():
            response, _ = await begun(Server(model(pieces)), CHAT_PATH, chat(n=n))
            await drained(response)

        task = asyncio.create_task(read())
        await pieces.waiting.wait()
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return pieces.closed

    assert asyncio.run(leave()) == [2] * n


def test_a_stream_that_nobody_reads_holds_its_generations_up():
    given = []

    def endless(request):
        for number in range(100_000):
            given.append(number)
            yield "x"

    async def read():
        response, _ = await begun(Server(model(Pieces(endless))), CHAT_PATH, chat(n=2))
        body = aiter(response.body)
        await anext(body)
        for _ in range(300):
            await asyncio.sleep(0)
        held = len(given)
        await body.aclose()
        return held

    assert asyncio.run(read()) < 20


def test_events_are_one_line_of_data_each():
    async def read():
        response, _ = await begun(Server(model(Pieces(["a\n\nb"]))), CHAT_PATH, chat())
        assert response.content_type == b"text/event-stream; charset=utf-8"
        return await drained(response)

    assert events(asyncio.run(read()))[-1] == b"[DONE]"


def test_merging_nothing_ends():
    async def run():
        return [e async for e in merged([], 4)]

    assert asyncio.run(run()) == []
