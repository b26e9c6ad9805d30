"""Engines that are good, odd, dead and back: what they are asked, who answers, what is told of failures."""

import asyncio
import collections
import contextlib

import numpy as np
import pytest
from tests.routing.remote.asking import descriptors, request, run, serving
from tests.routing.remote.engines import Engine, listed
from tests.routing.remote.peers import answer, replicas
from tests.system.serving import serving as server

from inferd.codecs import json
from inferd.config.secret import Secret
from inferd.core.errors import (
    KINDS,
    DeadlineExceeded,
    InvalidInput,
    ModelFailed,
    NotFound,
    Overloaded,
    Unavailable,
)
from inferd.core.message import collected, joined
from inferd.routing.remote import service as service_module
from inferd.routing.remote.ejection import UP
from inferd.routing.remote.failure import Failure
from inferd.routing.remote.openai_ask import generator
from inferd.routing.remote.servable import RemoteModel
from inferd.routing.remote.spec import EMBED, OPENAI

SAID = [{"role": "user", "content": "hi"}]


@pytest.fixture(autouse=True)
def probes(monkeypatch):
    monkeypatch.setattr(service_module, "PROBE_EVERY", 0.05)


def text(*elements):
    array = np.empty(len(elements), object)
    array[:] = elements
    return array


@contextlib.asynccontextmanager
async def asking(*engines, model="work", **more):
    urls = [f"{engine.url}/v1" for engine in engines]
    async with serving(*urls, protocol=OPENAI, model=model, describe=False, **more) as service:
        yield RemoteModel(service, generator(), "1")


@contextlib.asynccontextmanager
async def embedding(*engines, **more):
    urls = [f"{engine.url}/v1" for engine in engines]
    async with serving(*urls, protocol=OPENAI, task=EMBED, **more) as model:
        yield model


def chat(seconds=10.0, **parameters):
    messages = text(json.dumps(SAID))
    return request({"messages": messages}, seconds, parameters=parameters)


def prompt(seconds=10.0, **parameters):
    return request({"prompt": text(b"Once")}, seconds, parameters=parameters)


async def said(model, asked=None):
    return await collected(await model(asked or chat()))


def test_what_is_asked_and_what_is_answered():
    async def main():
        async with replicas(Engine()) as (engine,):
            key = Secret("s3cret")
            async with asking(engine, key=key, headers=(("X-Team", "a"),)) as model:
                whole = await said(model, chat(max_tokens=5, top_k=3))
                assert whole["text"].tolist() == ["Hello, wörld".encode()]
                assert whole["finish_reason"].tolist() == [b"length"]
                assert whole["prompt_tokens"].tolist() == [31]
                assert whole["completion_tokens"].tolist() == [12]
                assert (await said(model, prompt()))["text"].tolist() == ["Hello, wörld".encode()]
            (path, head, body), (other, _, completion) = engine.questions
            assert (path, other) == ("/v1/chat/completions", "/v1/completions")
            assert body == {
                "messages": SAID, "max_tokens": 5, "top_k": 3, "model": "work", "stream": True,
                "stream_options": {"include_usage": True},
            }  # fmt: skip
            assert completion["prompt"] == "Once"
            for line in (b"Authorization: Bearer s3cret", b"X-Team: a", b"Host: 127.0.0.1"):
                assert b"\r\n" + line in head
            assert engine.connections == 1

    run(main())


def test_pieces_come_as_they_are_said_and_closing_them_stops_the_engine():
    async def main():
        async with replicas(Engine("endless")) as (engine,):
            async with asking(engine) as model:
                response = await model(chat())
                first = await anext(response.chunks)
                assert first["text"].tolist() == [b"la"]
                assert engine.gone == 0
                await response.chunks.aclose()
                async with asyncio.timeout(5):
                    while not engine.gone:
                        await asyncio.sleep(0.01)

    run(main())


def test_an_engine_that_refuses_a_field_is_asked_without_it_from_then_on():
    async def main():
        async with replicas(Engine("strict")) as (engine,):
            async with asking(engine) as model:
                for _ in range(2):
                    whole = await said(model)
                    assert whole["text"].tolist() == ["Hello, wörld".encode()]
                    assert whole["completion_tokens"].tolist() == [3]
            assert ["stream_options" in body for body in engine.bodies] == [True, False, False]
            assert model.service.outcomes == {"ok": 2}

    run(main())


def test_an_engine_that_does_not_stream():
    async def main():
        async with replicas(Engine("whole")) as (engine,):
            async with asking(engine) as model:
                whole = await said(model)
                assert whole["text"].tolist() == [b"all at once"]
                assert whole["completion_tokens"].tolist() == [12]

    run(main())


@pytest.mark.parametrize("mood", ["dying", "garbage", "failing", "away", "busy", "gateway", "unknowing", "forbidding",
                                  "dead", "huge", "moved"])  # fmt: skip
def test_who_cannot_answer_is_made_good_by_another(mood):
    async def main():
        bad, good = Engine(mood), Engine()
        async with replicas(bad, good), asking(bad, good) as model:
            for _ in range(20):
                assert (await said(model))["text"].tolist() == ["Hello, wörld".encode()]
            assert bad.count > 0
            assert good.count == 20

    run(main())


@pytest.mark.parametrize(
    ("mood", "kind", "told"),
    [
        ("refusing", InvalidInput, "service 'work': the prompt is too long"),
        ("forbidding", Unavailable, r"service 'work': wrong key: \*\*\*"),
        ("unknowing", NotFound, "the model does not exist"),
        ("failing", ModelFailed, "it broke"),
        ("busy", Overloaded, "too much"),
        ("away", Unavailable, "not now"),
        ("moved", Unavailable, "302"),
        ("huge", Unavailable, "longer than"),
    ],
)
def test_failures_are_told_by_whose_fault_they_are(mood, kind, told):
    async def main():
        async with replicas(Engine(mood)) as (engine,):
            async with asking(engine, key=Secret("s3cret")) as model:
                with pytest.raises(kind, match=told) as caught:
                    await model(chat())
                assert type(caught.value) is kind
                if mood == "busy":
                    assert caught.value.retry_after == 2
                assert engine.count == 1

    run(main())


def test_a_key_that_stands_in_a_header_is_not_told_either():
    async def main():
        async with replicas(Engine("forbidding")) as (engine,):
            async with asking(engine, headers=(("authorization", "Bearer s3cret"),)) as model:
                with pytest.raises(Unavailable, match=r"wrong key: \*\*\*"):
                    await model(chat())

    run(main())


def test_a_long_message_is_cut_behind_the_key():
    async def main():
        async with replicas(Engine("talkative")) as (engine,):
            async with asking(engine, key=Secret("s3cret")) as model:
                with pytest.raises(Unavailable) as caught:
                    await model(chat())
                assert caught.value.message.endswith("-**")

    run(main())


@pytest.mark.parametrize(
    ("mood", "told"),
    [("breaking", "before the answer was whole"), ("short", "it broke off before its end"),
     ("saying", "out of memory")],
)  # fmt: skip
def test_what_fails_after_the_first_piece_is_never_asked_again(mood, told):
    async def main():
        bad, other = Engine(mood), Engine(mood)
        async with replicas(bad, other), asking(bad, other) as model:
            response = await model(chat())
            assert (await anext(response.chunks))["text"].tolist() == [b"Hel"]
            with pytest.raises(ModelFailed, match=told):
                await anext(response.chunks)
            assert bad.count + other.count == 1

    run(main())


def test_an_engine_without_a_route_is_not_to_blame():
    async def main():
        async with replicas(Engine("chatting")) as (engine,):
            async with asking(engine) as model:
                for _ in range(6):
                    with pytest.raises(NotFound, match="Not Found"):
                        await model(prompt())
                assert engine.count == 6
                assert model.service.replicas[0].standing.failures == 0
                assert (await said(model))["finish_reason"].tolist() == [b"length"]

    run(main())


def test_a_long_answer_makes_no_replica_slow():
    async def main():
        async with replicas(Engine("endless")) as (engine,):
            async with asking(engine) as model:
                replica, now = model.service.replicas[0], model.service.clock
                response = await model(chat(1.0))
                soon = replica.load.latency(now())
                with pytest.raises(DeadlineExceeded):
                    async for _ in response.chunks:
                        pass
                assert replica.load.latency(now()) <= soon

    run(main())


def test_what_was_said_whole_is_an_answer_although_its_connection_breaks():
    async def main():
        async with replicas(Engine("cutting")) as (engine,):
            async with asking(engine) as model:
                whole = await said(model)
                assert (whole["text"][0], whole["finish_reason"][0]) == (b"Hello", b"stop")

    run(main())


def test_an_answer_ends_by_the_deadline():
    async def main():
        async with replicas(Engine("hanging")) as (engine,):
            async with asking(engine) as model:
                with pytest.raises(DeadlineExceeded):
                    await model(chat(0.1))
                # an engine is not to blame for a client in a hurry
                assert model.service.replicas[0].standing.failures == 0
        async with replicas(Engine("endless")) as (engine,):
            async with asking(engine) as model:
                response = await model(chat(0.2))
                with pytest.raises(DeadlineExceeded):
                    async for _ in response.chunks:
                        pass

    run(main())


def test_one_that_is_cancelled_before_its_first_piece_stops_there():
    async def main():
        async with replicas(Engine("hanging")) as (engine,):
            async with asking(engine) as model:
                task = asyncio.create_task(model(chat()))
                async with asyncio.timeout(5):
                    while not engine.count:
                        await asyncio.sleep(0.01)
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
                    while not engine.ended:
                        await asyncio.sleep(0.01)
                assert model.service.outcomes == {"cancelled": 1}

    run(main())


MOODS = ("good", "strict", "whole", "dying", "breaking", "short", "cutting", "saying", "refusing",
         "forbidding", "unknowing", "failing", "away", "busy", "garbage", "dead", "huge", "endless")  # fmt: skip


def test_failing_answers_leave_nothing():
    async def main():
        one, other = Engine(), Engine()
        async with replicas(one, other), asking(one, other) as model:
            await said(model)
            before, ends = None, collections.Counter()
            for turn in range(3):
                for mood in MOODS:
                    one.mood = other.mood = mood
                    one.models = other.models = answer(200, listed("work"))
                    found = await asyncio.gather(
                        *(said(model, chat(0.3)) for _ in range(8)), return_exceptions=True
                    )
                    ends.update(type(each).__name__ for each in found)
                await asyncio.sleep(0.1)
                if not turn:
                    before = descriptors()
            assert set(ends) <= {"dict", *(cls.__name__ for cls in KINDS.values())}
            assert ends["dict"] > 20
            assert sum(ends.values()) == 3 * 8 * len(MOODS)
            assert descriptors() <= before + 4
            assert sum(model.service.outcomes.values()) == 3 * 8 * len(MOODS) + 1

    run(main())


def test_what_cannot_be_asked_reaches_no_engine():
    async def main():
        async with replicas(Engine()) as (engine,):
            async with asking(engine) as model:
                for inputs in ({"prompt": text(b"")}, {"messages": text(b"{}")}):
                    with pytest.raises(InvalidInput):
                        await model(request(inputs))
                with pytest.raises(InvalidInput, match="one example"):
                    await model(request({"prompt": text(b"a", b"b")}))
            assert engine.count == 0

    run(main())


def test_each_engine_is_asked_by_its_own_name_of_the_model():
    async def main():
        one, other = Engine(models=("/a.gguf",)), Engine(models=("x", "chat"))
        async with replicas(one, other), asking(one, other, name="chat", model="") as model:
            for _ in range(20):
                await said(model)
            assert {body["model"] for body in one.bodies} == {"/a.gguf"}
            assert {body["model"] for body in other.bodies} == {"chat"}

    run(main())


async def readiness(engine, **more):
    """Return whether an engine is ready, and the reason why not."""
    async with asking(engine, **more) as model:
        wire = model.service.replicas[0].wire
        try:
            ready = await wire.model_ready(5)
        except Failure as failed:
            assert not await wire.ready(5)
            return failed.error.message
        assert await wire.ready(5)
        return ready


@pytest.mark.parametrize(
    ("health", "models", "told"),
    [
        (200, answer(200, listed("work")), True),
        (404, answer(200, listed("work")), True),
        (404, answer(404, {"detail": "Not Found"}), True),
        (503, answer(200, listed("work")), "it is not ready: Loading model"),
        (200, answer(200, listed("other")), "it has no model 'work': it lists 'other'"),
        (200, answer(200, b"<html>"), "not valid JSON"),
        (200, answer(401, {"error": {"message": "no"}}), "service 'work': no"),
        (200, answer(500, b"oops"), "oops"),
    ],
    ids=["both", "no health", "neither", "loading", "another model", "garbage", "key", "broken"],
)
def test_who_is_ready(health, models, told):
    async def main():
        engine = Engine(health=health)
        engine.models = models
        async with replicas(engine):
            found = await readiness(engine)
            assert found is True if told is True else told in found

    run(main())


def test_one_that_was_left_out_is_back_when_it_is_ready():
    async def main():
        bad, good = Engine("dead"), Engine()
        bad.health = 503
        async with replicas(bad, good), asking(bad, good) as model:
            standing = model.service.replicas[0].standing
            while standing.state == UP:
                await said(model)
            bad.mood = "good"
            await asyncio.sleep(0.2)
            assert standing.state != UP
            bad.health = 200
            async with asyncio.timeout(5):
                while standing.state != UP:
                    await asyncio.sleep(0.01)

    run(main())


@pytest.mark.parametrize("mood", ["good", "strict"])
def test_vectors(mood):
    async def main():
        async with replicas(Engine(mood)) as (engine,):
            async with embedding(engine) as model:
                assert model.model.signature.output("embedding").shape == (-1, 3)
                for _ in range(2):
                    response = await model(
                        request({"text": text(b"a", "bcd")}, parameters={"x": 1})
                    )
                    assert response.outputs["embedding"].tolist() == [[1, 1, 2], [3, 1, 2]]
                    assert response.outputs["prompt_tokens"].tolist() == [4, 3]
                nothing = await model(request({"text": text()}))
                assert nothing.outputs["embedding"].shape == (0, 3)
            assert engine.bodies[-1]["x"] == 1
            bare = ["encoding_format" not in body for body in engine.bodies]
            assert bare == ([False] * 3 if mood == "good" else [False, True, True, True])

    run(main())


def test_an_engine_of_another_size_does_not_fit():
    async def main():
        async with replicas(Engine()) as (engine,):
            async with embedding(engine) as model:
                engine.vectors = lambda body: {"data": [{"embedding": [1]} for _ in body["input"]]}
                with pytest.raises(ModelFailed, match=r"has the shape \[1, 1\]"):
                    await model(request({"text": text(b"a")}))
                engine.vectors = lambda body: {"data": []}
                with pytest.raises(Unavailable, match="it holds no 1 vectors"):
                    await model(request({"text": text(b"a")}))

    run(main())


def test_a_long_conversation_is_written_off_the_loop_and_arrives():
    async def main():
        long = [{"role": "user", "content": "x" * (3 << 20)}]
        async with replicas(Engine()) as (engine,):
            async with asking(engine) as model:
                await said(model, request({"messages": text(json.dumps(long))}))
            assert engine.bodies[0]["messages"] == long

    run(main())


STORY = '''
from collections.abc import Iterator

from inferd import Model


class Story(Model):
    """Tells what it was asked, word by word."""

    task = "generate"

    def predict(self, prompt: str, max_tokens: int = 50) -> Iterator[str]:
        for number, word in enumerate(prompt.split()):
            if number < max_tokens:
                yield f"{word} "
'''


def test_another_inferd_is_an_engine_too(tmp_path):
    (tmp_path / "telling.py").write_text(STORY)
    with server(tmp_path / "s", "telling:Story", "--instances", 1, cwd=tmp_path) as far:
        far.url = "http://{}:{}".format(*far.data)

        async def main():
            async with asking(far, name="story", model="", retries=0) as model:
                assert await model.service.replicas[0].wire.model_ready(5)
                response = await model(request({"prompt": text("to be or not to be")}))
                pieces = [piece async for piece in response.chunks]
                whole = joined(pieces)
                assert whole["text"].tolist() == [b"to be or not to be "]
                assert whole["finish_reason"].tolist() == [b"stop"]
                assert whole["completion_tokens"].tolist() == [6]
                assert len(pieces) > 2
                whole = await said(model, chat())
                assert whole["text"].tolist() == [b"user: hi assistant: "]
                short = await said(model, prompt(max_tokens=1))
                assert short["finish_reason"].tolist() == [b"length"]
                with pytest.raises(InvalidInput, match="temperature"):
                    await model(prompt(temperature=7))

        run(main())
