"""The bars: medians of ratios taken within a round, and the best variant of a family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.scenarios import BARS, SCENARIOS

from benchmarks import report, scenarios, sides


def _rates(*values: float) -> list[dict[str, Any]]:
    return [{"rate": value} for value in values]


def test_ratios_are_taken_round_by_round() -> None:
    rounds = {"inferd": _rates(50, 80, 10), "raw ceiling": _rates(100, 100, 20)}

    assert scenarios.ratio(rounds, "raw ceiling") == 0.5


def test_a_missing_side_has_no_ratio() -> None:
    assert scenarios.ratio({"inferd": _rates(1)}, "raw ceiling") is None


def test_the_best_variant_of_a_family_counts() -> None:
    first, second = [side.name for side in sides.PEERS if side.family == "mosec"][:2]
    flask = next(side.name for side in sides.PEERS if side.family == "flask")
    rounds = {first: _rates(5, 6), second: _rates(9, 1), flask: _rates(50)}

    assert scenarios.best(rounds, "mosec") == first
    assert scenarios.best(rounds) == flask


def test_every_bar_belongs_to_a_scenario() -> None:
    assert {bar.scenario for bar in BARS} == {scenario.name for scenario in SCENARIOS}


def test_what_is_shown_beside_counts_for_no_family() -> None:
    counted, beside = (
        next(s.name for s in sides.FASTAPI_JSON if s.family == family)
        for family in ("fastapi", "fastapi with orjson")
    )
    bar = next(bar for bar in BARS if bar.scenario == "J")

    assert bar.figure({"inferd": _rates(200), counted: _rates(80), beside: _rates(150)}) == 2.5


def test_a_figure_without_a_bar_is_reported_and_never_fails() -> None:
    bar = next(bar for bar in BARS if bar.scenario == "client")
    rounds = {"inferd.Client": [{"p50_ms": 0.75}], "raw connection": [{"p50_ms": 0.25}]}
    figure = bar.figure(rounds)

    assert figure == 0.5
    assert bar.holds(figure)
    assert report.bar_line(bar, figure).endswith("0.5 ms behind a raw connection (p50) (no bar)")


def test_every_name_stands_once_in_a_scenario() -> None:
    for scenario in SCENARIOS:
        names = [side.name for side in scenario.sides]
        assert len(set(names)) == len(names)
        assert scenario.kind in ("start", "memory") or scenario.ours in names


def test_a_report_names_what_fails_and_what_is_missing() -> None:
    scenario = next(s for s in SCENARIOS if s.name == "T64")
    outcome = report.Outcome(scenario)
    outcome.rounds = {
        "inferd": [{"rate": 40.0, "wrong": 1, "answered": 9}],
        "raw ceiling": [{"rate": 100.0}],
    }
    outcome.absent = {"mosec (1 worker, no batching)": "skipped: no network"}

    text = report.markdown([outcome], 1, 1.0)

    assert "T64: 0.4 of the raw ceiling (bar >= 0.65): FAIL" in text
    assert "times mosec's best (bar >= 1.5): NOT MEASURED" in text
    assert "T64: inferd: 1 wrong beside 9 right" in text
    assert "skipped: no network" in text


def test_scenarios_that_did_not_run_keep_what_they_had(tmp_path: Path) -> None:
    first, second = SCENARIOS[0], SCENARIOS[1]
    row = {"rate": 2.0, "p50_ms": 3.0, "p99_ms": 4.0}
    report.write([report.Outcome(first, {"inferd": [row]}, date="2026-01-02")], 1, 1.0, tmp_path)
    report.write([report.Outcome(second, {"inferd": [row]}, date="2026-03-04")], 1, 1.0, tmp_path)

    assert list(report.earlier(tmp_path)) == [first.name, second.name]
    text = (tmp_path / "results.md").read_text()
    assert f"{first.title} (measured 2026-01-02)" in text
    assert f"{second.title} (measured 2026-03-04)" in text
