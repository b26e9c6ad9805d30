"""Whose the stages of a pipeline's steps are."""

from tests.control.pipeline.test_parts import ONE, STANDING, TWO, table, written

from inferd.core.message import StepTiming, Timings
from inferd.server.parts import by_model, calls_of


def step(name, run, **more):
    return StepTiming(name, 0.0, 1.0, Timings(run=run), **more)


def test_every_model_is_found_under_the_name_its_step_is_told_by(tmp_path):
    found = {name: call.model for name, call in calls_of(written(tmp_path, STANDING)).items()}
    assert found == {"a": "one", "a!fallback": "two"}


def test_answers_are_those_of_the_models_and_of_no_step_that_is_none_or_failed(tmp_path):
    finished = [
        Timings(steps=(step("a", 1.0), step("f", 9.0))),
        Timings(steps=(StepTiming("a", 0.0, 1.0, None, "model_failed"), step("a!fallback", 2.0))),
        Timings(steps=(StepTiming("a", 0.0, 0.0, skipped=True),)),
        Timings(steps=(step("a", 3.0),)),
    ]
    spec = written(tmp_path, STANDING)
    found = by_model(spec, finished, table(ONE, TWO).find)
    runs = {row: [t.run for t in timings] for row, timings in found.items()}
    assert runs == {("one", "1"): [1.0, 3.0], ("two", "3"): [2.0]}
    assert list(by_model(spec, finished, table(TWO).find)) == [("two", "3")]  # the other is gone
