"""One run of the graph: right whatever the timing of its steps, and gone when it ends, however it does."""

import asyncio
import contextlib
import gc
import random
import time
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.routing.pipeline.running import Plain, Prompt, ask, nothing_left, pipeline, request
from tests.routing.pipeline.written import function, model

from inferd.core.errors import InferdError, ModelFailed
from inferd.core.message import NORMAL

OPERATIONS = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "largest": np.maximum,
    "product": lambda a, b: np.clip(a * b, -1000, 1000),
}
X = np.array([[3.0, -2.0]], np.float32)


@st.composite
def graphs(draw):
    """Draw steps of two sources each: (operation, source, source, kind, mapped), sources by number.

    Number 0 is the request's input, number i the step i - 1.
    """
    count = draw(st.integers(1, 12))
    steps = []
    for i in range(count):
        operation = draw(st.sampled_from(sorted(OPERATIONS)))
        sources = draw(st.tuples(st.integers(0, i), st.integers(0, i)))
        kind = draw(st.sampled_from(["plain", "promise", "at once", "function"]))
        steps.append((operation, *sources, kind, draw(st.booleans())))
    return steps


def evaluated(steps, x):
    values = [x]
    for operation, a, b, *_ in steps:
        values.append(OPERATIONS[operation](values[a], values[b]))
    return values[1:]


def named(number):
    return "x" if number == 0 else f"s{number - 1}.y"


def built(directory, steps, chance):
    """Return the pipeline of drawn steps; each of its steps takes a random time."""
    lines, servables, callees = [], {}, {}
    for i, (operation, a, b, kind, mapped) in enumerate(steps):
        where = "map" if mapped else "inputs"
        lines.append(f"  s{i}: {{model: m{i}, {where}: {{a: {named(a)}, b: {named(b)}}}}}")
        shape = "" if mapped else "2"
        one = function if kind == "function" else model
        callees[f"s{i}"] = one(f"a: float32 {shape}, b: float32 {shape}", f"y: float32 {shape}")

        def run(inputs, operation=OPERATIONS[operation]):
            return {"y": np.asarray(operation(inputs["a"], inputs["b"]))}

        if kind in ("promise", "at once"):
            servables[f"s{i}"] = Prompt(run, "later" if kind == "promise" else kind)
        else:
            servables[f"s{i}"] = Plain(run, hold=chance.choice([0, 0, 0.0005, 0.001]))
    outputs = ", ".join(f"y{i}: s{i}.y" for i in range(len(steps)))
    text = "inputs: {x: {dtype: float32, shape: [2]}}\nsteps:\n" + "\n".join(lines)
    return pipeline(directory, f"{text}\noutputs: {{{outputs}}}\n", callees, servables)


@settings(max_examples=40, deadline=None)
@given(steps=graphs(), seed=st.integers(0, 1000))
def test_any_graph_gives_what_its_steps_give_one_after_the_other(tmp_path_factory, steps, seed):
    subject = built(tmp_path_factory.mktemp("graph"), steps, random.Random(seed))
    outputs = ask(subject, x=X).outputs

    for i, expected in enumerate(evaluated(steps, X)):
        assert np.array_equal(outputs[f"y{i}"], expected), (i, steps[i])


@settings(max_examples=25, deadline=None)
@given(steps=graphs(), seed=st.integers(0, 1000), after=st.floats(0, 0.004))
def test_one_that_is_cancelled_at_any_moment_leaves_nothing(tmp_path_factory, steps, seed, after):
    subject = built(tmp_path_factory.mktemp("graph"), steps, random.Random(seed))

    async def main():
        tasks = [asyncio.create_task(subject(request(x=X))) for _ in range(5)]
        await asyncio.sleep(after)
        for task in tasks:
            task.cancel()
        for done in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(done, asyncio.CancelledError) or np.array_equal(
                done.outputs["y0"], evaluated(steps, X)[0]
            )
        await nothing_left(subject)

    asyncio.run(main())


@settings(max_examples=25, deadline=None)
@given(steps=graphs(), seed=st.integers(0, 1000), data=st.data())
def test_a_step_that_fails_ends_the_request_and_all_that_runs(tmp_path_factory, steps, seed, data):
    subject = built(tmp_path_factory.mktemp("graph"), steps, random.Random(seed))
    bad = data.draw(st.integers(0, len(steps) - 1))
    servables = dict(subject._bind())
    servables[f"s{bad}"] = Plain(ModelFailed("no"), hold=0.0005)
    subject._bind = lambda: servables
    with pytest.raises(ModelFailed, match=f"step 's{bad}': no"):
        ask(subject, x=X)


# -- nothing stays behind -------------------------------------------------------------------------

PAIR = """
    inputs: [x]
    steps:
      good: {model: m, inputs: {x: x}}
      bad: {model: m, inputs: {x: x}}
    outputs: {y: good.y, z: bad.y}
"""


def pair(directory, good, bad):
    one = model("x: float32 2", "y: float32 2")
    return pipeline(directory, PAIR, {"good": one, "bad": one}, {"good": good, "bad": bad})


def same(inputs):
    return {"y": inputs["x"]}


def test_the_first_failure_drops_what_still_runs(tmp_path):
    slow, held = Plain(same, hold=60), Prompt(same, "held")
    for other in (slow, held):
        subject = pair(tmp_path, other, Plain(ModelFailed("no"), hold=0.01))
        with pytest.raises(ModelFailed, match="step 'bad': no") as raised:
            ask(subject, x=X)
        assert [(s.name, s.error) for s in raised.value.steps] == [
            ("bad", "model_failed"), ("good", "cancelled"),
        ]  # fmt: skip
    assert slow.cancelled == 1
    assert len(held.abandoned) == 1


def test_a_servable_that_swallows_its_cancellation_holds_nobody_up(tmp_path):
    class Deaf(Plain):
        async def __call__(self, request):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(0.2)
            return self.answer(request)

    subject = pair(tmp_path, Deaf(same), Plain(ModelFailed("no")))

    async def main():
        start = time.monotonic()
        with pytest.raises(ModelFailed):
            await subject(request(x=X))
        took = time.monotonic() - start
        assert subject.busy, "what was asked has not ended yet"
        await nothing_left(subject)
        return took

    assert asyncio.run(main()) < 0.1


@pytest.mark.parametrize(
    "servable",
    [lambda: Plain(same), lambda: Prompt(same), lambda: Plain(ModelFailed("no")),
     lambda: Prompt(ModelFailed("no"), "refuse"), lambda: Plain(lambda _: {}), lambda: Plain(same, hold=9)],
    ids=["plain", "promise", "fails", "refuses", "wrong type", "late"],
)  # fmt: skip
def test_a_request_leaves_nothing_for_the_collector(tmp_path, servable):
    subject = pair(tmp_path, Plain(same), servable())

    class Tracked(np.ndarray):
        pass

    async def main():
        for warm in range(2):
            given = X.copy().view(Tracked)
            gone = weakref.ref(given)
            with contextlib.suppress(InferdError):
                await subject(request(x=given, _deadline=time.monotonic() + 0.05))
            for one in subject._bind().values():
                one.asked.clear()
            del given
            await nothing_left(subject)
            await asyncio.sleep(0)
            if warm:
                assert gone() is None

    gc.collect()
    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


def test_a_bug_of_the_pipeline_itself_ends_the_request(tmp_path, caplog):
    subject = pair(tmp_path, Plain(same), Plain(same))
    subject._bind = lambda: {"good": Plain(same)}
    with pytest.raises(InferdError, match="not foreseen") as raised:
        ask(subject, x=X)
    assert raised.value.kind == "internal"
    assert any("pipeline failed" in r.message for r in caplog.records)


def raising(*_):
    raise RuntimeError("metrics")


@pytest.mark.parametrize("servable", [Plain, Prompt], ids=["plain", "promise"])
def test_an_observer_that_raises_is_logged_and_harms_no_request(tmp_path, servable, caplog):
    one = model("x: float32 2", "y: float32 2")
    servables = {"good": servable(same), "bad": servable(same)}
    subject = pipeline(tmp_path, PAIR, {"good": one, "bad": one}, servables, observe=raising)

    assert np.array_equal(ask(subject, x=X).outputs["y"], X)
    assert [r.message for r in caplog.records] == ["an observer of steps failed"] * 2


@pytest.mark.parametrize("more", ["", ", timeout: 10ms"], ids=["refused", "late"])
def test_a_fallback_that_nobody_bound_ends_the_request(tmp_path, more):
    one = model("x: float32 2", "y: float32 2")
    text = PAIR.replace("bad: {model: m,", f"bad: {{model: m{more}, fallback: {{model: small}},")
    callees = {
        "good": one, "bad": model("x: float32 2", "y: float32 2", fallback=one.signature),
    }  # fmt: skip
    bad = Plain(same, hold=9) if more else Prompt(ModelFailed("no"), "refuse")
    subject = pipeline(tmp_path, text, callees, {"good": Plain(same), "bad": bad})
    start = time.monotonic()
    with pytest.raises(InferdError, match="not foreseen"):
        ask(subject, x=X)
    assert time.monotonic() - start < 5


def test_a_promise_that_is_settled_otherwise_is_left_alone(tmp_path):
    subject = pair(tmp_path, Plain(same), Plain(same))

    async def main():
        future = asyncio.get_running_loop().create_future()
        subject.begin({"x": X}, future, time.monotonic() + 5, NORMAL, "id")
        future.cancel()
        await nothing_left(subject)

    asyncio.run(main())
