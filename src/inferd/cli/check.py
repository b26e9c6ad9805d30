"""``inferd check``: load a model apart from everything, measure it, and say what is wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import click

from inferd.cli.main import DONE, FAILED, debug_option
from inferd.cli.options import read_settings, settings_options
from inferd.cli.progress import Progress
from inferd.config.units import format_bytes

HELP = """Load a model, measure it and say what is wrong with it.

The model is loaded in a throw-away process, answers its golden request, is
measured at several batch sizes and unloaded. Shows its signature, what a batch
costs, its memory, and every problem found.

\b
Examples:
  inferd check iris.onnx
  inferd check models/ --json | jq .ok
  inferd check net.pt --threads 2

Exit code 0: it would serve; 1: it would not.
"""

KEYS = (
    "workers.slots", "workers.threads", "workers.trust_pickle", "batching.max_size",
    "server.state_dir",
)  # fmt: skip


@click.command("check", help=HELP)
@click.argument("path", metavar="PATH")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@settings_options(*KEYS)
@debug_option
def command(path: str, as_json: bool, **given: Any) -> int:
    """Check the model at ``path``."""
    from inferd.control.check import run_check

    settings = read_settings(given)
    with Progress(f"checking {path}"):
        report = asyncio.run(run_check(path, settings))
    found = report.to_json()
    if as_json:
        from inferd.codecs.json import dumps

        click.echo(dumps(found))
    else:
        click.echo("\n".join(render(found)))
    return DONE if found["ok"] else FAILED


def render(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a report: one block for each model, then the verdict."""
    models = report.get("models", ())
    for model in models:
        yield from _model(model)
        yield ""
    problems = sum(len(model.get("problems", ())) for model in models)
    if report["ok"]:
        yield f"ok: would serve{_remarks(problems)}"
    else:
        yield "not ok: would not serve"


def _model(model: Mapping[str, Any]) -> Iterator[str]:
    runtime = model.get("platform") or model.get("runtime") or "unknown runtime"
    yield f"{model['model']}  version {model['version']}  ({runtime})"
    if model.get("signature"):
        from inferd.cli.banner import inputs_line
        from inferd.core.signature import Signature

        yield f"  signature  {inputs_line(Signature.from_json(model['signature']))}"
    if model.get("steps"):
        yield f"  steps      {', '.join(model['steps'])}"
    if model.get("load_seconds") is not None:
        yield f"  loaded in  {model['load_seconds']:.2f} s"
    yield from _costs(model.get("costs") or ())
    memory = model.get("memory") or {}
    if memory:
        text = ", ".join(f"{kind} {_size(value)}" for kind, value in memory.items() if value)
        yield f"  memory     {text}"
    for problem in model.get("problems", ()):
        yield f"  {problem.get('level', 'problem')}: {problem['message']}"
        if problem.get("help"):
            yield f"    help: {problem['help']}"


def _costs(costs: Any) -> Iterator[str]:
    """Yield the cost curve: pairs of batch size and seconds of one run."""
    for i, (size, seconds) in enumerate(costs):
        head = "  batch of   " if i == 0 else "             "
        yield f"{head}{size:<5} {seconds * 1e3:9.3f} ms  {size / seconds:12,.0f} examples/s"


def _size(value: int) -> str:
    rounded = round(value / (1 << 20))
    return format_bytes(rounded << 20) if rounded else format_bytes(value)


def _remarks(count: int) -> str:
    return f", with {count} remark{'s' if count > 1 else ''}" if count else ""
