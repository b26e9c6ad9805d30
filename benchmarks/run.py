"""``python -m benchmarks.run``: measure everything, interleaved, and print what holds.

Exit status 0 when every bar that was measured holds and no answer of inferd was wrong, else 1.
``--only T64 ragged`` picks scenarios, ``--peers mosec`` picks peers (``--peers none`` leaves them
out), ``--quick`` is two short rounds to see that everything runs; its figures mean little.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks import callers, limit, measure, models, report, sides
from benchmarks.measure import Generator, Measure, Pace
from benchmarks.peers import venvs
from benchmarks.process import Failed
from benchmarks.report import Outcome
from benchmarks.scenarios import LIMIT, SCENARIOS, Scenario


def say(text: str) -> None:
    """Print one line at once."""
    print(text, flush=True)


def measurements(
    outcome: Outcome, chosen: Sequence[str], pace: Pace, stack: ExitStack
) -> dict[str, Measure]:
    """Return what to measure in each round, by side; sides that cannot run go to ``absent``."""
    scenario = outcome.scenario
    if scenario.kind in ("start", "memory"):
        one = measure.start if scenario.kind == "start" else measure.memory
        return {side.name: one(side, scenario.model) for side in scenario.sides}
    if scenario.kind in ("together", "beside"):
        return {side.name: measure.generations(scenario.kind, pace) for side in scenario.sides}
    if scenario.kind == "turns":
        return {side.name: measure.turns(pace) for side in scenario.sides}
    if scenario.kind == "client":
        return _callers(outcome, pace)
    generator = stack.enter_context(Generator(scenario.sent, scenario.kind))
    found: dict[str, Measure] = {}
    if scenario.limit:
        setting, rate = limit.best(scenario.model, scenario.connections)
        outcome.notes[LIMIT] = str(setting)
        say(f"{scenario.name}: {LIMIT}: {setting}: {rate:,.0f}/s")
        found[LIMIT] = measure.in_process(scenario, setting, pace)
    rate = 0.0
    if scenario.kind == "ragged":
        # A batch padded to 128 tokens takes a while: a queue of them must fill before counting.
        pace = Pace(max(pace.seconds, 5.0), max(pace.warm, 2.0))
        rate = measure.saturation(sides.FIRST_COME, scenario, generator, pace)
        outcome.notes["offered"] = f"{rate:,.0f} requests/s on {scenario.connections} connections"
    for side in scenario.sides:
        if side.peer is not None and side.peer not in chosen:
            continue
        reason = venvs.ensure(side.peer)[1] if side.peer is not None else side.missing()
        if reason:
            outcome.absent[side.name] = f"skipped: {reason}"
            say(f"{scenario.name}: {side.name}: skipped: {reason}")
        else:
            found[side.name] = measure.load(side, scenario, generator, pace, rate)
    return found


def _callers(outcome: Outcome, pace: Pace) -> dict[str, Measure]:
    found: dict[str, Measure] = {}
    for side in outcome.scenario.sides:
        reason = callers.missing(side.client)
        if reason:
            outcome.absent[side.name] = f"skipped: {reason}"
        else:
            found[side.name] = measure.client(side, outcome.scenario, pace)
    return found


def run(scenario: Scenario, rounds: int, chosen: Sequence[str], pace: Pace) -> Outcome:
    """Run one scenario: all its sides in turn, ``rounds`` times."""
    outcome = Outcome(scenario)
    say(f"\n{scenario.name}: {scenario.title}")
    with ExitStack() as stack:
        todo = measurements(outcome, chosen, pace, stack)
        for number in range(1, rounds + 1):
            for name, once in list(todo.items()):
                try:
                    row = once()
                except Failed as error:
                    outcome.absent[name] = f"failed: {error}"
                    outcome.rounds.pop(name, None)
                    del todo[name]
                    say(f"{scenario.name} {number}/{rounds}  {name}: failed: {error}")
                    continue
                outcome.rounds.setdefault(name, []).append(row)
                shown = f"{row[scenario.metric]:,.3f}".rstrip("0").rstrip(".")
                say(f"{scenario.name} {number}/{rounds}  {name:42} {scenario.metric} {shown}")
    return outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    rounds, seconds = (2, 1.0) if options.quick else (options.rounds, options.seconds)
    pace = Pace(seconds, min(1.0, seconds))
    chosen = [] if options.peers == ["none"] else options.peers
    shutil.rmtree(sides.STATE, ignore_errors=True)
    for letter in models.LETTERS:
        models.path(letter)
    outcomes: list[Outcome] = []
    try:
        for scenario in SCENARIOS:
            if not options.only or scenario.name in options.only:
                outcomes.append(run(scenario, rounds, chosen, pace))
    except KeyboardInterrupt:
        say("interrupted; reporting what there is")
    say("")
    figures = report.verdicts(outcomes)
    for bar, figure in figures:
        say(report.bar_line(bar, figure))
    wrong = [line for outcome in outcomes for line in report.faults(outcome)]
    say("\n".join(wrong) or "every answer of every side was right")
    if not options.no_write:
        report.write(outcomes, rounds, seconds)
        say("written: benchmarks/results.md, benchmarks/results.json")
    failed = any(figure is None or not bar.holds(figure) for bar, figure in figures)
    return int(failed or any(": inferd" in line for line in wrong))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure inferd beside its limits and its peers.")
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--only", nargs="+", choices=names, help="run these scenarios alone")
    parser.add_argument(
        "--peers", nargs="+", choices=[*venvs.REQUIREMENTS, "none"],
        default=list(venvs.REQUIREMENTS), help="run these peers alone",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each scenario (5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="seconds of each round (3)")
    parser.add_argument("--quick", action="store_true", help="two rounds of a second")
    parser.add_argument("--no-write", action="store_true", help="leave results.* alone")
    return parser


if __name__ == "__main__":
    sys.exit(main())
