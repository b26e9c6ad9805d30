"""``inferd describe``: what a model takes and gives, without serving it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from inferd.cli import remote
from inferd.cli.main import debug_option
from inferd.cli.options import read_settings, settings_options
from inferd.cli.progress import Progress
from inferd.core.errors import ModelFileError, NotFound

if TYPE_CHECKING:
    from inferd.client.models import ModelMetadata

_DECIDED = {
    "batch_limit": "largest batch",
    "slots": "batches at once in one worker",
    "instances": "workers",
}

HELP = """Show what a model takes and gives.

TARGET is a path as `inferd serve` takes it, or the address of a server.

\b
Examples:
  inferd describe iris.onnx
  inferd describe models/ --json
  inferd describe http://127.0.0.1:8000 --model iris
"""


@click.command("describe", help=HELP)
@click.argument("target", metavar="TARGET")
@click.option("--model", help="Which model, where there are several.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("--ca", metavar="FILE", help="Certificates to trust for https (PEM).")
@settings_options("workers.trust_pickle")
@debug_option
def command(target: str, model: str | None, as_json: bool, ca: str | None, **given: Any) -> int:
    """Describe the models at ``target``."""
    from inferd.codecs.json import dumps

    if remote.is_url(target):
        models = _from_server(target.rstrip("/"), model, ca)
    else:
        models = _from_path(target, model, given)
    if as_json:
        click.echo(dumps({"models": models}))
        return 0
    for index, found in enumerate(models):
        click.echo(("\n" if index else "") + "\n".join(render(found)))
    return 0


def _from_path(path: str, model: str | None, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    from inferd.control.check import run_check

    settings = read_settings(given)
    with Progress(f"loading {path}"):
        report = asyncio.run(run_check(path, settings)).to_json()
    found = [dict(row) for row in report["models"] if model in (None, row["model"])]
    if not found:
        raise NotFound(f"{path} holds no model named {model!r}")
    for row in found:
        for problem in row.pop("problems"):
            if problem["level"] == "error":
                raise ModelFileError(problem["message"], help=problem.get("help"))
    return found


def _from_server(url: str, model: str | None, ca: str | None) -> list[dict[str, Any]]:
    # The data plane's metadata is the same on every server that speaks the protocol.
    with remote.client(url.removesuffix("/v2"), ca=ca) as asking:
        names = [model] if model is not None else asking.models()
        return [_from_metadata(asking.metadata(name)) for name in names]


def _from_metadata(found: ModelMetadata) -> dict[str, Any]:
    return {
        "model": found.name,
        "version": found.versions[-1] if found.versions else "?",
        "platform": found.platform,
        "signature": {
            "inputs": [spec.to_json() for spec in found.inputs],
            "outputs": [spec.to_json() for spec in found.outputs],
        },
    }


def render(model: Mapping[str, Any]) -> list[str]:
    """Return the lines for one model: its name, tensors, and what is set for it."""
    from inferd.cli.banner import kind
    from inferd.core.signature import Signature

    platform = model.get("platform") or model.get("runtime") or ""
    lines = [
        f"{model['model']}  version {model['version']}" + (f"  ({platform})" if platform else "")
    ]
    if model.get("signature"):
        signature = Signature.from_json(model["signature"])
        lines += [f"  input   {spec.name}  {kind(spec)}" for spec in signature.inputs]
        lines += [f"  output  {spec.name}  {kind(spec)}" for spec in signature.outputs]
    for key in ("steps", "parts"):
        if model.get(key):
            lines.append(f"  {key}  {', '.join(model[key])}")
    lines += [f"  {text}  {model[key]}" for key, text in _DECIDED.items() if model.get(key)]
    return lines
