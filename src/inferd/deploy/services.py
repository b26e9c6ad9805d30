"""Service definitions for one machine or several: ``inferd.yaml`` for each part of a split pipeline."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from inferd.core.errors import ConfigError
from inferd.deploy.dockerfile import HEADER
from inferd.deploy.plan import by_grpc
from inferd.deploy.quoting import to_yaml
from inferd.deploy.split import Division, SplitPlan
from inferd.repository.layout import PIPELINE_FILE
from inferd.repository.spec import ModelSpec

FRONT_PORTS = (8000, 8001, 8002)
STEP = 100
SETTINGS = "inferd.yaml"
DEPLOYMENT = "deployment.yaml"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where one service listens: HTTP, gRPC, control plane."""

    http: int
    grpc: int
    admin: int


def ports_of(plan: SplitPlan, first: int = 8101) -> dict[str, Ports]:
    """Return the ports of each service; the pipeline keeps those that a server has by default."""
    if first + 2 * STEP + len(plan.services) > 65536 or len(plan.services) > STEP:
        raise ConfigError(f"{len(plan.services)} services have no room for ports from {first} on")
    found = {
        division.name: Ports(first + i, first + STEP + i, first + 2 * STEP + i)
        for i, division in enumerate(plan.services)
    }
    found[plan.front.name] = Ports(*FRONT_PORTS)
    taken = [port for ports in found.values() for port in (ports.http, ports.grpc, ports.admin)]
    if len(taken) != len(set(taken)):
        raise ConfigError(f"ports from {first} on meet those of the pipeline's own service")
    return found


def definitions(plan: SplitPlan, ports: Mapping[str, Ports], directory: Path) -> dict[str, str]:
    """Return the files to write below ``directory``, by relative path."""
    texts = {DEPLOYMENT: deployment_text(plan, ports)}
    for division in plan.divisions:
        front = division is plan.front
        home = directory / division.name
        settings = _settings(division, ports[division.name], home, front=front)
        texts[f"{division.name}/{SETTINGS}"] = HEADER.format(command="split") + to_yaml(settings)
    return texts


def deployment_text(plan: SplitPlan, ports: Mapping[str, Ports]) -> str:
    """Return the deployment file: where each model that is a service's is asked."""
    found = {
        model: {"url": [_address(division, model, ports[division.name])]}
        for division in plan.services
        for model in division.asked
    }
    head = HEADER.format(command="split") + "# Another host, or more of them: change the lists.\n"
    return head + to_yaml({"services": dict(sorted(found.items()))})


def _address(division: Division, model: str, ports: Ports) -> str:
    if model in by_grpc(division.specs) and find_spec("grpc") is not None:
        return f"grpc://127.0.0.1:{ports.grpc}"
    return f"http://127.0.0.1:{ports.http}"


def _settings(
    division: Division, ports: Ports, home: Path, *, front: bool
) -> dict[str, object]:  # fmt: skip
    server: dict[str, object] = {
        "port": ports.http, "grpc_port": ports.grpc, "admin_port": ports.admin, "state_dir": "state"
    }  # fmt: skip
    if front:
        server["deployment"] = f"../{DEPLOYMENT}"
    paths = sorted({_relative(path, home) for path in served(division.specs)})
    return {"models": paths, "server": server}


def served(specs: tuple[ModelSpec, ...]) -> set[Path]:
    """Return the directories that serve ``specs``: those of models, or of the application around them."""
    folders = {home_of(spec) for spec in specs}
    applications = {f for f in folders if (f / PIPELINE_FILE).is_file()}
    return {f for f in folders if not any(a in f.parents for a in applications)}


def home_of(spec: ModelSpec) -> Path:
    """Return the directory of a model, above that of its version."""
    numbered = (spec.directory.parent.name, spec.directory.name) == (spec.name, spec.version)
    return spec.directory.parent if numbered else spec.directory


def _relative(path: Path, home: Path) -> str:
    return Path(os.path.relpath(path.resolve(), home.resolve())).as_posix()
