"""``inferd build``: write a Dockerfile for what a PATH serves, and build it where an engine is."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inferd.cli.main import DONE, debug_option
from inferd.core.errors import ConfigError

if TYPE_CHECKING:
    from inferd.deploy.context import Given
    from inferd.deploy.dockerfile import Recipe
    from inferd.deploy.plan import Part

HELP = """Write a Dockerfile for what PATH serves, and build the image.

PATH is what `inferd serve` takes: a model file, a repository, an application with
its pipeline.yaml. Beside the Dockerfile lies all it copies: the models, this inferd as a
wheel, and the versions of all packages as they are installed here. Only what these
models need goes in. The image runs as an ordinary user, read-only.

\b
Examples:
  inferd build models/ --tag shop:1
  inferd build iris.onnx --no-build            only write ./container
  inferd build models/ --mount                 leave the models out, to be mounted
  inferd build models/ --build-arg PIP_INDEX_URL=https://me:secret@pypi.example.org/simple

\b
Then:
  docker run --read-only --tmpfs /tmp --cap-drop ALL -p 127.0.0.1:8000:8000 shop:1
"""


def recipe_options(command: Any) -> Any:
    """Add the options that say how images are built."""
    for option in reversed((
        click.option("--base", metavar="IMAGE", help="Image to build on; pin it by digest"
                     " (NAME@sha256:...).  [default: python:3.11-slim-bookworm]"),
        click.option("--index-url", metavar="URL", help="Package index.  [default: PyPI]"),
        click.option("--extra-index-url", metavar="URL", help="A second package index."),
        click.option("--torch-index-url", metavar="URL",
                     help="Index of torch, where it is needed.  [default: PyTorch's, for CPUs]"),
        click.option("--ca-bundle", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                     metavar="FILE", help="Certificates (PEM) that pip trusts while building; not"
                     " in the image."),
        click.option("--wheel", "wheels", multiple=True, metavar="FILE",
                     type=click.Path(exists=True, dir_okay=False, path_type=Path),
                     help="A wheel to install from, inferd's own for one; may be repeated."),
        click.option("--extra", "extras", multiple=True, metavar="NAME",
                     help="An extra of inferd (tracing ...) besides those that the models need."),
        click.option("--trust-pickle", "trusted", multiple=True, metavar="MODEL",
                     help="Load the pickled file of this model, which runs code in it."),
    )):  # fmt: skip
        command = option(command)
    return command


@click.command("build", help=HELP)
@click.argument("path", metavar="[PATH]", default=".")
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR",
              help="Where to write.  [default: container, but not inside PATH]")  # fmt: skip
@click.option("--tag", metavar="NAME[:TAG]", help="Name of the image.  [default: the PATH's name]")
@click.option("--bake/--mount", "baked", default=True,
              help="Put the models into the image, or leave PATH to be mounted.  [default: bake]")  # fmt: skip
@click.option("--build/--no-build", "builds", default=True, help="Build it, or only write.")
@click.option("--engine", type=click.Choice(["docker", "podman", "buildah"]), metavar="NAME",
              help="docker, podman or buildah.  [default: the first that is installed]")  # fmt: skip
@click.option("--build-arg", "arguments", multiple=True, metavar="NAME=VALUE",
              help="Give the build an argument, which is not written down; may be repeated.")  # fmt: skip
@recipe_options
@debug_option
def command(
    path: str, output: Path | None, tag: str | None, baked: bool, builds: bool, engine: str | None,
    arguments: tuple[str, ...], **given: Any,
) -> int:  # fmt: skip
    """Write and build the image of ``path``."""
    from inferd.deploy import quoting
    from inferd.deploy.context import place, write_context
    from inferd.deploy.engine import build, build_arguments, build_command, find_engine
    from inferd.deploy.plan import part, title
    from inferd.deploy.reading import read_specs, transforms_of

    output = place(path, output, "container")
    specs = read_specs(path, given["trusted"])
    name = title(path)
    found = part(
        name, specs, extras=extras(given), trusted=given["trusted"], steps=transforms_of(specs)
    )
    if not baked:
        found = mounted(found, path)
    named = quoting.tag(tag or f"{quoting.slug(name)}:latest", "--tag")
    chosen = find_engine(engine) if builds else None
    passed = build_arguments(arguments)
    click.echo(f"writing {output}/", err=True)
    write_context(found, recipe(given, baked=baked), given_files(given), output)
    click.echo("\n".join(summary(found, output, baked=baked)))
    if chosen is None:
        click.echo(f"\nbuild it:\n  docker build --tag {named} {shlex.quote(str(output))}")
    else:
        click.echo(f"building {named} with {chosen}", err=True)
        build(build_command(chosen, output, named, passed))
    mount = "" if baked else f" -v {shlex.quote(f'{Path(path).resolve()}:{found.paths[0]}:ro')}"
    click.echo(f"\nrun it:\n  {run_line(chosen or 'docker', named, mount)}")
    return DONE


def extras(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the extras asked for; raises ``ConfigError`` for one there is not."""
    from inferd.core.errors import nearest
    from inferd.deploy.requirements import EXTRAS

    for name in given["extras"]:
        if name not in EXTRAS:
            raise ConfigError(f"--extra {name}: no such extra", help=nearest(name, EXTRAS))
    return tuple(given["extras"])


def recipe(given: Mapping[str, Any], *, baked: bool, command: str = "build") -> Recipe:
    """Return the recipe that the options ask for; raises ``ConfigError`` for what is no such thing."""
    from inferd.deploy import dockerfile, quoting

    def url(key: str, default: str) -> str:
        value = given[key]
        return quoting.url(value, f"--{key.replace('_', '-')}") if value else default

    return dockerfile.Recipe(
        base=quoting.image(given["base"] or dockerfile.BASE, "--base"),
        index=url("index_url", dockerfile.INDEX),
        extra_index=url("extra_index_url", ""),
        torch_index=url("torch_index_url", dockerfile.TORCH_INDEX),
        baked=baked,
        command=command,
    )


def given_files(given: Mapping[str, Any]) -> Given:
    """Return the files that the options name."""
    from inferd.deploy import quoting
    from inferd.deploy.context import Given

    for file in given["wheels"]:
        quoting.wheel(file.name, "--wheel")
    return Given(wheels=given["wheels"], certificates=given["ca_bundle"])


def mounted(part: Part, path: str) -> Part:
    """Return a part whose PATH is mounted when it runs; it must be a directory then."""
    from dataclasses import replace

    from inferd.deploy.plan import MODELS, title
    from inferd.repository.layout import legal

    if not Path(path).expanduser().is_dir():
        raise ConfigError(
            f"--mount: {path} is no directory",
            help="put the file into one, or into the image: --bake",
        )
    # Its name is that of the model, where the directory is one model's.
    return replace(part, paths=(f"{MODELS}/{legal(title(path), path)}",))


def summary(part: Part, directory: Path, *, baked: bool) -> list[str]:
    """Return lines that say what goes into an image."""
    lines = [f"{directory / 'Dockerfile'}"]
    lines.append(f"  models    {', '.join(part.models)}" + ("" if baked else " (to be mounted)"))
    packages = f"inferd[{','.join(part.extras)}]" if part.extras else "inferd"
    needed = [*part.imports.distributions, *(str(c.target) for c in part.requirements)]
    lines.append(f"  packages  {', '.join([packages, *needed])}")
    if part.imports.unknown:
        lines.append(
            f"  note      code imports {', '.join(part.imports.unknown)}, which is not installed here: what"
            " it needs goes into requirements.txt beside it"
        )
    return lines


def run_line(engine: str, tag: str, mount: str) -> str:
    """Return the command that runs an image as it is meant to be run."""
    runner = "podman" if engine == "buildah" else engine
    return (
        f"{runner} run --rm --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges"
        f"{mount} -p 127.0.0.1:8000:8000 -p 127.0.0.1:8001:8001 {tag}"
    )
