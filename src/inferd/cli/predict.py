"""``inferd predict``: one question to a model file or to a running server, the answer as JSON."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inferd.cli import remote
from inferd.cli.body import JSON, Body, read_body, read_stdin
from inferd.cli.main import debug_option
from inferd.cli.options import read_settings, settings_options
from inferd.cli.progress import Progress
from inferd.config.units import duration
from inferd.core.errors import InvalidInput

if TYPE_CHECKING:
    from inferd.embed import LoadedModel

HELP = """Ask a model file or a running server once.

TARGET is a path as `inferd serve` takes it (the model is loaded, asked and
unloaded) or the address of a server. DATA is JSON (one example, a batch, or
{"input": value}), a row of numbers, a text, the name of a json, csv, txt, npy,
image (png, jpeg, webp, gif, bmp) or sound file (wav, flac, ogg), or - for
standard input.

\b
Examples:
  inferd predict iris.onnx 5.1,3.5,1.4,0.2
  inferd predict iris.onnx '[[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]'
  inferd predict digits/ --file seven.png
  inferd predict http://127.0.0.1:8000 --model iris --file flowers.csv
  echo '{"data": [0.1, 0.2, 0.3]}' | inferd predict net.pt -

Prints {"result": ...}; with --stream the pieces of a generating model's answer
as they come: texts as they are, anything else one JSON value a line. Exit code 0: answered, 1: the model or the server
refused or failed, 2: the call is wrong.
"""


@click.command("predict", help=HELP)
@click.argument("target", metavar="TARGET")
@click.argument("data", required=False, metavar="[DATA]")
@click.option("--file", type=click.Path(path_type=Path), help="Read the data from a file.")
@click.option("--type", "media", metavar="TYPE", help="Content type of the data, e.g. text/csv.")
@click.option("--model", help="Which model, where there are several.")
@click.option("--version", "version", help="Which version  [default: the latest]")
@click.option("--timeout", default="60s", show_default=True, help="How long to wait.")
@click.option("--ca", metavar="FILE", help="Certificates to trust for https (PEM).")
@click.option("--stream", is_flag=True, help="Print the answer piece by piece as it comes.")
@click.option(
    "--executor", type=click.Choice(["worker", "inline"]), default="worker", show_default=True,
    help="Where a file is loaded: in a process of its own, or in this one.",
)  # fmt: skip
@settings_options("workers.trust_pickle")
@debug_option
def command(
    target: str,
    data: str | None,
    file: Path | None,
    media: str | None,
    model: str | None,
    version: str | None,
    timeout: str,
    ca: str | None,
    stream: bool,
    executor: str,
    **given: Any,
) -> int:
    """Ask ``target`` once and print the answer."""
    try:
        seconds = duration(timeout)
    except ValueError as error:
        raise click.UsageError(f"--timeout: {error}") from None
    body = read_body(data, file, media, read_stdin)
    if remote.is_url(target):
        url = remote.predict_url(target, model, version)
        if stream:
            _print_pieces(_results(remote.post_for_pieces(url, body, seconds, ca)))
            return 0
        text = remote.post(url, body, seconds, ca)
    else:
        trusted = read_settings(given).workers.trust_pickle
        with _loaded(target, executor, model, version, trusted) as found:
            if stream:
                _print_pieces(_pieces_of_file(found, body, seconds))
                return 0
            text = found.answer(body.media, body.data, timeout=seconds)
    click.echo(text.rstrip(b"\n"))
    return 0


def _results(pieces: Iterable[bytes]) -> Iterator[Any]:
    """Yield what a server's pieces hold; raises the error that ends an answer early."""
    from inferd.client.errors import error_in
    from inferd.codecs import json

    for data in pieces:
        value = json.loads(data)
        if "error" in value:
            raise error_in(value)
        yield value["result"]


def _pieces_of_file(loaded: LoadedModel, body: Body, timeout: float) -> Iterator[Any]:
    if body.media != JSON:
        raise InvalidInput(f"--stream takes JSON or a text, not {body.media}")
    from inferd.codecs import json

    asked = json.loads(body.data)
    return loaded.stream(asked["data"], timeout=timeout, parameters=asked.get("parameters"))


def _print_pieces(results: Iterable[Any]) -> None:
    """Print each piece at once: a text as it is, anything else as a line of JSON."""
    from inferd.codecs import json

    text = False
    for result in results:
        text = isinstance(result, str)
        click.echo(result if text else json.dumps(result), nl=not text)
    if text:
        click.echo()


def _loaded(
    path: str, executor: str, model: str | None, version: str | None, trusted: Collection[str]
) -> LoadedModel:
    from inferd.embed import load

    with Progress(f"loading {path}"):
        return load(path, executor=executor, model=model, version=version, trust_pickle=trusted)
