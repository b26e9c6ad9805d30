"""``inferd pipeline show``: the graph of a pipeline, and where its time goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inferd.cli.body import JSON, read_body, read_stdin
from inferd.cli.main import DONE, debug_option
from inferd.cli.options import read_settings, settings_options
from inferd.cli.progress import Progress
from inferd.config.units import duration
from inferd.core.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from inferd.cli.body import Body
    from inferd.core.tensor import Tensors
    from inferd.embed import LoadedModel
    from inferd.routing.pipeline.spec import PipelineSpec
    from inferd.routing.pipeline.times import StepTime

GROUP = """Look at pipelines.

\b
Examples:
  inferd pipeline show app/
"""

HELP = """Show the graph of a pipeline: what feeds each step, and which run together.

PATH is a pipeline.yaml, its directory, or a repository that holds one. Nothing is loaded: what the
file says is checked and shown. With --runs the pipeline is loaded with its models and
asked so many times; then the types of all values are shown too, and the time spent in each
step and its share of the critical path.

With --url a running server is asked, and PATH is the name of its pipeline: the times are those
that the server tells. Without --data it is asked with a made-up example.

\b
Examples:
  inferd pipeline show app/
  inferd pipeline show app/pipeline.yaml --format mermaid
  inferd pipeline show app/ --runs 100 --data @page.png
  inferd pipeline show app --url http://127.0.0.1:8000 --runs 100 --data @page.png
"""


@click.group("pipeline", help=GROUP)
def command() -> None:
    """Hold the commands about pipelines."""


@command.command("show", help=HELP)
@click.argument("path", metavar="PATH")
@click.option("--model", help="Which pipeline, where there are several.")
@click.option("--format", "form", type=click.Choice(["text", "mermaid", "json"]), default="text",
              show_default=True, help="How it is shown.")  # fmt: skip
@click.option("--runs", type=click.IntRange(1, 100_000), metavar="N",
              help="Load it, ask it N times and show the time of each step.")  # fmt: skip
@click.option("--data", metavar="DATA|@FILE",
              help="What to ask with, as for predict.  [default: its own samples]")  # fmt: skip
@click.option("--timeout", default="60s", show_default=True, help="Longest time of one run.")
@click.option(
    "--url", metavar="URL", help="Ask a running server; PATH is the name of its pipeline."
)
@click.option("--ca", metavar="FILE", help="Certificates to trust for https (PEM).")
@settings_options("workers.trust_pickle")
@debug_option
def show_command(
    path: str,
    model: str | None,
    form: str,
    runs: int | None,
    data: str | None,
    timeout: str,
    url: str | None,
    ca: str | None,
    **given: Any,
) -> int:
    """Show the pipeline at ``path``."""
    from inferd.codecs.json import dumps
    from inferd.routing.pipeline import show
    from inferd.routing.pipeline.definition.file import read_pipeline
    from inferd.routing.pipeline.times import table

    try:
        seconds = duration(timeout)
    except ValueError as error:
        raise click.UsageError(f"--timeout: {error}") from None
    if runs is None and data is not None:
        raise click.UsageError("--data is for runs\nhelp: say how many with --runs")
    if runs is not None and form == "mermaid":
        raise click.UsageError("a Mermaid graph shows no times\nhelp: use --format text or json")
    if url is not None:
        return _show_served(url, path, model, form, runs, data, seconds, ca)
    spec = read_pipeline(_find(Path(path), model))
    if form == "mermaid":
        click.echo(show.mermaid(spec), nl=False)
        return DONE
    described: Mapping[str, Any] = show.to_json(spec)
    times: list[StepTime] = []
    if runs is not None:
        trusted = read_settings(given).workers.trust_pickle
        described, times = _measured(path, spec, runs, data, seconds, trusted)
    if form == "json":
        rows = {"times": [t.to_json() for t in times]} if times else {}
        click.echo(dumps({**described, **rows}))
        return DONE
    click.echo(show.text(described) + (f"\n{table(times)}" if times else ""), nl=False)
    return DONE


def _show_served(
    url: str, name: str, model: str | None, form: str, runs: int | None, data: str | None,
    seconds: float, ca: str | None,
) -> int:  # fmt: skip
    """Show the time of each step as a running server tells it."""
    if runs is None:
        raise click.UsageError("--url shows times alone\nhelp: say how many requests with --runs")
    if model is not None:
        raise click.UsageError("--model is for a path\nhelp: name the pipeline in place of PATH")
    from inferd.cli import steptimes
    from inferd.codecs.json import dumps

    body = None if data is None else _body(data)
    with Progress(f"asking {name}"):
        found = steptimes.rows(steptimes.ask(url, name, runs, body, seconds, ca))
    if form == "json":
        click.echo(dumps({"times": [row.to_json() for row in found]}))
    else:
        click.echo(steptimes.table(found), nl=False)
    return DONE


def _find(path: Path, model: str | None) -> Path:
    """Return the file that is meant; raises ``NotFound``, ``InvalidInput`` where there are several."""
    from inferd.routing.pipeline.definition.file import FILE, find_pipeline, own_name

    found = find_pipeline(path)
    if found is not None and model in (None, own_name(found)):
        return found
    folders = sorted(p for p in path.iterdir() if p.is_dir()) if path.is_dir() else []
    inner = {own_name(file): file for file in map(find_pipeline, folders) if file is not None}
    if model in inner:
        return inner[model]
    if model is None and len(inner) == 1:
        return next(iter(inner.values()))
    if model is None and inner:
        names = ", ".join(inner)
        raise InvalidInput(f"{path} holds several pipelines", help=f"--model with one of: {names}")
    what = f"no pipeline {model!r}" if model is not None else f"no {FILE}"
    raise NotFound(f"{path}: there is {what}", help=f"name a {FILE}, or the directory it lies in")


def _measured(
    path: str, spec: PipelineSpec, runs: int, data: str | None, seconds: float, trusted: Any
) -> tuple[Mapping[str, Any], list[StepTime]]:
    """Load the pipeline and ask it; returns it with its types, and the times of its steps."""
    from inferd.core.clock import monotonic
    from inferd.core.message import Request, StepTiming
    from inferd.embed import load
    from inferd.routing.pipeline.definition.file import own_name
    from inferd.routing.pipeline.times import step_times

    name = own_name(spec.file)
    with Progress(f"loading {path}"):
        loaded = load(path, executor="worker", model=name, trust_pickle=trusted)
    with loaded:
        rows = _rows(loaded, spec, data)
        found: list[tuple[StepTiming, ...]] = []
        with Progress(f"asking {name}"):
            for run in range(runs + 1):
                request = Request(name, rows[run % len(rows)], deadline=monotonic() + seconds)
                timings = loaded.ask(request).timings
                if run:  # the first is a warm-up
                    found.append(timings.steps)
        return loaded.describe()["pipeline"], step_times(spec, found)


def _rows(loaded: LoadedModel, spec: PipelineSpec, data: str | None) -> list[Tensors]:
    """Return what to ask with: what is given, row by row, or else the pipeline's samples."""
    from inferd.codecs.registry import SIMPLE, decoder
    from inferd.core.plan import BatchPlan
    from inferd.execution.golden import golden_samples

    plan = BatchPlan(split=True)
    if data is None:
        samples = _samples(spec)
        if samples is None:
            raise InvalidInput(
                f"{spec.file}: there is no sample to ask with",
                help="give --data, or name a file of samples with `warmup:` in a model.yaml beside it",
            )
        return golden_samples(loaded.signature, plan, samples)
    body = _body(data)
    name = SIMPLE if body.media == JSON else body.media
    decoded = decoder(name, loaded.signature, plan).decode(body.data)
    return decoded.rows if decoded.rows is not None else [decoded.inputs or {}]


def _body(data: str) -> Body:
    """Return what ``--data`` gives: a value, or a file after ``@``."""
    file = Path(data[1:]) if data.startswith("@") else None
    return read_body(None if file is not None else data, file, None, read_stdin)


def _samples(spec: PipelineSpec) -> Path | None:
    """Return the file of samples that the pipeline's ``model.yaml`` names."""
    from inferd.repository.modelfile import NAME, read_modelfile

    directory = spec.file.absolute().parent
    for place in (directory, directory.parent) if directory.name.isdecimal() else (directory,):
        if (place / NAME).is_file():
            warmup = read_modelfile(place / NAME).get("warmup")
            beside = [folder / str(warmup) for folder in (directory, place)] if warmup else []
            return next((file for file in beside if file.is_file()), None)
    return None
