"""Which spans are made of a request's timings, and where they lie."""

import pytest

from inferd.core.message import StepTiming, Timings
from inferd.core.trace import Span, Trace, parse
from inferd.telemetry.spans import MOST, expanded

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def of(timings, start=10.0, end=11.0):
    """Return what is made of a span with these timings."""
    kept = []
    span = Span("whole", parse(PARENT).kept_by(kept.append), start, end, within=timings)
    made = expanded(span)
    assert made[0] is span
    assert kept == []
    ids = {s.trace.span_id for s in made}
    assert len(ids) == len(made)
    assert all(s.trace.parent_id in ids for s in made[1:])
    assert all(start <= s.start <= s.end <= end for s in made)
    return made[1:]


def placed(spans):
    return [(s.name, round(s.start, 6), round(s.end, 6)) for s in spans]


def test_stages_follow_one_another_from_the_moment_it_was_queued():
    made = of(Timings(queue=0.1, batch=0.2, run=0.3, began=10.2, batch_size=4))

    assert placed(made) == [("queue", 10.2, 10.3), ("batch", 10.3, 10.5), ("run", 10.5, 10.8)]
    assert [s.attributes for s in made] == [{}, {"inferd.batch.size": 4}, {"inferd.batch.size": 4}]


def test_stages_of_somebody_else_are_not_told_of_here():
    assert of(Timings(queue=0.1, batch=0.2, run=0.3)) == []


def test_those_of_steps_are_not_told_of_twice():
    summed = Timings(run=0.5, began=10.0, steps=(StepTiming("a", 10.0, 10.5),))

    assert [s.name for s in of(summed)] == ["step a"]


def test_a_stage_that_was_not_entered_has_no_span():
    assert placed(of(Timings(run=0.5, began=10.0))) == [("run", 10.0, 10.5)]
    assert of(Timings()) == []
    assert of(None) == []


@pytest.mark.parametrize("began", [10.0, 5.0], ids=["start", "before"])
def test_parts_that_ran_side_by_side_are_drawn_to_scale(began):
    made = of(Timings(batch=1.0, run=3.0, began=began))

    assert placed(made) == [("batch", 10.0, 10.25), ("run", 10.25, 11.0)]


def test_a_beginning_after_the_end_leaves_no_stage():
    assert of(Timings(batch=1.0, run=3.0, began=20.0)) == []


def test_steps_are_spans_with_their_own_stages():
    own = Trace("0af7651916cd43dd8448eb211c80319c", "c" * 16, parent_id="b" * 16)
    steps = (
        StepTiming("detect", 10.1, 10.4, Timings(run=0.2, began=10.15, batch_size=1)),
        StepTiming("maybe", 10.4, 10.4, skipped=True),
        StepTiming("read", 10.4, 10.6, error="model_failed"),
    )
    detect, ran, maybe, read = of(Timings(steps=steps))

    assert placed([detect, ran, maybe, read]) == [
        ("step detect", 10.1, 10.4), ("run", 10.15, 10.35), ("step maybe", 10.4, 10.4),
        ("step read", 10.4, 10.6),
    ]  # fmt: skip
    assert ran.trace.parent_id == detect.trace.span_id
    assert maybe.attributes == {"inferd.step": "maybe", "inferd.step.skipped": True}
    assert (read.error, read.failed) == ("model_failed", True)
    assert (detect.error, detect.failed) == (None, False)
    kept = expanded(Span("whole", own, 10.0, 11.0, within=Timings(steps=(steps[2],))))
    assert kept[1].trace.parent_id == own.span_id


def test_a_step_that_has_a_place_keeps_it():
    place = parse(PARENT).kept_by(print)
    step = StepTiming("far", 10.0, 10.5, trace=place)
    (made,) = expanded(
        Span("whole", parse(PARENT), 10.0, 11.0, within=Timings(steps=(step,)))
    )[1:]  # fmt: skip

    assert made.trace is place


def test_nested_pipelines_are_nested_spans():
    inner = Timings(steps=(StepTiming("inner", 10.2, 10.3),))
    outer, found = of(Timings(steps=(StepTiming("outer", 10.1, 10.4, inner),)))

    assert (found.name, found.trace.parent_id) == ("step inner", outer.trace.span_id)


def test_what_is_made_of_one_request_is_bounded():
    steps = tuple(StepTiming(str(i), 10.0, 10.5, Timings(run=0.1, began=10.1)) for i in range(2000))
    looped = Timings()
    looped.steps = (StepTiming("again", 10.0, 10.5, looped),) * 2

    assert len(of(Timings(steps=steps))) == MOST - 1
    assert len(of(looped)) == MOST - 1
