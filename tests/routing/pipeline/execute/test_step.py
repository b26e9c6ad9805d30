"""One step: its time, its types, its errors, and what stands in for it."""

import asyncio
import time

import numpy as np
import pytest
from tests.routing.pipeline.running import Plain, Prompt, ask, nothing_left, pipeline, request
from tests.routing.pipeline.written import function, model

from inferd.core.errors import (
    DeadlineExceeded,
    InferdError,
    InvalidInput,
    ModelFailed,
    Overloaded,
    Quarantined,
    Unavailable,
)
from inferd.core.message import ADMITTED

ROW = "x: float32 2", "y: float32 2"
ONE = np.array([[1, 2]], np.float32)


def plus(number):
    return lambda inputs: {"y": inputs["x"] + np.float32(number)}


def steps(more="", first="", outputs="{y: b.y}"):
    return f"""
        inputs: [x]
        steps:
          a: {{model: a, inputs: {{x: x}}{first}}}
          b: {{model: b, inputs: {{x: a.y}}{more}}}
        outputs: {outputs}
    """


def build(directory, more="", *, first="", callee=None, a=None, **servables):
    callees = {"a": model(*ROW), "b": callee or model(*ROW)}
    found = {"a": a or Plain(plus(1))}
    found.update({name.replace("_", "!"): one for name, one in servables.items()})
    return pipeline(directory, steps(more, first), callees, found)


# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Plain, lambda e: Prompt(e, "refuse")], ids=["raised", "refused"])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ModelFailed("no"), ModelFailed), (Overloaded("no", retry_after=3.0), Overloaded),
        (Unavailable("no", retry_after=3.0), Unavailable), (InvalidInput("no"), ModelFailed),
        (Quarantined("no"), Quarantined),
    ],
    ids=lambda e: getattr(e, "kind", ""),
)  # fmt: skip
def test_an_error_names_the_step(tmp_path, kind, error, told):
    subject = build(tmp_path, b=kind(error))
    with pytest.raises(told, match=r"step 'b': no") as raised:
        ask(subject, x=ONE)
    assert type(raised.value) is told
    assert getattr(raised.value, "retry_after", None) == getattr(error, "retry_after", None)


def test_what_the_clients_own_inputs_cause_stays_the_clients_fault(tmp_path):
    subject = build(tmp_path, a=Plain(InvalidInput("too odd")), b=Plain(plus(1)))
    with pytest.raises(InvalidInput, match="step 'a': too odd"):
        ask(subject, x=ONE)


def test_an_error_nobody_foresaw_is_logged_and_not_told(tmp_path, caplog):
    subject = build(tmp_path, b=Plain(ValueError("/secret")))
    with pytest.raises(ModelFailed, match="step 'b'") as raised:
        ask(subject, x=ONE)
    assert "secret" not in str(raised.value)
    assert any("/secret" in str(r.exc_info) for r in caplog.records)


WRONG = [
    ({}, "output 'y' is missing"),
    ({"y": np.zeros((1, 2))}, "has datatype FP64, expected FP32"),
    ({"y": np.zeros((1, 3), np.float32)}, r"has shape \[1, 3\]"),
    ({"y": np.zeros((2, 2), np.float32)}, r"expected 1 on its first axis"),
    ({"y": [[1.0, 2.0]]}, "is a list"),
    (None, "the answer is a NoneType"),
]


@pytest.mark.parametrize(("outputs", "message"), WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_the_wrong_type_ends_with_the_step_the_output_and_both_types(tmp_path, outputs, message):
    subject = build(tmp_path, b=Plain(lambda _: outputs))
    with pytest.raises(ModelFailed, match=f"step 'b': .*{message}"):
        ask(subject, x=ONE)


# -- time -----------------------------------------------------------------------------------------


class Deaf(Plain):
    """Does not heed its deadline, nor its cancellation for a while."""

    async def __call__(self, request):
        self.running += 1
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            try:
                await asyncio.sleep(0.6)
            except asyncio.CancelledError:
                self.cancelled += 1
        self.running -= 1
        return self.answer(request)


@pytest.mark.parametrize("servable", [lambda: Plain(plus(1), 9), lambda: Deaf(plus(1)),
                                      lambda: Prompt(plus(1), "held")],
                         ids=["slow", "deaf", "never answers"])  # fmt: skip
def test_a_step_ends_by_the_requests_deadline_whatever_its_servable_does(tmp_path, servable):
    subject = build(tmp_path, b=servable())
    start = time.monotonic()

    async def main():
        with pytest.raises(DeadlineExceeded, match="step 'b': the deadline passed") as raised:
            await subject(request(x=ONE, _deadline=start + 0.1))
        took = time.monotonic() - start
        await nothing_left(subject)
        return took, raised.value.steps

    took, told = asyncio.run(main())
    assert 0.09 < took < 0.3
    assert [(s.name, s.error) for s in told] == [("a", None), ("b", "deadline_exceeded")]


def test_every_step_that_is_late_is_named(tmp_path):
    text = """
        inputs: [x]
        steps:
          one: {model: m, inputs: {x: x}}
          two: {model: m, inputs: {x: x}}
        outputs: {a: one.y, b: two.y}
    """
    slow = {"one": Plain(plus(1), 9), "two": Prompt(plus(1), "held")}
    subject = pipeline(tmp_path, text, dict.fromkeys(slow, model(*ROW)), slow)
    with pytest.raises(DeadlineExceeded, match="steps 'one' and 'two': the deadline passed"):
        ask(subject, x=ONE, _deadline=time.monotonic() + 0.05)
    assert len(slow["two"].abandoned) == 1


def test_a_step_has_a_time_of_its_own(tmp_path):
    slow = Plain(plus(1), 9)
    subject = build(tmp_path, ", timeout: 50ms", b=slow)
    start = time.monotonic()
    with pytest.raises(
        DeadlineExceeded, match=r"step 'b': it took longer than its timeout of 0.05 s"
    ):
        ask(subject, x=ONE)
    assert time.monotonic() - start < 1.0
    assert slow.cancelled == 1
    assert slow.asked[0].deadline < start + 1.0


# -- what stands in -------------------------------------------------------------------------------

VALUES = ", fallback: {values: {y: [7, 8]}}"
MODEL = ", fallback: {model: small}"


@pytest.mark.parametrize(
    "servable",
    [lambda: Plain(ModelFailed("no")), lambda: Prompt(Overloaded("no"), "refuse"),
     lambda: Plain(ValueError("no")), lambda: Plain(lambda _: {"y": "no"}), lambda: Plain(InvalidInput("no"))],
    ids=["failed", "refused", "unforeseen", "wrong type", "an earlier step's fault"],
)  # fmt: skip
def test_values_stand_in_for_a_step_that_fails(tmp_path, servable):
    seen = []
    subject = build(tmp_path, VALUES, b=servable())
    object.__setattr__(subject._course, "observe", lambda *told: seen.append(told))
    response = ask(subject, x=ONE)

    assert response.outputs["y"].tolist() == [[7, 8]]
    assert [(s.name, s.error is None) for s in response.timings.steps] == [
        ("a", True),
        ("b", False),
    ]
    assert [told[0] for told in seen] == ["a", "b"]


def test_values_stand_in_for_every_row(tmp_path):
    subject = build(tmp_path, VALUES, b=Plain(ModelFailed("no")))
    assert subject.plan.straight
    rows = np.zeros((3, 2), np.float32)

    assert ask(subject, x=rows).outputs["y"].tolist() == [[7, 8]] * 3


@pytest.mark.parametrize("batched", [True, False], ids=["batched", "unbatched"])
def test_another_model_stands_in(tmp_path, batched):
    small = Plain(plus(100))
    callee = model(*ROW, fallback=model(*ROW).signature if batched else function(*ROW).signature)
    deadline = time.monotonic() + 9
    subject = build(
        tmp_path, MODEL + ", timeout: 40ms", callee=callee, b=Plain(plus(1), 9), b_fallback=small
    )
    response = ask(subject, x=ONE, _deadline=deadline)

    assert response.outputs["y"].tolist() == [[102, 103]]
    (asked,) = small.asked
    assert (asked.model, asked.priority, asked.deadline) == ("small", ADMITTED, deadline)
    assert asked.inputs["x"].shape == ((1, 2) if batched else (2,))
    steps = response.timings.steps
    assert [(s.name, s.error) for s in steps] == [
        ("a", None), ("b", "deadline_exceeded"), ("b!fallback", None),
    ]  # fmt: skip
    assert steps[1].end <= steps[2].start


def test_where_that_fails_too_its_error_is_told(tmp_path):
    callee = model(*ROW, fallback=model(*ROW).signature)
    subject = build(
        tmp_path, MODEL, callee=callee, b=Plain(ModelFailed("no")), b_fallback=Plain(Unavailable("nor this")),
    )  # fmt: skip
    with pytest.raises(Unavailable, match="step 'b': its fallback failed too: nor this"):
        ask(subject, x=ONE)


def test_nothing_stands_in_for_what_is_the_clients_fault(tmp_path):
    subject = build(
        tmp_path, first=VALUES, a=Plain(InvalidInput("too odd")), b=Plain(plus(1))
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="step 'a': too odd"):
        ask(subject, x=ONE)


def test_nothing_stands_in_once_the_request_is_late(tmp_path):
    subject = build(tmp_path, VALUES, b=Plain(plus(1), 9))
    with pytest.raises(DeadlineExceeded):
        ask(subject, x=ONE, _deadline=time.monotonic() + 0.05)


# -- conditions -----------------------------------------------------------------------------------

SWITCH = """
    inputs: [x, n]
    steps:
      big: {python: "s:f", inputs: {x: x}, when: n > 5}
      small: {python: "s:f", inputs: {x: x}, when: n <= 2}
      after: {python: "s:f", inputs: {x: big.y}}
    outputs:
      y: {from: [after.y, small.y], default: [0, 0]}
"""


@pytest.mark.parametrize(
    ("n", "expected", "skipped"),
    [(9, [1002, 1003], ["small"]), (1, [11, 12], ["big", "after"]), (4, [0, 0], ["big", "small", "after"])],
    ids=["one branch", "the other", "neither"],
)  # fmt: skip
def test_a_step_whose_condition_is_false_is_skipped_and_so_is_what_it_feeds(
    tmp_path, n, expected, skipped
):
    text = SWITCH.replace("inputs: [x, n]", "inputs: {x: {}, n: {dtype: int64, shape: []}}")
    servables = {"big": Plain(plus(1)), "small": Plain(plus(10)), "after": Plain(plus(1000))}
    callees = dict.fromkeys(servables, function(*ROW))
    response = ask(pipeline(tmp_path, text, callees, servables), x=ONE, n=np.array([n]))

    assert response.outputs["y"].tolist() == [expected]
    assert sorted(s.name for s in response.timings.steps if s.skipped) == sorted(skipped)
    for name in skipped:
        assert not servables[name].asked


def test_a_condition_that_cannot_be_tested_names_the_step(tmp_path):
    text = """
        inputs: [x]
        steps:
          a: {python: "s:f", inputs: {x: x}}
          b: {python: "s:f", inputs: {x: x}, when: a.all > 3}
        outputs: {y: {from: b.y, default: [0, 0]}}
    """
    servables = {"a": Plain(lambda _: {"all": np.ones(2, np.float32)}), "b": Plain(plus(1))}
    callees = {"a": function("x: float32 2", "all: float32 -1"), "b": function(*ROW)}
    with pytest.raises(InferdError, match="step 'b': the condition"):
        ask(pipeline(tmp_path, text, callees, servables), x=ONE)
