"""One question to a servable, by promise or in a task."""

import asyncio

import numpy as np
import pytest
from tests.routing.pipeline.running import Plain, Prompt

from inferd.core.errors import Cancelled, ModelFailed, Overloaded
from inferd.core.message import NORMAL, Response, Timings
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES
from inferd.core.trace import root
from inferd.routing.pipeline.execute.ask import Ask, Terms

X = {"x": np.zeros(1)}


def same(inputs):
    return {"y": inputs["x"]}


class Who:
    """Who asks: keeps what was told."""

    def __init__(self):
        self.told = []
        self.inside = False

    def answered(self, ask, outputs):
        assert not self.inside, "told from within the servable's own code"
        self.told.append(outputs)

    def refused(self, ask, error):
        assert not self.inside
        self.told.append(error)


def terms(**given):
    fields = {
        "model": "m", "version": None, "outputs": ("y",), "parameters": {}, "id": "i",
        "deadline": float("inf"), "priority": NORMAL, "trace": None,
        "loop": asyncio.get_running_loop(), "tasks": set(),
    }  # fmt: skip
    return Terms(**{**fields, **given})


async def settled(who, given):
    for _ in range(20):
        await asyncio.sleep(0)
        if who.told and not given.tasks:
            break
    assert not given.tasks


ANSWERS = [
    (Plain(same), dict), (Prompt(same), dict), (Prompt(same, "at once"), dict),
    (Plain(ModelFailed("no")), ModelFailed), (Prompt(Overloaded("no"), "refuse"), Overloaded),
    (Plain(ValueError("no")), ValueError),
]  # fmt: skip


@pytest.mark.parametrize(
    ("servable", "kind"), ANSWERS,
    ids=["plain", "promise", "at once", "fails", "refuses", "unforeseen"],
)  # fmt: skip
def test_whoever_asks_is_told_once(servable, kind):
    async def main():
        who, given = Who(), terms()
        ask = Ask(who)
        ask.start(servable, X, given)
        await settled(who, given)
        assert [type(t) for t in who.told] == [kind]
        assert (ask.timings is not None) == (kind is dict)
        ask.set_result({"y": 1})
        ask.set_exception(ModelFailed("late"))
        ask.drop()
        await asyncio.sleep(0)
        assert len(who.told) == 1

    asyncio.run(main())


def test_an_answer_is_told_in_a_turn_of_its_own():
    async def main():
        who, servable, given = Who(), Prompt(same, "held"), terms()
        Ask(who).start(servable, X, given)
        who.inside = True  # as a batch that answers one entry after the other
        servable.settle(servable.held[0])
        who.inside = False
        await settled(who, given)
        assert len(who.told) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    "servable", [Plain(same, hold=9), Prompt(same, "held")], ids=["task", "promise"]
)
def test_one_that_was_dropped_is_never_told(servable):
    async def main():
        who, given = Who(), terms()
        ask = Ask(who)
        ask.start(servable, X, given)
        await asyncio.sleep(0)
        ask.drop()
        ask.set_result({"y": 1})
        await settled(who, given)
        assert ask.cancelled() and ask.done()
        assert who.told == []

    asyncio.run(main())
    assert servable.abandoned if isinstance(servable, Prompt) else servable.cancelled


def test_one_that_settles_at_once_and_is_dropped_then_stays_silent():
    async def main():
        who, servable, given = Who(), Prompt(same, "held"), terms()
        ask = Ask(who)
        ask.start(servable, X, given)
        servable.settle(servable.held[0])
        ask.drop()
        await settled(who, given)
        assert who.told == []
        assert servable.abandoned == [], "it was answered: there is nothing to give up"

    asyncio.run(main())


@pytest.mark.parametrize(
    "more", [{"parameters": {"k": 1}}, {"trace": root()}], ids=["parameters", "trace"]
)
def test_what_a_promise_does_not_carry_is_asked_in_full(more):
    class Both(Prompt, Plain):
        def __init__(self):
            Plain.__init__(self, same)

        def begin(self, *_):
            raise AssertionError

    async def main():
        who, given, servable = Who(), terms(**more), Both()
        Ask(who).start(servable, X, given)
        await settled(who, given)
        (asked,) = servable.asked
        assert [getattr(asked, key) for key in more] == list(more.values())
        assert asked.outputs == ("y",)

    asyncio.run(main())


def test_a_servable_that_has_no_use_for_a_promise_now_is_called():
    class Undecided(Plain):
        def begin(self, *_):
            return None

    async def main():
        who, given = Who(), terms()
        Ask(who).start(Undecided(same), X, given)
        await settled(who, given)
        assert list(who.told[0]) == ["y"]

    asyncio.run(main())


@pytest.mark.parametrize("by", ["servable", "task", "promise"], ids=str)
def test_who_cancels_a_question_has_refused_it(by):
    class Quits:
        async def __call__(self, request):
            raise asyncio.CancelledError

    async def main():
        who, given = Who(), terms()
        ask = Ask(who)
        if by == "promise":
            ask.start(Prompt(same, "held"), X, given)
            assert ask.cancel() and not ask.cancel()
        else:
            ask.start(Quits() if by == "servable" else Plain(same, hold=9), X, given)
            await asyncio.sleep(0)
            for task in set(given.tasks):
                task.cancel()
        await settled(who, given)
        (error,) = who.told
        assert isinstance(error, Cancelled)

    asyncio.run(main())


def test_a_streamed_answer_is_collected_and_closed():
    closed = []

    async def pieces(inputs):
        try:
            for word in (b"a", b"b"):
                yield {"y": np.array([word], object)}
        finally:
            closed.append(True)

    async def main():
        who, given = Who(), terms()
        Ask(who).start(Plain(pieces), X, given)
        await settled(who, given)
        assert who.told[0]["y"].tolist() == [b"ab"]

    asyncio.run(main())
    assert closed


def test_pieces_that_come_after_a_swallowed_cancellation_are_closed():
    closed = []

    async def pieces(inputs):
        try:
            while True:
                yield {"y": np.array([b"a"], object)}
        finally:
            closed.append(True)

    class Deaf(Plain):
        async def __call__(self, request):
            try:
                await asyncio.sleep(9)
            except asyncio.CancelledError:
                return self.answer(request)

    async def main():
        who, given = Who(), terms()
        ask = Ask(who)
        ask.start(Deaf(pieces), X, given)
        await asyncio.sleep(0)
        ask.drop()
        await settled(who, given)
        assert who.told == []

    asyncio.run(main())


@pytest.mark.parametrize("keep", [False, True])
def test_pieces_that_hold_nothing_are_an_empty_answer(keep):
    async def nothing():
        return
        yield {}

    async def main():
        async def servable(request):
            return Response("m", "1", {}, Timings(), nothing())

        who = Who()
        answer = Signature((), (TensorSpec("y", BYTES, (-1,)),))
        given = terms(sink=Drain() if keep else None, keep=keep, answer=lambda: answer)
        Ask(who).start(servable, {}, given)
        await settled(who, given)
        assert who.told[0]["y"].tolist() == [b""]

    asyncio.run(main())


class Drain:
    opened = False

    def open(self):
        self.opened = True

    async def put(self, piece):
        pass
