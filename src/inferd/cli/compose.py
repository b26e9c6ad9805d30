"""``inferd compose``: replicas of services behind NGINX, as files for Docker Compose."""

from __future__ import annotations

import ipaddress
import os
import shlex
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from inferd.cli.build import extras, given_files, recipe, recipe_options, summary
from inferd.cli.main import DONE, debug_option
from inferd.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    from inferd.deploy.compose import Service, Stack
    from inferd.deploy.context import Given
    from inferd.deploy.plan import Part

T = TypeVar("T")

HELP = """Write compose.yaml and nginx.conf: replicas of services behind NGINX.

PATH is what `inferd serve` takes. It becomes one service; of a pipeline, --services names
the parts that become services of their own. Each has a build context as `inferd build`
writes it. NGINX is the only way in: it balances HTTP and gRPC, keeps connections, asks the
next replica where one fails, and lets streams pass.

\b
Examples:
  inferd compose models/ --replicas 3
  inferd compose app/ --services detect,recognise --replicas 1,recognise=2
  inferd compose app/ --services detect --tls cert.pem,key.pem --address 0.0.0.0

\b
Then:
  docker compose -f compose/compose.yaml up --build --detach --wait
"""


def _each(what: str) -> str:
    return f"{what} for all, or SERVICE={what} for one; may be repeated, or joined by commas."


@click.command("compose", help=HELP)
@click.argument("path", metavar="PATH")
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR",
              help="Where to write.  [default: compose, but not inside PATH]")  # fmt: skip
@click.option("--services", multiple=True, metavar="NAME[=STEP+STEP],...",
              help="Steps or models of a pipeline that become services of their own.")  # fmt: skip
@click.option("--replicas", multiple=True, metavar="N", help=f"{_each('N')}  [default: 2]")
@click.option("--memory", multiple=True, metavar="SIZE", help=f"{_each('SIZE')}  [default: 2g]")
@click.option("--cpus", multiple=True, metavar="N", help=f"{_each('N')}  [default: 1]")
@click.option("--image", "images", multiple=True, metavar="SERVICE=IMAGE",
              help="Run this image instead of building one.")  # fmt: skip
@click.option("--same-packages", is_flag=True, help="Put the packages that any service needs into every"
              " image: they are installed once, and the images share a layer.")  # fmt: skip
@click.option("--env", "variables", multiple=True, metavar="NAME=VALUE",
              help="A variable for every service (INFERD_...); may be repeated.")  # fmt: skip
@click.option("--address", default="127.0.0.1", metavar="IP",
              help="Address of this machine at which NGINX is reached; 0.0.0.0: from everywhere."
                   "  [default: 127.0.0.1]")  # fmt: skip
@click.option("--port", type=click.IntRange(1, 65535), metavar="PORT",
              help="Its port for HTTP, or HTTPS.  [default: 80, with --tls 443]")  # fmt: skip
@click.option("--grpc-port", type=click.IntRange(1, 65535), default=8001, metavar="PORT",
              help="Its port for gRPC.  [default: 8001]")  # fmt: skip
@click.option("--redirect-port", type=click.IntRange(1, 65535), default=80, metavar="PORT",
              help="With --tls: its port for plain HTTP, which leads to HTTPS.  [default: 80]")  # fmt: skip
@click.option("--tls", metavar="CERT,KEY", help="Certificate chain and key (PEM), which the user 101"
              " may read.")  # fmt: skip
@click.option("--server-name", metavar="HOST", help="Host name of the certificate.")
@click.option("--request-timeout", default="5m", metavar="DURATION",
              help="Longest that NGINX waits for an answer.  [default: 5m]")  # fmt: skip
@click.option("--nginx-image", metavar="IMAGE", help="[default: nginx:1.28-alpine]")
@click.option("--subnet", metavar="CIDR", help="Addresses of the replicas' network.  [default: made"
              " of the PATH's name]")  # fmt: skip
@recipe_options
@debug_option
def command(path: str, output: Path | None, **given: Any) -> int:
    """Write the files for ``path``."""
    from inferd.deploy.compose import compose_yaml, deployment, proxy_of
    from inferd.deploy.context import claim, place, write, write_context
    from inferd.deploy.nginx import nginx_conf

    output = place(path, output, "compose")
    parts, asked, heard, stack = plan(path, output, given)
    texts = {"compose.yaml": compose_yaml(stack), "nginx.conf": nginx_conf(proxy_of(stack))}
    if asked:
        texts["deployment.yaml"] = deployment(stack, asked, heard)
    claim(output, "compose.yaml")
    write(texts, output)
    made = recipe(given, baked=True, command="compose")
    with tempfile.TemporaryDirectory() as folder:
        files = with_wheel(given_files(given), Path(folder))
        for service, part in zip(stack.services, parts, strict=True):
            if service.context is not None:
                click.echo(f"writing {output / service.name}/", err=True)
                write_context(part, made, files, output / service.name)
                click.echo("\n".join(summary(part, output / service.name, baked=True)))
    click.echo("\n".join(told(stack, output)))
    return DONE


def plan(
    path: str, output: Path, given: Mapping[str, Any]
) -> tuple[list[Part], dict[str, tuple[str, ...]], frozenset[str], Stack]:
    """Return the content of each service's image, the models each is asked for, and the stack.

    Third are the models that are asked over gRPC.
    """
    from inferd.deploy import plan as plans
    from inferd.deploy import quoting
    from inferd.deploy.compose import Stack
    from inferd.deploy.reading import pipelines, read_specs, transforms_of
    from inferd.deploy.split import Division, parse_services, split

    specs = read_specs(path, given["trusted"])
    name = quoting.slug(plans.title(path))
    divisions: tuple[Division, ...]
    if given["services"]:
        divisions = split(specs, pipelines(specs), parse_services(given["services"])).divisions
    else:
        divisions = (Division(name, (), tuple(specs)),)
    parts = [
        plans.part(d.name, d.specs, extras=extras(given), trusted=given["trusted"],
                   steps=transforms_of(d.specs))
        for d in divisions
    ]  # fmt: skip
    if given["same_packages"]:
        parts = plans.alike(parts)
    asked = {d.name: d.asked for d in divisions[:-1]}
    variables = environment(given["variables"])
    stack = Stack(
        name, services_of(name, divisions, given, variables), grpc=parts[-1].grpc,
        **published(given, output), subnet=given["subnet"],
    )  # fmt: skip
    return parts, asked, plans.by_grpc(specs), stack


def services_of(
    name: str, divisions: Any, given: Mapping[str, Any], variables: Mapping[str, str]
) -> tuple[Service, ...]:
    """Return the services of the stack, the front last."""
    from inferd.deploy import quoting
    from inferd.deploy.compose import Service
    from inferd.deploy.dockerfile import HEALTH

    names = [d.name for d in divisions]
    replicas = each(given["replicas"], "--replicas", names, 2, _replicas)
    memory = each(given["memory"], "--memory", names, "2g", quoting.size)
    cpus = each(given["cpus"], "--cpus", names, 1.0, _cpus)
    images = each(given["images"], "--image", names, "", quoting.image)
    inner = tuple(names[:-1])
    return tuple(
        Service(
            n, images[n] or (f"{name}-{n}:latest" if n != name else f"{name}:latest"), HEALTH,
            replicas=replicas[n], context=None if images[n] else f"./{n}",
            needs=inner if n == names[-1] else (), asks=bool(inner) and n == names[-1],
            memory=memory[n], cpus=cpus[n], variables=variables,
        )
        for n in names
    )  # fmt: skip


def each(
    texts: tuple[str, ...], flag: str, names: list[str], default: T, read: Callable[[str, str], T]
) -> dict[str, T]:
    """Return a value for each service of ``VALUE`` and ``SERVICE=VALUE`` texts."""
    every = default
    single: dict[str, T] = {}
    for text in (word.strip() for given in texts for word in given.split(",")):
        name, equals, value = text.partition("=")
        if not equals:
            every = read(name, flag)
        elif name in names:
            single[name] = read(value, flag)
        else:
            raise ConfigError(f"{flag} {text}: no service {name!r}", help=nearest(name, names))
    return {name: single.get(name, every) for name in names}


def _replicas(text: str, flag: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 100:
        raise ConfigError(f"{flag}: {text!r} is not a number from 1 to 100")
    return int(text)


def _cpus(text: str, flag: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0.01 <= found <= 1024:
        raise ConfigError(f"{flag}: {text!r} is not a number of cores", help="for example 1.5")
    return found


def environment(texts: tuple[str, ...]) -> dict[str, str]:
    """Return ``NAME=VALUE`` texts as a mapping."""
    from inferd.deploy import quoting

    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--env {text}: must be NAME=VALUE")
        found[quoting.variable(name, "--env")] = quoting.printable(value, f"--env {name}")
    return dict(sorted(found.items()))


def published(given: Mapping[str, Any], output: Path) -> dict[str, Any]:
    """Return where and how NGINX is reached, as fields of a stack."""
    from inferd.config.units import duration
    from inferd.deploy import quoting
    from inferd.deploy.compose import NGINX_IMAGE

    tls = _tls(given["tls"], output) if given["tls"] else None
    try:
        timeout = max(1, round(duration(given["request_timeout"])))
    except ValueError as error:
        raise ConfigError(f"--request-timeout: {error}") from None
    found = {
        "address": quoting.address(given["address"], "--address"),
        "port": given["port"] or (443 if tls else 80),
        "grpc_port": given["grpc_port"],
        "tls": tls,
        "redirect": given["redirect_port"] if tls else None,
        "server_name": quoting.host(given["server_name"], "--server-name")
        if given["server_name"] else "_",
        "timeout": timeout,
        "nginx_image": quoting.image(given["nginx_image"] or NGINX_IMAGE, "--nginx-image"),
    }  # fmt: skip
    ports = [found[key] for key in ("port", "grpc_port", "redirect") if found[key] is not None]
    if len(ports) != len(set(ports)):
        raise ConfigError(f"NGINX would be given one port twice: {', '.join(map(str, ports))}")
    return found


def _tls(text: str, output: Path) -> tuple[str, str]:
    """Return certificate and key as paths from where ``compose.yaml`` lies."""
    files = [Path(part.strip()) for part in text.split(",")]
    if len(files) != 2:
        raise ConfigError("--tls: must be CERT,KEY", help="for example --tls cert.pem,key.pem")
    for file in files:
        if not file.is_file():
            raise ConfigError(f"--tls: {file}: no such file")
    cert, key = (os.path.relpath(file.resolve(), output.resolve()) for file in files)
    return f"./{cert}", f"./{key}"


def with_wheel(files: Given, folder: Path) -> Given:
    """Return the files with inferd's own wheel among them, made once for all services."""
    from inferd.deploy import wheel

    if any(file.name.startswith("inferd-") for file in files.wheels) or not wheel.checkout():
        return files
    return replace(files, wheels=(*files.wheels, wheel.make_wheel(folder)))


def told(stack: Stack, output: Path) -> list[str]:
    """Return lines that say how the stack is started, reached and restarted, and by whom."""
    from inferd.deploy.compose import NGINX_USER

    up = f"docker compose -f {shlex.quote(str(output / 'compose.yaml'))} up"
    scheme = "https" if stack.tls else "http"
    usual = stack.port == (443 if stack.tls else 80)
    everywhere = ipaddress.ip_address(stack.address).is_unspecified
    where = "127.0.0.1" if everywhere else stack.address
    where = f"[{where}]" if ":" in where else where
    url = f"{scheme}://{where}" + ("" if usual else f":{stack.port}")
    replicas = ", ".join(f"{s.name} ({s.replicas})" for s in stack.services)
    names = " ".join(name for service in stack.services for name in service.names)
    lines = [f"{output / 'compose.yaml'}", f"  services  {replicas}, nginx"]
    if everywhere:
        lines.append("  note      whoever reaches this machine may ask: there is no authentication")
    if stack.tls and not readable(output / stack.tls[1]):
        lines.append(
            f"  note      {output / stack.tls[1]} must be readable by the user {NGINX_USER}"
        )
    return [
        *lines, "",
        "start it:", f"  {up} --build --detach --wait",
        "ask it:", f"  curl -sS {url}/v2/models",
        "restart it without a pause, replica by replica:",
        f"  for name in {names}; do {up} --no-deps --force-recreate --detach --wait $name; done",
    ]  # fmt: skip


def readable(file: Path) -> bool:
    """Whether the user of NGINX's container may read a file."""
    from inferd.deploy.compose import NGINX_USER

    found = file.stat()
    return bool(found.st_mode & 0o004 or (found.st_uid == NGINX_USER and found.st_mode & 0o400))
