"""Answers that go out in pieces, as the last step generates them."""

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest
from tests.execution.workers import probe_spec
from tests.routing.pipeline.running import Plain, ask, nothing_left, pipeline, request, texts
from tests.routing.pipeline.written import function, model
from tests.scheduling.test_streamed import SOURCE

from inferd.control.curves import CurveStore
from inferd.control.loader import Loader, LoadSettings
from inferd.core.errors import DeadlineExceeded, ModelFailed
from inferd.core.message import collected
from inferd.core.servable import answer_all
from inferd.routing.pipeline.plan import Callee
from inferd.routing.table import RouteTable

TEXT = """
    inputs: [x]
    steps:
      find: {python: "s:find", inputs: {x: x}}
      write: {model: llm, inputs: {prompt: find.text}}
      score: {python: "s:score", inputs: {x: x}}
    outputs: {reply: write.text, score: score.y, found: find.text}
"""
FAQ = """
    inputs: [x]
    steps:
      faq: {python: "s:faq", inputs: {x: x}}
      write: {model: llm, inputs: {prompt: x}, when: faq.known == 0}
      slow: {python: "s:slow", inputs: {x: x}, when: faq.known == 2}
    outputs:
      reply: {from: [slow.text, write.text], default: known}
"""
X = texts(b"hi")


def one(value):
    return np.array(value, object).reshape(())


class Pieces:
    """A generator of pieces that says what became of it."""

    def __init__(self, *words, wait=0.0, error=None, deaf=False):
        self.words = words
        self.wait = wait
        self.error = error
        self.deaf = deaf
        self.given = 0
        self.closed = 0

    def __call__(self, inputs):
        return self._pieces(inputs)

    async def _pieces(self, inputs):
        try:
            for word in self.words:
                while True:
                    try:
                        await asyncio.sleep(self.wait)
                        break
                    except asyncio.CancelledError:
                        if not self.deaf:
                            raise
                self.given += 1
                yield word if isinstance(word, dict) else {"text": texts(word)}
            if self.error is not None:
                raise self.error
        finally:
            self.closed += 1


def build(directory, pieces, score=None, find=None, **given):
    servables = {
        "find": find or Plain(lambda i: {"text": i["x"]}),
        "write": Plain(pieces),
        "score": score or Plain(lambda _: {"y": np.array(0.5, np.float32)}),
    }
    callees = {
        "find": function("x: bytes", "text: bytes"),
        "write": model("prompt: bytes", "text: bytes, logprob: float32", streams=True),
        "score": function("x: bytes", "y: float32"),
    }
    return pipeline(directory, TEXT, callees, servables, **given), servables


def pieces_of(subject, **fields):
    async def main():
        response = await subject(request(x=X, **fields))
        pieces = [piece async for piece in response.chunks]
        await nothing_left(subject)
        return response, pieces

    return asyncio.run(main())


def shown(pieces):
    return [{k: v.ravel().tolist() for k, v in piece.items()} for piece in pieces]


def test_pieces_have_the_pipelines_names_and_the_first_brings_the_other_outputs(tmp_path):
    source = Pieces(b"a", b"b", b"c")
    subject, servables = build(tmp_path, source)
    response, pieces = pieces_of(subject, _parameters={"max_tokens": 3})

    assert shown(pieces) == [
        {"reply": [b"a"], "score": [0.5], "found": [b"hi"]}, {"reply": [b"b"]}, {"reply": [b"c"]},
    ]  # fmt: skip
    assert pieces[0]["reply"].shape == (1,)
    assert response.outputs == {}
    assert source.closed == 1
    (asked,) = servables["write"].asked
    assert asked.parameters == {"max_tokens": 3}
    assert [s.name for s in response.timings.steps] == ["find", "score", "write"]


def test_the_first_piece_does_not_wait_for_other_steps(tmp_path):
    late = asyncio.Event()
    subject, _ = build(
        tmp_path, Pieces(b"a", b"b"), Plain(lambda _: {"y": np.array(0.5, np.float32)}, late)
    )

    async def main():
        response = await subject(request(x=X))
        pieces = [await anext(response.chunks), await anext(response.chunks)]
        late.set()
        pieces += [piece async for piece in response.chunks]
        return pieces

    assert shown(asyncio.run(main())) == [
        {"reply": [b"a"], "found": [b"hi"]}, {"reply": [b"b"]}, {"score": [0.5]},
    ]  # fmt: skip


def test_collected_it_is_the_whole_answer(tmp_path):
    subject, _ = build(tmp_path, Pieces(b"a", b"b"))

    async def main():
        return await collected(await subject(request(x=X)))

    assert {k: v.tolist() for k, v in asyncio.run(main()).items()} == {
        "reply": [b"ab"], "score": [0.5], "found": [b"hi"],
    }  # fmt: skip


WHOLE = """
inputs: [x]
steps:
  write: {model: writer, inputs: {prompt: x}}
  tidy: {model: tidier, inputs: {text: write.text}}
outputs: {reply: write.text, answer: tidy.text}
"""


def tidied(directory, pieces, tidy):
    callees = {
        "write": model("prompt: bytes", "text: bytes", streams=True),
        "tidy": function("text: bytes", "text: bytes"),
    }
    return pipeline(directory, WHOLE, callees, {"write": Plain(pieces), "tidy": Plain(tidy)})


def test_a_step_that_needs_the_answer_gets_all_of_it_after_the_pieces(tmp_path):
    source = Pieces(b"a", b"b")
    subject = tidied(tmp_path, source, lambda i: {"text": one(i["text"].item() * 2)})
    response, pieces = pieces_of(subject)

    assert shown(pieces) == [{"reply": [b"a"]}, {"reply": [b"b"]}, {"answer": [b"abab"]}]
    assert source.closed == 1
    assert [s.name for s in response.timings.steps] == ["write", "tidy"]


def test_its_failure_is_the_end_of_the_pieces(tmp_path):
    subject = tidied(tmp_path, Pieces(b"a"), ModelFailed("untidy"))

    async def main():
        response = await subject(request(x=X))
        assert (await anext(response.chunks))["reply"].tolist() == [b"a"]
        with pytest.raises(ModelFailed, match="step 'tidy': untidy"):
            await anext(response.chunks)
        await nothing_left(subject)

    asyncio.run(main())


def test_only_outputs_asked_for_come(tmp_path):
    subject, _ = build(tmp_path, Pieces(b"a", b"b"))
    _, pieces = pieces_of(subject, _outputs=("reply",))
    assert shown(pieces) == [{"reply": [b"a"]}, {"reply": [b"b"]}]
    response = ask(subject, x=X, _outputs=("score",))
    assert response.chunks is None
    assert response.outputs["score"].tolist() == [0.5]


def test_a_model_that_answers_whole_after_all_is_a_whole_answer(tmp_path):
    subject, servables = build(tmp_path, None)
    servables["write"].function = lambda _: {"text": texts(b"all")}
    response = ask(subject, x=X)

    assert response.chunks is None
    assert response.outputs["reply"].tolist() == [b"all"]


def test_no_pieces_at_all_leave_the_other_outputs(tmp_path):
    subject, _ = build(tmp_path, Pieces())
    _, pieces = pieces_of(subject)

    assert shown(pieces) == [{"score": [0.5], "found": [b"hi"]}]


def test_rows_are_collected_each(tmp_path):
    subject, _ = build(tmp_path, Pieces(b"a", b"b"))
    response = ask(subject, x=texts(b"1", b"2"))

    assert response.outputs["reply"].tolist() == [b"ab", b"ab"]
    assert response.outputs["found"].tolist() == [b"1", b"2"]


# -- which outputs are streamed -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "expected"),
    [(0, [{"reply": [b"a"]}, {"reply": [b"b"]}]), (1, {"reply": [b"known"]}), (2, {"reply": [b"slow"]})],
    ids=["generated", "default", "by another step"],
)  # fmt: skip
def test_an_output_is_streamed_where_no_source_before_it_is_there(tmp_path, known, expected):
    servables = {
        "faq": Plain(lambda _: {"known": np.array(known)}),
        "write": Plain(Pieces(b"a", b"b")),
        "slow": Plain(lambda _: {"text": one(b"slow")}, hold=0.01),
    }
    callees = {
        "faq": function("x: bytes", "known: int64"),
        "write": model("prompt: bytes", "text: bytes", streams=True),
        "slow": function("x: bytes", "text: bytes"),
    }
    subject = pipeline(tmp_path, FAQ, callees, servables)
    if known:
        assert shown([ask(subject, x=X).outputs]) == [expected]
    else:
        assert shown(pieces_of(subject)[1]) == expected


def test_a_piece_waits_for_a_step_from_which_its_output_would_rather_come(tmp_path):
    text = FAQ.replace(", when: faq.known == 2", "").replace(", when: faq.known == 0", "")
    servables = {
        "faq": Plain(lambda _: {"known": np.array(0)}),
        "write": Plain(Pieces(b"a", b"b")),
        "slow": Plain(lambda _: {"text": one(b"slow")}, hold=0.02),
    }
    callees = {
        "faq": function("x: bytes", "known: int64"),
        "write": model("prompt: bytes", "text: bytes", streams=True),
        "slow": function("x: bytes", "text: bytes"),
    }
    _, pieces = pieces_of(pipeline(tmp_path, text, callees, servables))

    assert shown(pieces) == [{"reply": [b"slow"]}]


# -- ends -----------------------------------------------------------------------------------------


def test_what_fails_before_the_first_piece_is_an_ordinary_error(tmp_path):
    subject, servables = build(tmp_path, Pieces(b"a"))
    servables["find"].function = ModelFailed("no")
    with pytest.raises(ModelFailed, match="step 'find': no"):
        ask(subject, x=X)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Pieces(b"a", error=ModelFailed("out of words")), "step 'write': out of words"),
        (Pieces(b"a", error=ValueError("x")), "step 'write': it failed"),
        (Pieces(b"a", {"text": np.zeros(1)}), "step 'write': output 'text' has datatype FP64"),
    ],
    ids=["failed", "unforeseen", "wrong type"],
)
def test_what_fails_later_ends_the_pieces(tmp_path, source, message):
    subject, _ = build(tmp_path, source)

    async def main():
        response = await subject(request(x=X))
        assert (await anext(response.chunks))["reply"].tolist() == [b"a"]
        with pytest.raises(ModelFailed, match=message):
            await anext(response.chunks)
        with pytest.raises(StopAsyncIteration):
            await anext(response.chunks)
        await nothing_left(subject)

    asyncio.run(main())
    assert source.closed == 1


def test_another_step_that_fails_ends_the_pieces_too(tmp_path):
    source, late = Pieces(*[b"a"] * 50, wait=0.002), Plain(ModelFailed("no"), hold=0.02)
    subject, _ = build(tmp_path, source, late)

    async def main():
        response = await subject(request(x=X))
        with pytest.raises(ModelFailed, match="step 'score': no"):
            async for _ in response.chunks:
                pass
        await nothing_left(subject)

    asyncio.run(main())
    assert source.closed == 1
    assert source.given < 50


def test_closing_stops_the_generation_and_all_that_runs(tmp_path):
    source, never = Pieces(*[b"a"] * 1000, wait=0.001), Plain(lambda _: {}, hold=99)
    subject, _ = build(tmp_path, source, never)

    async def main():
        response = await subject(request(x=X))
        await anext(response.chunks)
        await response.chunks.aclose()
        await response.chunks.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(response.chunks)
        await nothing_left(subject)
        return response

    response = asyncio.run(main())
    assert source.closed == 1
    assert never.cancelled == 1
    assert {(s.name, s.error) for s in response.timings.steps} == {
        ("find", None), ("write", "cancelled"), ("score", "cancelled"),
    }  # fmt: skip


def test_a_client_that_does_not_take_pieces_holds_up_its_own_generation(tmp_path):
    source = Pieces(*[b"a"] * 1000)
    subject, _ = build(tmp_path, source)

    async def main():
        response = await subject(request(x=X))
        await asyncio.sleep(0.05)
        given = source.given
        await response.chunks.aclose()
        await nothing_left(subject)
        return given

    assert asyncio.run(main()) <= 4


@pytest.mark.parametrize("deaf", [False, True], ids=["heeds", "deaf"])
def test_the_deadline_holds_for_pieces_too(tmp_path, deaf):
    source = Pieces(b"a", b"b", wait=0.3, deaf=deaf)
    source.words = (b"a", b"b")
    subject, _ = build(tmp_path, source)

    async def main():
        start = time.monotonic()
        response = await subject(request(x=X, _deadline=start + 0.4))
        assert (await anext(response.chunks))["reply"].tolist() == [b"a"]
        with pytest.raises(DeadlineExceeded, match="step 'write': the deadline passed"):
            await anext(response.chunks)
        assert time.monotonic() - start < 0.55
        await nothing_left(subject)

    asyncio.run(main())
    assert source.closed == 1


def test_one_who_waits_for_a_piece_and_leaves_stops_the_generation(tmp_path):
    source = Pieces(b"a", wait=60)
    subject, _ = build(tmp_path, source)

    async def main():
        response = await subject(request(x=X))
        task = asyncio.ensure_future(anext(response.chunks))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await nothing_left(subject)

    asyncio.run(main())
    assert source.closed == 1


def test_streams_side_by_side_do_not_meet(tmp_path):
    subject, _ = build(tmp_path, lambda i: Pieces(*[i["prompt"][0]] * 5)(i))

    async def main():
        return await answer_all(subject, [request(x=texts(b"%d" % i)) for i in range(50)], 10)

    answers = asyncio.run(main())
    assert [a.outputs["reply"].tolist() for a in answers] == [[b"%d" % i * 5] for i in range(50)]


# -- over a real generator ------------------------------------------------------------------------


def made(notes):
    """Return how many pieces the generator made for each of the requests here that ended."""
    rows = [line.rsplit(" ", 1) for line in notes.read_text().splitlines()]
    return [int(count) for word, count in rows if word == "hi"]


@pytest.mark.parametrize("executor", ["inline", "process"], ids=str)
def test_a_generator_in_a_worker_goes_out_in_pieces_and_stops_when_closed(tmp_path, executor):
    notes = tmp_path / "notes"
    spec = probe_spec(tmp_path, SOURCE)
    spec = replace(spec, options={**spec.options, "parameters": {"notes": str(notes)}})
    text = """
        inputs: [x]
        steps:
          find: {python: "s:find", inputs: {x: x}}
          write: {model: llm, inputs: {word: find.text}}
        outputs: {reply: write.output, found: find.text}
    """

    async def main():
        loader = Loader(
            RouteTable(), LoadSettings(instances=1, executor=executor), CurveStore(None)
        )
        version = (await loader.load(spec)).version
        try:
            (output,) = version.signature.outputs
            callees = {
                "find": function("x: bytes", "text: bytes"),
                "write": Callee(version.signature, True, plan=version.plan),
            }
            servables = {"find": Plain(lambda i: {"text": i["x"]}), "write": version.servable}
            subject = pipeline(
                tmp_path, text.replace("write.output", f"write.{output.name}"), callees, servables
            )
            response = await subject(request(x=X, _parameters={"count": 3}))
            pieces = shown([piece async for piece in response.chunks])
            slow = await subject(request(x=X, _parameters={"count": 1000, "pause": 0.01}))
            await anext(slow.chunks)
            await slow.chunks.aclose()
            with pytest.raises(ModelFailed, match="step 'write': .*it broke"):
                async for _ in (await subject(request(x=X, _parameters={"fail": 1}))).chunks:
                    pass
            async with asyncio.timeout(10):
                while subject.busy or len(made(notes)) < 3:
                    await asyncio.sleep(0.01)
            return pieces, response.timings
        finally:
            await loader.stop(2.0)

    pieces, timings = asyncio.run(main())
    assert pieces == [
        {"reply": [b"hi0 "], "found": [b"hi"]},
        {"reply": [b"hi1 "]},
        {"reply": [b"hi2 "]},
    ]
    assert [s.name for s in timings.steps] == ["find", "write"]
    assert timings.run > 0.3, "that of the model is in it"
    assert {1, 3} <= set(made(notes))
    assert max(made(notes)) < 100
