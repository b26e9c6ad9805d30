import pytest
from tests.routing.pipeline.written import read

from inferd.core.message import StepTiming
from inferd.routing.pipeline.times import step_times, table

DIAMOND = """
    inputs: [x]
    steps:
      a: {model: m, inputs: {x: x}}
      slow: {model: m, inputs: {x: a.y}}
      quick: {model: m, inputs: {x: a.y}}
      last: {model: m, inputs: {x: slow.y, z: quick.y}}
      maybe: {model: m, inputs: {x: x}, when: x > 0}
    outputs: {y: last.y}
"""


@pytest.fixture
def spec(tmp_path):
    return read(tmp_path, DIAMOND)


def run(scale=1.0):
    rows = [("a", 0, 1), ("quick", 1, 2), ("slow", 1, 7), ("last", 7, 9)]
    steps = [StepTiming(name, start * scale, end * scale) for name, start, end in rows]
    return (StepTiming("maybe", 0, 0, skipped=True), *steps)


def test_only_the_critical_path_has_a_share(spec):
    times = {t.name: t for t in step_times(spec, [run()])}

    assert list(times) == ["a", "slow", "quick", "last", "maybe"]
    assert times["slow"].share == pytest.approx(6 / 9)
    assert times["a"].share == pytest.approx(1 / 9)
    assert times["quick"].share == 0
    assert sum(t.share for t in times.values()) == pytest.approx(1)


def test_median_and_p95_over_several_runs(spec):
    times = {t.name: t for t in step_times(spec, [run(i / 100) for i in range(1, 101)])}

    assert times["slow"].ran == 100
    assert times["slow"].median == pytest.approx(6 * 0.505)
    assert times["slow"].p95 == pytest.approx(6 * 0.95)
    assert times["maybe"].skipped == 100
    assert times["maybe"].ran == 0


def test_failures_are_counted_and_steps_may_be_missing(spec):
    failed = (StepTiming("a", 0, 1), StepTiming("slow", 1, 2, error="model_failed"))
    times = {t.name: t for t in step_times(spec, [failed, ()])}

    assert times["slow"].failed == 1
    assert times["last"].ran == 0
    assert step_times(spec, [])[0].share == 0.0


def test_the_table_and_the_json_form(spec):
    times = step_times(spec, [run(0.001)])
    lines = table(times).splitlines()

    assert lines[0].split() == [
        "step", "runs", "skipped", "failed", "median", "p95", "critical", "path",
    ]  # fmt: skip
    assert lines[2].split() == ["slow", "1", "0", "0", "6.000", "ms", "6.000", "ms", "66.7%"]
    assert times[1].to_json() == {
        "name": "slow", "ran": 1, "skipped": 0, "failed": 0, "median_ms": 6.0, "p95_ms": 6.0,
        "share": 0.6667,
    }  # fmt: skip
