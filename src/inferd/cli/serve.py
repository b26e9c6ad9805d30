"""``inferd serve``: read the settings, hand over to the server, print what is served and where."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from inferd.cli.main import debug_option
from inferd.cli.options import read_settings, settings_options

if TYPE_CHECKING:
    from inferd.server.assemble import Assembled

HELP = """Serve models.

A PATH is a model file (its name becomes the model's name), a repository
(MODEL/VERSION/artifact; the latest version answers), a pipeline.yaml or its
directory (with the models beside it), or module:Class for a Python model. Each model runs in worker processes of its own, watched over and
replaced when they fail. Ctrl-C stops at once, SIGTERM drains first.

\b
Examples:
  inferd serve iris.onnx
  inferd serve models/ --port 9000
  inferd serve sentiment:Sentiment --reload
  inferd serve models/ --host 0.0.0.0 --allow-anonymous
  inferd serve --deployment services.yaml

\b
Then, from anywhere:
  curl localhost:8000/predict -H 'Content-Type: application/json' \\
    -d '{"data": [5.1, 3.5, 1.4, 0.2]}'

Every flag but --trust-pickle can also stand in inferd.yaml or in the environment
(INFERD_PORT ...); flags win over the environment, the environment over the file.
"""


@click.command("serve", help=HELP)
@click.argument("paths", nargs=-1, metavar="PATH...")
@settings_options()
@debug_option
def command(paths: tuple[str, ...], **given: Any) -> int:
    """Serve ``paths``."""
    from inferd.server.sagemaker import PROFILE, read_container

    settings = read_settings(given, PROFILE)
    container = read_container(os.environ) if settings.server.sagemaker else None
    chosen = list(paths or settings.models)
    if container is not None:
        chosen = container.paths(chosen)
    elif not chosen and settings.server.deployment is None:
        raise click.UsageError(
            "there is nothing to serve: name a model file or a directory of models,"
            " for example: inferd serve iris.onnx"
        )
    from inferd.server.lifespan import serve

    return serve(settings, chosen, banner=_print_banner, container=container)


def _print_banner(assembled: Assembled) -> None:
    from inferd.cli.banner import Served, render

    table, listeners = assembled.table, assembled.listeners
    served = Served(
        [table.find(name) for name in table.names()],
        listeners.data_url,
        listeners.admin_url,
        listeners.metrics_url,
        assembled.samples(),
        data_socket=listeners.data_socket,
        grpc=assembled.grpc.address,
    )
    click.echo(render(served), nl=False)
