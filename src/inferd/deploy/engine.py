"""Building an image with whichever engine is there: docker, podman or buildah."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from inferd.core.errors import ConfigError, InferdError, nearest
from inferd.deploy.dockerfile import BUILD_ARGS

ENGINES = ("docker", "podman", "buildah")
_ALLOWED = (*BUILD_ARGS, "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def find_engine(wanted: str | None = None) -> str:
    """Return the engine to build with; raises ``ConfigError`` where there is none."""
    for name in (wanted,) if wanted else ENGINES:
        if shutil.which(name):
            return name
    raise ConfigError(
        f"{wanted or 'none of docker, podman and buildah'} is installed on this machine"
        if not wanted else f"{wanted} is not installed on this machine",
        help="install one (Debian: apt install docker.io), or build elsewhere what --no-build writes",
    )  # fmt: skip


def build_arguments(given: tuple[str, ...]) -> dict[str, str]:
    """Return ``NAME=VALUE`` texts as a mapping; raises ``ConfigError`` for an unknown name."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in _ALLOWED:
            raise ConfigError(
                f"--build-arg {name}: must be NAME=VALUE of a known argument",
                help=nearest(name, _ALLOWED),
            )
        found[name] = value
    return found


def build_command(
    engine: str, directory: Path, tag: str, arguments: Mapping[str, str]
) -> list[str]:
    """Return the command that builds a context."""
    given = [word for name, value in sorted(arguments.items())
             for word in ("--build-arg", f"{name}={value}")]  # fmt: skip
    # podman and buildah leave HEALTHCHECK out of an image in OCI's own format.
    form = [] if engine == "docker" else ["--format", "docker"]
    return [engine, "build", *form, "--tag", tag, *given, str(directory)]


def build(command: list[str]) -> None:
    """Run the build; its progress goes where ours goes. Raises ``InferdError`` where it fails."""
    try:
        code = subprocess.call(command)
    except OSError as error:
        raise InferdError(f"{command[0]} cannot be started: {error}") from None
    if code:
        raise InferdError(
            f"{command[0]} ended with exit code {code}",
            help=f"what it said stands above; the context is in {command[-1]}",
        )
