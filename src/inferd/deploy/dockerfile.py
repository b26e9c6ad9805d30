"""The Dockerfile of one image, and its ``.dockerignore``: from a part to text.

Two stages. The builder installs into ``/opt/inferd`` and is thrown away with whatever it was told of
indexes, certificates and proxies; the image gets that directory, the models, and no compiler, no pip of
its own and no secret. Nothing here asks for BuildKit: the classic builder, podman and buildah build it too.
"""

from __future__ import annotations

from dataclasses import dataclass

from inferd import __version__
from inferd.deploy.plan import GRPC_PORT, HTTP_PORT, METRICS_PORT, MODELS, Part
from inferd.deploy.quoting import docker_list, docker_word

BASE = "python:3.11-slim-bookworm"
INDEX = "https://pypi.org/simple"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
HEADER = "# Written by `inferd {command}`: run that again rather than editing this file.\n"
USER = 10001
DRAIN_DELAY, STOP_TIMEOUT, GRACE = 2, 25, 30
"""Seconds: still accepting after SIGTERM; all over; after which an orchestrator may kill."""

HEALTH: tuple[str, ...] = ("inferd", "health", "--deep", "--timeout", "4s")
HEALTH_INTERVAL, HEALTH_TIMEOUT, HEALTH_START = 4, 5, 180
"""Seconds: what stops answering is unhealthy after interval and timeout together, under 10."""

BUILD_ARGS: tuple[str, ...] = (
    "BASE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_TRUSTED_HOST",
    "TORCH_INDEX_URL",
)  # fmt: skip
"""Arguments of the Dockerfile. Those of proxies (``HTTPS_PROXY`` ...) every engine has by itself."""

_PIP = "/opt/pip/bin/pip --python /opt/inferd/bin/python install"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an image is built. ``torch``: its version, where it is needed; ``wheel``: file of inferd's.

    ``hashed``: every requirement has its hash. ``certificates``: a CA bundle lies in the context.
    ``baked``: the models are in the image, else they are mounted. ``wheels``: other wheels lie there too.
    """

    base: str = BASE
    index: str = INDEX
    extra_index: str = ""
    torch_index: str = TORCH_INDEX
    torch: str | None = None
    wheel: str | None = None
    wheels: bool = False
    hashed: bool = False
    certificates: bool = False
    baked: bool = True
    command: str = "build"


def environment(part: Part) -> dict[str, str]:
    """Return the settings of the server in a container, as variables."""
    return {
        "INFERD_HOST": "0.0.0.0",  # noqa: S104 - inside a container; who publishes the port decides
        "INFERD_PORT": str(HTTP_PORT),
        "INFERD_GRPC_PORT": str(GRPC_PORT) if part.grpc else "off",
        "INFERD_METRICS_HOST": "0.0.0.0",  # noqa: S104 - the same
        "INFERD_METRICS_PORT": str(METRICS_PORT),
        "INFERD_ALLOW_ANONYMOUS": "true",
        "INFERD_STATE_DIR": "/tmp/inferd",  # noqa: S108 - a tmpfs of the container's own
        "INFERD_DRAIN_DELAY": f"{DRAIN_DELAY}s",
        "INFERD_STOP_TIMEOUT": f"{STOP_TIMEOUT}s",
    }


def dockerfile(part: Part, recipe: Recipe) -> str:
    """Return the Dockerfile of a part."""
    head = HEADER.format(command=recipe.command)
    return "\n".join(
        [f"{head}ARG BASE={docker_word(recipe.base)}\n", *_builder(part, recipe), *_final(part, recipe)]
    )  # fmt: skip


def _builder(part: Part, recipe: Recipe) -> list[str]:
    lines = [
        "# The builder: what it is told of indexes and certificates stays in it.",
        "FROM ${BASE} AS builder",
        f"ARG PIP_INDEX_URL={docker_word(recipe.index)}",
        f"ARG PIP_EXTRA_INDEX_URL={docker_word(recipe.extra_index)}",
        'ARG PIP_NO_INDEX=""',
        'ARG PIP_TRUSTED_HOST=""',
        "ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1",
        "RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/inferd",
        "WORKDIR /build",
    ]
    if recipe.certificates:
        lines += ["COPY ca.pem ./", "ENV PIP_CERT=/build/ca.pem"]
    if recipe.wheels:
        lines += ["COPY wheels/ wheels/", "ENV PIP_FIND_LINKS=/build/wheels"]
    flag = " --require-hashes" if recipe.hashed else ""
    lines += ["COPY requirements.txt ./", f"RUN {_PIP}{flag} -r requirements.txt"]
    if recipe.torch:
        lines += [
            "# Without its dependencies: those it needs on a CPU are in requirements.txt.",
            f"ARG TORCH_INDEX_URL={docker_word(recipe.torch_index)}",
            f'RUN {_PIP} --no-deps --index-url "$TORCH_INDEX_URL" torch=={recipe.torch}',
        ]
    for number, _ in enumerate(part.requirements, 1):
        if number == 1:
            lines += ["# What the models' own code needs.", "COPY needs/ needs/"]
        lines.append(f"RUN {_PIP} -c needs/constraints.txt -r needs/{number}.txt")
    if recipe.wheel:
        lines += [f"COPY {recipe.wheel} ./", f"RUN {_PIP} --no-deps {recipe.wheel}"]
    else:
        lines.append(f"RUN {_PIP} --no-deps inferd=={__version__}")
    return [*lines, ""]


def _final(part: Part, recipe: Recipe) -> list[str]:
    served = ", ".join(part.models)
    variables = [f"{key}={value}" for key, value in environment(part).items()]
    times = (
        f"--interval={HEALTH_INTERVAL}s --timeout={HEALTH_TIMEOUT}s --start-period={HEALTH_START}s"
    )
    ports = [HTTP_PORT, *([GRPC_PORT] if part.grpc else []), METRICS_PORT]
    lines = [
        "# The image: no pip, no index, no certificate; runs as nobody in particular, read-only.",
        "FROM ${BASE}",
        "COPY --from=builder /opt/inferd /opt/inferd",
        "ENV PATH=/opt/inferd/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \\",
        "    " + " \\\n    ".join(variables),
        f"USER {USER}:{USER}",
        "WORKDIR /opt/inferd",
        f"EXPOSE {' '.join(map(str, ports))}",
        "STOPSIGNAL SIGTERM",
        f"HEALTHCHECK {times} --retries=1 \\",
        f"    CMD {docker_list(HEALTH)}",
        'ENTRYPOINT ["inferd", "serve"]',
        "# From here on images of the same packages differ: the steps before are done once for all of them.",
    ]
    if recipe.baked:
        lines.append(f"COPY --chown=0:0 models/ {MODELS}/")
    lines += [
        f"LABEL org.opencontainers.image.title={docker_word(part.name, 'the name')} \\",
        f"      org.opencontainers.image.description={docker_word(f'inferd serving {served}')} \\",
        f"      org.opencontainers.image.version={docker_word(__version__)}",
        f"CMD {docker_list(part.arguments)}",
    ]
    return [*lines, ""]


def dockerignore(part: Part, recipe: Recipe) -> str:
    """Return the ``.dockerignore``: nothing reaches the engine but what the Dockerfile copies."""
    known = ["requirements.txt", *([recipe.wheel] if recipe.wheel else [])]
    known += ["ca.pem"] if recipe.certificates else []
    known += ["needs/"] if part.requirements else []
    known += ["wheels/"] if recipe.wheels else []
    known += ["models/"] if recipe.baked else []
    return HEADER.format(command=recipe.command) + "*\n" + "".join(f"!{name}\n" for name in known)
