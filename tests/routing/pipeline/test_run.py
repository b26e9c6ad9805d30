"""Pipelines over servables in memory: what is asked, in which order, and what comes out."""

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest
from tests.routing.pipeline.running import (
    Plain,
    Prompt,
    ask,
    nothing_left,
    pipeline,
    request,
    texts,
)
from tests.routing.pipeline.written import function, model
from tests.system.models import affine

from inferd.control.curves import CurveStore
from inferd.control.loader import Loader, LoadSettings
from inferd.core.errors import (
    DeadlineExceeded,
    InferdError,
    InvalidInput,
    InvalidParameter,
    ModelFailed,
    Overloaded,
    Unavailable,
)
from inferd.core.message import ADMITTED, HIGH, NORMAL, Request
from inferd.core.trace import Span, root
from inferd.repository.spec import ModelSpec
from inferd.routing.pipeline.plan import Callee
from inferd.routing.pipeline.run import ROWS_TOLD
from inferd.routing.table import RouteTable
from inferd.scheduling.admission import QueueLimits

CHAIN = """
    inputs: [x]
    steps:
      a: {model: a, inputs: {x: x}}
      b: {model: b, inputs: {x: a.y}}
    outputs: {y: b.y}
"""
DIAMOND = """
    inputs: [x]
    steps:
      left: {model: m, inputs: {x: x}}
      right: {model: m, inputs: {x: x}}
      both: {python: "s:both", inputs: {a: left.y, b: right.y}}
    outputs: {y: both.y}
"""
ROW = "x: float32 2", "y: float32 2"


def plus(number):
    return lambda inputs: {"y": inputs["x"] + np.float32(number)}


def chain(directory, a=None, b=None, **given):
    servables = {"a": a or Plain(plus(1)), "b": b or Plain(plus(10))}
    return pipeline(
        directory, CHAIN, {"a": model(*ROW), "b": model(*ROW)}, servables, **given
    ), servables


def diamond(directory, left, right, **given):
    servables = {
        "left": left, "right": right, "both": Plain(lambda i: {"y": i["a"] * i["b"]}),
    }  # fmt: skip
    callees = {
        "left": model(*ROW), "right": model(*ROW),
        "both": function("a: float32 2, b: float32 2", "y: float32 2"),
    }  # fmt: skip
    return pipeline(directory, DIAMOND, callees, servables, **given)


ONE = np.array([[1, 2]], np.float32)


# -- what comes out -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Plain, Prompt], ids=["plain", "by promise"])
def test_each_step_is_fed_by_the_one_before(tmp_path, kind):
    subject, _ = chain(tmp_path, kind(plus(1)), kind(plus(10)))
    response = ask(subject, x=ONE)

    assert (response.model, response.version) == ("flow", "7")
    assert response.outputs["y"].tolist() == [[12, 13]]
    assert response.outputs["y"].dtype == np.float32


@pytest.mark.parametrize("when", ["at once", "later"], ids=str)
def test_a_promise_may_be_settled_before_the_question_returns(tmp_path, when):
    subject, _ = chain(tmp_path, Prompt(plus(1), when), Prompt(plus(10), when))

    assert ask(subject, x=ONE).outputs["y"].tolist() == [[12, 13]]


def test_branches_meet(tmp_path):
    subject = diamond(tmp_path, Plain(plus(1)), Prompt(plus(2)))

    assert ask(subject, x=ONE).outputs["y"].tolist() == [[2 * 3, 3 * 4]]


def test_a_long_chain_that_answers_at_once_needs_no_stack(tmp_path):
    count = 250  # some ten frames for each would be too many
    steps = "".join(
        f"      s{i}: {{model: m, inputs: {{x: {'x' if not i else f's{i - 1}.y'}}}}}\n"
        for i in range(count)
    )
    text = f"    inputs: [x]\n    steps:\n{steps}    outputs: {{y: s{count - 1}.y}}\n"
    one = Prompt(plus(1), "at once")
    servables = {f"s{i}": one for i in range(count)}
    subject = pipeline(tmp_path, text, {name: model(*ROW) for name in servables}, servables)

    assert ask(subject, x=ONE).outputs["y"].tolist() == [[1 + count, 2 + count]]


def test_outputs_may_be_chosen_by_name(tmp_path):
    text = CHAIN.replace("{y: b.y}", "{y: b.y, z: a.y}")
    subject = pipeline(
        tmp_path,
        text,
        {"a": model(*ROW), "b": model(*ROW)},
        {"a": Plain(plus(1)), "b": Plain(plus(2))},
    )

    assert list(ask(subject, x=ONE, _outputs=("z",)).outputs) == ["z"]
    with pytest.raises(InvalidInput, match="unknown output 'q'"):
        ask(subject, x=ONE, _outputs=("q",))
    assert subject.gate.entries == 0


@pytest.mark.parametrize(
    ("inputs", "error"),
    [({"x": np.zeros((1, 3), np.float32)}, "shape"), ({"z": ONE}, "unknown input 'z'"),
     ({"x": np.zeros((1, 2))}, "datatype")],
    ids=["shape", "name", "datatype"],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_any_step(tmp_path, inputs, error):
    subject, servables = chain(tmp_path)
    with pytest.raises(InvalidInput, match=error):
        ask(subject, **inputs)
    assert not servables["a"].asked


# -- rows -----------------------------------------------------------------------------------------


def test_rows_go_straight_through_models(tmp_path):
    subject, servables = chain(tmp_path)
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    response = ask(subject, x=rows)

    assert np.array_equal(response.outputs["y"], rows + 11)
    assert [len(s.asked) for s in servables.values()] == [1, 1]


def test_rows_run_one_by_one_where_a_step_takes_one_example(tmp_path):
    left = Plain(plus(1), hold=0.001)
    subject = diamond(tmp_path, left, Plain(plus(2)), rows_at_once=3)
    rows = np.arange(40, dtype=np.float32).reshape(20, 2)
    response = ask(subject, x=rows, _priority=HIGH)

    assert np.array_equal(response.outputs["y"], (rows + 1) * (rows + 2))
    assert left.most == 3
    assert [r.inputs["x"].shape for r in left.asked] == [(1, 2)] * 20
    assert [r.priority for r in left.asked] == [HIGH] * 3 + [ADMITTED] * 17


def test_steps_of_many_rows_are_told_for_some(tmp_path):
    subject = diamond(tmp_path, Prompt(plus(1)), Prompt(plus(2)))
    few = ask(subject, x=np.zeros((3, 2), np.float32)).timings
    many = ask(subject, x=np.zeros((ROWS_TOLD + 40, 2), np.float32)).timings

    assert len(few.steps) == 3 * 3
    assert len(many.steps) == 3 * ROWS_TOLD
    assert few.run == pytest.approx(0.9), "rows ran side by side"


def test_the_first_row_that_fails_ends_the_others(tmp_path):
    def third(inputs):
        if inputs["x"][0, 0] == 4:
            raise ModelFailed("row 4")
        return {"y": inputs["x"]}

    subject = diamond(tmp_path, Plain(third, hold=0.002), Plain(plus(0), hold=9), rows_at_once=8)
    with pytest.raises(ModelFailed, match=r"step 'left': row 4"):
        ask(subject, x=np.arange(40, dtype=np.float32).reshape(20, 2))


def test_no_rows_ask_nobody(tmp_path):
    subject, servables = chain(tmp_path)
    response = ask(subject, x=np.zeros((0, 2), np.float32))

    assert response.outputs["y"].shape == (0, 2)
    assert not servables["a"].asked


# -- what is asked --------------------------------------------------------------------------------


def test_independent_steps_run_at_the_same_time_and_later_ones_as_soon_as_they_can(tmp_path):
    text = """
        inputs: [x]
        steps:
          quick: {model: m, inputs: {x: x}}
          slow: {model: m, inputs: {x: x}}
          after: {model: m, inputs: {x: quick.y}}
        outputs: {a: after.y, b: slow.y}
    """
    gate = asyncio.Event()
    servables = {"quick": Plain(plus(1)), "slow": Plain(plus(2), gate), "after": Plain(plus(4))}
    subject = pipeline(tmp_path, text, dict.fromkeys(servables, model(*ROW)), servables)

    async def main():
        task = asyncio.create_task(subject(request(x=ONE)))
        while not servables["after"].asked:
            await asyncio.sleep(0)
        assert servables["slow"].running == 1
        gate.set()
        return await task

    assert asyncio.run(main()).outputs["a"].tolist() == [[6, 7]]


def test_first_steps_have_the_requests_priority_and_later_ones_are_admitted(tmp_path):
    a, b = Plain(plus(1)), Prompt(plus(10))
    subject, _ = chain(tmp_path, a, b)
    for priority in (NORMAL, HIGH):
        ask(subject, x=ONE, _priority=priority)

    assert [r.priority for r in a.asked] == [NORMAL, HIGH]
    assert [priority for _, _, priority, _ in b.asked] == [ADMITTED, ADMITTED]
    assert {r.id for r in a.asked} == {"r1"} == {id for *_, id in b.asked}


@pytest.mark.parametrize("rows", [1, 2], ids=["one", "row by row"])
def test_a_full_pipeline_takes_later_steps_of_those_that_ask_it(tmp_path, rows):
    held = asyncio.Event()
    text = CHAIN.replace("model: a,", "when: len(x) > 0, model: a,")
    text = text.replace("y: b.y", "y: {from: b.y, default: [0, 0]}")
    servables = {"a": Plain(plus(1), held), "b": Plain(plus(10))}
    subject = pipeline(
        tmp_path, text, dict.fromkeys(servables, model(*ROW)), servables,
        limits=QueueLimits(entries=1),
    )  # fmt: skip
    x = np.zeros((rows, 2), np.float32)

    async def main():
        first = asyncio.create_task(subject(request(x=x)))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="1 requests are under way"):
            await subject(request(x=x, _priority=HIGH))
        later = asyncio.create_task(subject(request(x=x, _priority=ADMITTED)))
        await asyncio.sleep(0)
        held.set()
        for task in (first, later):
            assert (await task).outputs["y"].tolist() == [[11, 11]] * rows
        await nothing_left(subject)

    asyncio.run(main())


def test_a_step_is_asked_under_its_own_names_for_what_is_used(tmp_path):
    text = CHAIN.replace("model: a,", "model: other@3, timeout: 5s,")
    a = Plain(plus(1))
    callees = {"a": model("x: float32 2", "y: float32 2, z: float32 2"), "b": model(*ROW)}
    subject = pipeline(tmp_path, text, callees, {"a": a, "b": Plain(plus(2))})
    deadline = time.monotonic() + 60
    ask(subject, x=ONE, _deadline=deadline, _parameters={"top_k": 3})
    (asked,) = a.asked

    assert (asked.model, asked.version, asked.outputs) == ("other", "3", ("y",))
    assert asked.parameters == {"top_k": 3}
    assert time.monotonic() + 3 < asked.deadline < time.monotonic() + 5


@pytest.mark.parametrize("rows", [1, 3], ids=["one row", "rows"])
def test_nothing_is_copied_between_steps(tmp_path, rows):
    kept = []

    def keeps(inputs):
        kept.append(inputs["x"])
        return {"y": inputs["x"]}

    subject, _ = chain(tmp_path, Plain(keeps), Prompt(keeps))
    given = np.zeros((rows, 2), np.float32)
    outputs = ask(subject, x=given).outputs

    assert len(kept) == 2
    assert all(np.shares_memory(given, array) for array in (*kept, outputs["y"]))


def test_no_step_can_change_a_constant_for_others(tmp_path):
    def careless(inputs):
        with pytest.raises(ValueError, match="read-only"):
            inputs["by"] += 1
        return {"y": inputs["x"] * inputs["by"]}

    text = """
        inputs: [x]
        steps: {a: {python: "s:f", inputs: {x: x, by: [2, 3]}}}
        outputs: {y: a.y}
    """
    callees = {"a": function("x: float32 2, by: float32 2", "y: float32 2")}
    subject = pipeline(tmp_path, text, callees, {"a": Plain(careless)})

    assert [ask(subject, x=ONE).outputs["y"].tolist() for _ in range(2)] == [[[2, 6]]] * 2


def test_every_request_keeps_the_servables_it_was_given(tmp_path):
    old, new = Plain(plus(100)), Plain(plus(1))
    held = asyncio.Event()
    first = Plain(plus(0), held)
    now = {"a": first, "b": old}
    subject, _ = chain(tmp_path)
    subject._bind = lambda: dict(now)

    async def main():
        task = asyncio.create_task(subject(request(x=ONE)))
        await asyncio.sleep(0)
        now["b"] = new
        held.set()
        return (await task).outputs["y"].tolist(), (await subject(request(x=ONE))).outputs[
            "y"
        ].tolist()

    assert asyncio.run(main()) == ([[101, 102]], [[2, 3]])


def test_one_that_does_not_serve_is_told_by_who_binds(tmp_path):
    def bind():
        raise Unavailable("step 'b': model 'b' is loading", retry_after=2.0)

    subject = pipeline(tmp_path, CHAIN, {"a": model(*ROW), "b": model(*ROW)}, bind)
    with pytest.raises(Unavailable, match="step 'b'") as raised:
        ask(subject, x=ONE)
    assert raised.value.retry_after == 2.0
    with pytest.raises(Unavailable, match="step 'b'"):
        ask(subject, x=np.zeros((3, 2), np.float32))
    assert subject.gate.entries == 0


# -- what is told ---------------------------------------------------------------------------------


def test_timings_are_the_sums_and_say_each_step(tmp_path):
    seen = []
    subject, _ = chain(tmp_path, observe=lambda *told: seen.append(told))
    timings = ask(subject, x=ONE).timings

    assert (timings.queue, timings.batch, timings.run) == pytest.approx((0.2, 0.4, 0.6))
    assert timings.batch_size == 4
    assert [s.name for s in timings.steps] == ["a", "b"]
    assert all(s.end >= s.start > 0 and s.timings.run == 0.3 for s in timings.steps)
    assert timings.steps[0].end <= timings.steps[1].start
    assert [(name, kind, skipped) for name, _, kind, skipped in seen] == [
        ("a", None, False), ("b", None, False),
    ]  # fmt: skip


def test_each_step_is_a_span_below_the_requests(tmp_path):
    spans: list[Span] = []
    trace = root(sink=spans.append)
    a, b = Plain(plus(1)), Plain(plus(2))
    subject, _ = chain(tmp_path, a, b)
    response = ask(subject, x=ONE, _trace=trace)
    told = [s.trace for s in response.timings.steps]

    assert [r.trace for r in (*a.asked, *b.asked)] == told
    assert {t.trace_id for t in told} == {trace.trace_id}
    assert len({t.span_id for t in (*told, trace)}) == 3


def test_an_error_says_how_the_steps_went(tmp_path):
    subject, _ = chain(tmp_path, b=Plain(ModelFailed("no")))
    with pytest.raises(ModelFailed) as raised:
        ask(subject, x=ONE)

    assert [(s.name, s.error) for s in raised.value.steps] == [("a", None), ("b", "model_failed")]


# -- without a coroutine --------------------------------------------------------------------------


class Kept:
    """A promise that keeps what it was told."""

    def __init__(self):
        self.result = self.error = None

    def done(self):
        return self.result is not None or self.error is not None

    def cancelled(self):
        return False

    def set_result(self, result):
        self.result = result

    def set_exception(self, exception):
        self.error = exception


def test_a_pipeline_answers_by_promise_itself(tmp_path):
    subject, _ = chain(tmp_path, Prompt(plus(1)), Prompt(plus(2)))

    async def main():
        kept = Kept()
        handle = subject.begin({"x": ONE}, kept, time.monotonic() + 9, NORMAL, "id")
        assert subject.running == 1
        while not kept.done():
            await asyncio.sleep(0)
        await nothing_left(subject)
        return kept.result["y"].tolist(), subject.timings(handle)

    outputs, timings = asyncio.run(main())
    assert outputs == [[4, 5]]
    assert [s.name for s in timings.steps] == ["a", "b"]


def test_one_that_is_abandoned_leaves_nothing(tmp_path):
    b = Prompt(plus(2), "held")
    subject, _ = chain(tmp_path, Prompt(plus(1), "at once"), b)

    async def main():
        kept = Kept()
        handle = subject.begin({"x": ONE}, kept, time.monotonic() + 9, NORMAL, "id")
        assert len(b.held) == 1
        subject.abandon(handle)
        assert b.abandoned == b.held
        b.settle(b.held[0])
        await nothing_left(subject)
        assert not kept.done()

    asyncio.run(main())


def test_rows_that_run_one_by_one_are_left_to_the_call(tmp_path):
    subject = diamond(tmp_path, Plain(plus(1)), Plain(plus(2)))

    async def main():
        two = {"x": np.zeros((2, 2), np.float32)}
        none = {"x": np.zeros((0, 2), np.float32)}
        for inputs in (two, none):
            assert subject.begin(inputs, Kept(), time.monotonic() + 9, NORMAL, "id") is None

    asyncio.run(main())


def test_a_pipeline_is_a_step_of_another(tmp_path):
    inner, _ = chain(tmp_path, Prompt(plus(1)), Plain(plus(2), timings=None))
    (tmp_path / "outer").mkdir()
    outer = pipeline(
        tmp_path / "outer", CHAIN.replace("model: b", "model: inner"),
        {"a": model(*ROW), "b": model(*ROW)}, {"a": Plain(plus(100)), "b": inner},
    )  # fmt: skip
    response = ask(outer, x=ONE)

    assert response.outputs["y"].tolist() == [[104, 105]]
    assert [s.name for s in response.timings.steps] == ["a", "b"]
    assert [s.name for s in response.timings.steps[1].timings.steps] == ["a", "b"]
    inner._bind = lambda: {"a": Prompt(plus(1)), "b": Plain(ModelFailed("no"))}
    with pytest.raises(ModelFailed, match=r"step 'b': step 'b': no"):
        ask(outer, x=ONE)


# -- limits ---------------------------------------------------------------------------------------


def test_no_more_requests_are_let_in_than_the_limit(tmp_path):
    held = asyncio.Event()
    subject, _ = chain(tmp_path, Plain(plus(1), held), limits=QueueLimits(entries=3))

    async def main():
        tasks = [asyncio.create_task(subject(request(x=ONE))) for _ in range(5)]
        await asyncio.sleep(0)
        held.set()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        await nothing_left(subject)
        return done

    done = asyncio.run(main())
    refused = [d for d in done if isinstance(d, Overloaded)]
    assert len(refused) == 2
    assert all(r.retry_after > 0 for r in refused)


def test_a_request_that_is_late_already_is_refused(tmp_path):
    subject, servables = chain(tmp_path)
    with pytest.raises(DeadlineExceeded):
        ask(subject, x=ONE, _deadline=time.monotonic() - 1)
    assert not servables["a"].asked


def test_texts_pass_as_they_are(tmp_path):
    text = """
        inputs: [x]
        steps:
          shout: {python: "s:shout", inputs: {text: x}}
        outputs: {y: shout.text}
    """
    servables = {"shout": Plain(lambda i: {"text": texts(i["text"][()].upper()).reshape(())})}
    subject = pipeline(tmp_path, text, {"shout": function("text: bytes", "text: bytes")}, servables)

    assert ask(subject, x=texts(b"ab", b"cd")).outputs["y"].tolist() == [b"AB", b"CD"]
    with pytest.raises(InferdError, match="datatype"):
        asyncio.run(subject(Request("flow", {"x": np.zeros(1)})))


# -- over real models -----------------------------------------------------------------------------


@pytest.mark.parametrize("executor", ["inline", "process"], ids=str)
def test_real_models_give_what_they_give_alone(tmp_path, executor):
    text = """
        inputs: [x]
        steps:
          one: {model: one, inputs: {x: x}}
          two: {model: two, inputs: {x: one.y}}
          parts: {model: two, map: {x: rows.list}}
          rows: {python: "s:rows", inputs: {x: one.y}}
        outputs: {y: {from: [two.y, one.y]}, all: parts.y}
    """

    async def main():
        loader = Loader(
            RouteTable(), LoadSettings(instances=1, executor=executor), CurveStore(None)
        )
        loaded = {}
        for name, plus_ in (("one", 1.0), ("two", 3.0)):
            path = affine(tmp_path / f"{name}.onnx", plus_)
            spec = ModelSpec(
                name=name, version="1", runtime="onnx", artifact=path, directory=tmp_path
            )
            loaded[name] = (await loader.load(spec)).version
        try:
            callees = {
                name: Callee(loaded[model_].signature, plan=loaded[model_].plan)
                for name, model_ in (("one", "one"), ("two", "two"), ("parts", "two"))
            }
            callees["rows"] = function("x: float32 4", "list: float32 3 4")
            servables = {
                "one": loaded["one"].servable, "two": loaded["two"].servable,
                "parts": loaded["two"].servable,
                "rows": Plain(lambda i: {"list": np.stack([i["x"]] * 3)}),
            }  # fmt: skip
            subject = pipeline(tmp_path, text, callees, servables)
            rows = np.arange(40, dtype=np.float32).reshape(10, 4)
            responses = [await subject(request(x=rows))]
            responses += await asyncio.gather(*(subject(request(x=row[None])) for row in rows))
            assert not subject.busy
            return rows, responses
        finally:
            await loader.stop(1.0)

    rows, (whole, *single) = asyncio.run(main())
    expected = 2 * (2 * rows + 1) + 3
    assert np.array_equal(whole.outputs["y"], expected)
    assert np.array_equal(np.concatenate([r.outputs["y"] for r in single]), expected)
    assert whole.outputs["all"].shape == (10, 3, 4)
    assert np.array_equal(whole.outputs["all"][:, 1], expected)
    assert all(step.timings is not None for r in single for step in r.timings.steps)


PARTS = CHAIN.replace("model: a,", "model: a, parameters: {most: 80, stop: [x, y]},")


def asked_with(tmp_path, given, knows, text=PARTS):
    """Return what each step of a chain was asked with, of which the second says what it takes."""
    servables = {"a": Plain(plus(1)), "b": Plain(plus(2))}
    second = model(*ROW)
    callees = {
        "a": model(*ROW, streams=True),
        "b": Callee(replace(second.signature, parameters=knows)),
    }
    subject = pipeline(tmp_path, text, callees, servables)
    ask(subject, x=ONE, _parameters=given)
    return [dict(one.asked[0].parameters) for one in servables.values()]


def test_a_step_is_given_the_parameters_that_its_model_takes_and_those_of_the_file(tmp_path):
    given = {"most": 5, "heat": 1.0}
    both = {"most": 80, "stop": '["x", "y"]'}

    assert asked_with(tmp_path, given, ("most",)) == [{**both, "heat": 1.0}, {"most": 5}]
    assert asked_with(tmp_path, given, None) == [{**both, "heat": 1.0}, given]
    assert asked_with(tmp_path, {}, ("most",)) == [both, {}]


def test_a_parameter_that_no_step_takes_is_refused_where_all_say_what_they_take(tmp_path):
    a = replace(model(*ROW), streams=True)
    b = replace(a, signature=replace(a.signature, parameters=("most", "heat")))

    def refused(*callees):
        subject = pipeline(
            tmp_path, CHAIN, dict(zip("ab", callees, strict=True)),
            {"a": Plain(plus(1)), "b": Plain(plus(2))},
        )  # fmt: skip
        try:
            ask(subject, x=ONE, _parameters={"haet": 1})
        except InvalidInput as error:
            return error

    assert "unknown parameter 'haet'" in str(refused(b, b)) and "'heat'" in refused(b, b).help
    assert refused(model(*ROW), b) is not None, "who does not stream takes none"
    assert refused(a, b) is None and refused(model(*ROW), model(*ROW)) is None


@pytest.mark.parametrize(
    ("own", "given", "told"),
    [("", {"heat": 99}, InvalidParameter), ("heat: 99", {}, ModelFailed),
     ("heat: 99", {"most": 1}, InvalidParameter)],
    ids=["the client's", "the file's", "one of both"],
)  # fmt: skip
def test_a_parameter_that_a_later_step_refuses_is_the_fault_of_who_gave_it(
    tmp_path, own, given, told
):
    text = CHAIN.replace("model: b,", f"model: b, parameters: {{{own}}},") if own else CHAIN
    servables = {"a": Plain(plus(1)), "b": Plain(InvalidParameter("heat must be under 2"))}
    later = replace(model(*ROW), streams=True)
    subject = pipeline(tmp_path, text, {"a": model(*ROW), "b": later}, servables)

    with pytest.raises(InferdError, match="step 'b': heat must be under 2") as caught:
        ask(subject, x=ONE, _parameters=given)
    assert type(caught.value) is told


def test_what_a_request_leaves_out_is_its_default_for_every_row(tmp_path):
    text = """
        inputs: {x: {dtype: float32, shape: [2]}, scale: {default: 3}}
        steps:
          a: {model: a, inputs: {x: x, scale: scale}, when: scale > 2}
        outputs: {y: {from: a.y, default: [0, 0]}}
    """
    callee = model("x: float32 2, scale: float32", "y: float32 2")
    servable = Plain(lambda i: {"y": i["x"] * i["scale"][:, None]})
    subject = pipeline(tmp_path, text, {"a": callee}, {"a": servable})
    x = np.array([[1, 2], [3, 4]], np.float32)

    assert ask(subject, x=x).outputs["y"].tolist() == (x * 3).tolist()
    given = ask(subject, x=x, scale=np.array([4, 1], np.float32))
    assert given.outputs["y"].tolist() == [[4, 8], [0, 0]]
