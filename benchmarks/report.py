"""Results as Markdown and JSON: the bars first, then a table for each scenario, then the method."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine, scenarios
from benchmarks.peers import venvs
from benchmarks.scenarios import BARS, Bar, Scenario

HERE = Path(__file__).parent
FAULTS = ("refused", "broken", "wrong", "repeated")

METHOD = """\
Each scenario runs its sides in turn, again and again (A, B, C, A, B, C, ...), every time in fresh
processes with nothing else running; figures are medians over the rounds, ratios are taken round by
round. The load generator is one process with one epoll on the same machine, the same for all sides:
keep-alive connections, each request's body different from all others of its round, every answer
decoded after the clock has stopped and compared with what ONNX Runtime gives for that very input
(tolerance 2e-4). `inferd` runs with its defaults: isolated worker, batching, deadlines, metrics, gRPC.

- **raw ceiling**: uvloop, httptools, orjson and the model called inline, one process, no features.
- **in-process limit**: ONNX Runtime called in a loop, no server; the best of all splits of the cores
  into threads and processes and of all batches the connections could fill.
- **peers** get the same fast pieces (orjson, ONNX Runtime, threads to fit the cores) and are shown
  with several settings each; the best one counts.
- **B**: the raw ceiling gathers the pieces of a body and joins them, as the one of T does; one that
  reads bodies in place, and copies nothing, is shown beside.
- **J, N**: FastAPI reads JSON in its own two ways, `request.json()` and pydantic; with orjson instead
  it is shown beside and not counted.
- **G32, S32**: eight calls, or streams, at once on each of four connections. The load generator
  speaks HTTP/2 itself. Two servers of gRPC on one port are shown beside and not counted.
- **client**: calls one after the other over one connection, arrays in and arrays out; the raw
  connection sends bytes made beforehand and reads the answer to its end.
- **ragged**: lengths are log-normal (median 20, sigma 0.8, 4 to 128 tokens). Requests arrive as a
  Poisson process at 3 times the rate at which *first-come, padded to longest* (batches of up to 32 in
  order of arrival) saturates; tokens/s counts real tokens answered.
- **P**: a pipeline of five models like T beside the same five asked in turn, in one process, each model in
  its worker; the difference by step. **P1**: the same over HTTP, one step and five.
- **R32**: M between two models that change nothing, as three services and a fourth server that asks them. The
  slowest has a core to itself, as it would have a host, with and without the pipeline; all others share a core
  with the load generator.
- **X64, X1**: NGINX with the file that `inferd compose` writes, access log included, before one server.
- **start**: from spawning the command to the first 200, with no state kept from earlier runs.
- **memory**: sum of the proportional set sizes of all processes, 3 s after one answer.
"""


@dataclass(slots=True)
class Outcome:
    """One scenario's rounds, and why sides are missing."""

    scenario: Scenario
    rounds: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    date: str = field(default_factory=lambda: datetime.now(UTC).date().isoformat())


def verdicts(outcomes: Sequence[Outcome]) -> list[tuple[Bar, float | None]]:
    """Return each bar of the scenarios that ran, with its figure (``None``: not measured)."""
    by_name = {o.scenario.name: o for o in outcomes}
    return [(b, b.figure(by_name[b.scenario].rounds)) for b in BARS if b.scenario in by_name]


def bar_line(bar: Bar, figure: float | None) -> str:
    """Return ``T64: 0.82 of the raw ceiling (bar >= 0.65): pass``."""
    sign = ">=" if bar.at_least else "<="
    if bar.bound is None:
        shown = "NOT MEASURED" if figure is None else f"{figure:.3g}"
        return f"{bar.scenario}: {shown} {bar.text} (no bar)"
    if figure is None:
        return f"{bar.scenario}: {bar.text} (bar {sign} {bar.bound:g}): NOT MEASURED"
    verdict = "pass" if bar.holds(figure) else "FAIL"
    return f"{bar.scenario}: {figure:.3g} {bar.text} (bar {sign} {bar.bound:g}): {verdict}"


def faults(outcome: Outcome) -> list[str]:
    """Return a line for every side whose answers were not all right."""
    lines = []
    for side, rows in outcome.rounds.items():
        sums = {f: sum(row.get(f, 0) for row in rows) for f in FAULTS}
        if any(sums.values()):
            shown = ", ".join(f"{n} {f}" for f, n in sums.items() if n)
            total = sum(row.get("answered", 0) for row in rows)
            lines.append(f"{outcome.scenario.name}: {side}: {shown} beside {total} right")
    return lines


def table(outcome: Outcome) -> str:
    """Return the scenario's Markdown table, fastest first."""
    scenario, metric = outcome.scenario, outcome.scenario.metric
    measured = f" (measured {outcome.date})" if outcome.date else ""
    lines = [f"### {scenario.name}: {scenario.title}{measured}", ""]
    columns = [
        "side",
        metric.replace("_", " "),
        "lowest",
        "highest",
        "p50 ms",
        "p99 ms",
        f"{scenario.ours} / it",
    ]
    lines += ["| " + " | ".join(columns) + " |", "| --- |" + " ---: |" * (len(columns) - 1)]
    lower = metric in ("p50_ms", "start_ms", "pss_mb", "step_ms")
    rows = [(n, r) for n, r in outcome.rounds.items() if r]
    rows.sort(key=lambda row: (scenarios.middle(row[1], metric) or 0) * (1 if lower else -1))
    for name, results in rows:
        values = [r[metric] for r in results]
        over = None
        if name != scenario.ours:
            over = scenarios.ratio(outcome.rounds, name, metric, scenario.ours)
        cells = [
            f"**{name}**" if name == scenario.ours else name,
            _number(scenarios.middle(results, metric)), _number(min(values)), _number(max(values)),
            _number(scenarios.middle(results, "p50_ms")),
            _number(scenarios.middle(results, "p99_ms")), _number(over),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    lines += [f"| {name} | {reason} | | | | | |" for name, reason in outcome.absent.items()]
    lines += [""] + [f"{name}: {note}." for name, note in outcome.notes.items()]
    return "\n".join(lines).rstrip() + "\n"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def markdown(outcomes: Sequence[Outcome], rounds: int, seconds: float) -> str:
    """Return the whole report."""
    facts = machine.facts()
    lines = ["# Benchmark results", "", "Written by `make bench`; do not edit.", "", "## Bars", ""]
    lines += [f"- {bar_line(bar, figure)}" for bar, figure in verdicts(outcomes)]
    wrong = [line for outcome in outcomes for line in faults(outcome)]
    lines += [f"- {line}" for line in wrong] or ["- every answer of every side was right"]
    lines += ["", "## Scenarios", ""]
    lines += [table(outcome) for outcome in outcomes]
    lines += [
        "## Method",
        "",
        METHOD,
        f"{rounds} rounds of {seconds:g} s each.",
        "",
        "## Machine",
        "",
    ]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += [f"- peer {name}: {venvs.versions(name)}" for name in venvs.REQUIREMENTS]
    return "\n".join(lines) + "\n"


def earlier(folder: Path) -> dict[str, Outcome]:
    """Return what an earlier run wrote, by scenario; nothing where there is none."""
    try:
        rows = json.loads((folder / "results.json").read_text())["scenarios"]
    except (OSError, ValueError, KeyError):
        return {}
    known = {scenario.name: scenario for scenario in scenarios.SCENARIOS}
    return {
        name: Outcome(
            known[name], row["rounds"], row["absent"], row["notes"], row.get("date", "")
        )
        for name, row in rows.items() if name in known
    }  # fmt: skip


def write(outcomes: Sequence[Outcome], rounds: int, seconds: float, folder: Path = HERE) -> None:
    """Write ``results.md`` and ``results.json``; scenarios that did not run keep what they had."""
    merged = {**earlier(folder), **{outcome.scenario.name: outcome for outcome in outcomes}}
    outcomes = [merged[s.name] for s in scenarios.SCENARIOS if s.name in merged]
    (folder / "results.md").write_text(markdown(outcomes, rounds, seconds))
    rows: Mapping[str, Any] = {
        "machine": machine.facts(),
        "peers": {name: venvs.versions(name) for name in venvs.REQUIREMENTS},
        "rounds": rounds,
        "seconds": seconds,
        "bars": [
            {"scenario": b.scenario, "text": b.text, "bound": b.bound, "figure": figure,
             "holds": None if figure is None else b.holds(figure)}
            for b, figure in verdicts(outcomes)
        ],
        "scenarios": {
            o.scenario.name: {
                "date": o.date, "rounds": o.rounds, "absent": o.absent, "notes": o.notes,
            }
            for o in outcomes
        },
    }  # fmt: skip
    (folder / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
