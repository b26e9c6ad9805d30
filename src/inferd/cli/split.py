"""``inferd split``: write a service definition for each named part of a pipeline."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inferd.cli.main import DONE, debug_option

if TYPE_CHECKING:
    from inferd.deploy.services import Ports
    from inferd.deploy.split import SplitPlan

HELP = """Write a service definition for each named part of a pipeline.

PATH is a pipeline.yaml or its directory. Each service gets a directory with an inferd.yaml:
it can be started, tested and scaled by itself. The pipeline stays as it is; deployment.yaml
tells its server whom to ask. Python steps and transforms stay with the pipeline.

\b
Examples:
  inferd split app/pipeline.yaml --services asr,nlu,dialog
  inferd split app/ --services speech=vad+asr,dialog --output services
"""


@click.command("split", help=HELP)
@click.argument("path", metavar="PATH")
@click.option("--services", "services", multiple=True, required=True, metavar="NAME[=STEP+STEP],...",
              help="Steps or models that become services; may be repeated.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR",
              help="Where to write.  [default: services, but not inside PATH]")  # fmt: skip
@click.option("--first-port", type=click.IntRange(1024, 65000), default=8101, metavar="PORT",
              help="HTTP port of the first service.  [default: 8101]")  # fmt: skip
@click.option("--trust-pickle", "trusted", multiple=True, metavar="MODEL",
              help="Load the pickled file of this model, which runs code in it.")  # fmt: skip
@debug_option
def command(
    path: str,
    services: tuple[str, ...],
    output: Path | None,
    first_port: int,
    trusted: tuple[str, ...],
) -> int:
    """Split the pipeline at ``path``."""
    from inferd.deploy.context import claim, place, write
    from inferd.deploy.reading import pipelines, read_specs
    from inferd.deploy.services import DEPLOYMENT, definitions, ports_of
    from inferd.deploy.split import parse_services, split

    output = place(path, output, "services")
    specs = read_specs(path, trusted)
    plan = split(specs, pipelines(specs), parse_services(services))
    ports = ports_of(plan, first_port)
    claim(output, DEPLOYMENT)
    write(definitions(plan, ports, output), output)
    click.echo("\n".join(summary(plan, ports, output, frozenset(trusted))))
    return DONE


def summary(
    plan: SplitPlan, ports: Mapping[str, Ports], output: Path, trusted: frozenset[str] = frozenset()
) -> Iterator[str]:
    """Yield lines that say what was written, and how each service is started and tested alone."""
    yield f"{output}/ holds {plan.pipeline} as {len(plan.divisions)} services:"
    for division in plan.divisions:
        folder = output / division.name
        names = dict.fromkeys(spec.name for spec in division.specs)
        models = ", ".join(names)
        trust = "".join(f" --trust-pickle {name}" for name in names if name in trusted)
        url = f"http://127.0.0.1:{ports[division.name].http}"
        yield ""
        yield f"{division.name}  (serves {models})"
        yield f"  start it   inferd serve --config {shlex.quote(str(folder / 'inferd.yaml'))}{trust}"
        yield f"  test it    inferd describe {url}"
        yield f"             curl -sS {url}/v2/models/{division.asked[0]}/ready"
    yield ""
    yield f"{plan.front.name} asks the others where {output / 'deployment.yaml'} says; start it last."
