"""Pipelines that answer just what one model does, so that what is left is what steps and hops cost.

*Steps*: T behind so many models that do as much and change nothing, all in one server. *Services*: M
between two that change nothing, each in a server of its own, and a fourth server that holds the
pipeline and asks them. *NGINX*: one server of T behind NGINX with the file that ``inferd compose``
writes.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks import models
from benchmarks.process import Failed, Process, free_port

SERVICES = ("ids", "m", "vector")
SLOWEST = "m"
THREE = """\
inputs: [input_ids, attention_mask]
steps:
  first: {model: ids, inputs: {ids: input_ids}}
  second: {model: m, inputs: {input_ids: first.same, attention_mask: attention_mask}}
  third: {model: vector, inputs: {vector: second.embedding}}
outputs: {embedding: third.same}
"""


def steps(count: int) -> Path:
    """Return an application of ``count`` steps, the last of which is T; write it when missing."""
    lines = ["inputs: [x]", "steps:"]
    source = "x"
    for number in range(1, count):
        lines.append(f"  step{number}: {{model: s, inputs: {{x: {source}}}}}")
        source = f"step{number}.same"
    lines += [f"  last: {{model: t, inputs: {{x: {source}}}}}"]
    lines += ["outputs: {probabilities: last.probabilities}", ""]
    parts = {"t": "T"} if count == 1 else {"s": "S", "t": "T"}
    return _application(f"steps{count}", "\n".join(lines), parts)


def three() -> Path:
    """Return the application of three steps around M; write it when missing."""
    return _application("three", THREE, dict(zip(SERVICES, "IMH", strict=True)))


def _application(name: str, text: str, parts: Mapping[str, str]) -> Path:
    folder = models.ROOT / models.REVISION / name
    for model, letter in parts.items():
        artifact = folder / model / "1" / "model.onnx"
        if not artifact.exists():
            artifact.parent.mkdir(parents=True, exist_ok=True)
            os.link(models.path(letter), artifact)
    (folder / "pipeline.yaml").write_text(text)
    return folder


class Behind(Process):
    """A server and those it asks; all start and end together."""

    def __init__(self, command: Sequence[str], others: Sequence[Process]) -> None:
        super().__init__(command)
        self.others = others
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for other in self.others:
            self._stack.enter_context(other)
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        super().__exit__(kind, error, trace)
        self._stack.close()


def serve(path: Path, port: int, state: Path, *more: str, grpc: int | None = None) -> list[str]:
    """Return the command that serves ``path`` on ``port`` and on free ports for all else."""
    return [
        sys.executable, "-m", "inferd", "serve", str(path), "--port", str(port), "--grpc-port",
        str(grpc or free_port()), "--admin-port", str(free_port()), "--state-dir", str(state), *more,
    ]  # fmt: skip


def on_core(core: int, command: Sequence[str]) -> list[str]:
    """Return the command that runs ``command`` on one core, as if that were its host's only one."""
    return ["taskset", "--cpu-list", str(core), *command]


def services(port: int, state: Path) -> Process:
    """Return the pipeline on ``port`` whose three steps run in servers of their own.

    The slowest service has a core to itself, as it would have a host; all others share another core with
    the load generator. Side by side on the same cores, each would take from the others what it uses.
    """
    folder, ports = three(), [free_port() for _ in SERVICES]
    deployment = folder.parent / f"deployment-{port}.yaml"
    rows = [f"  {n}: {{url: 'http://127.0.0.1:{p}'}}" for n, p in zip(SERVICES, ports, strict=True)]
    deployment.write_text("\n".join(["services:", *rows, ""]))
    others = [
        Process(on_core(int(name != SLOWEST), serve(folder / name, each, state / name)))
        for name, each in zip(SERVICES, ports, strict=True)
    ]
    alone = folder / "pipeline.yaml"
    command = serve(alone, port, state / "front", "--deployment", str(deployment))
    return Behind(on_core(1, command), others)


def slowest(port: int, state: Path) -> Process:
    """Return the slowest of the services alone, on the core that it has among the others."""
    return Process(on_core(0, serve(three() / SLOWEST, port, state / SLOWEST)))


def behind_nginx(port: int, inner: int, server: Process) -> Process:
    """Return NGINX on ``port`` before ``server``, which listens on ``inner``.

    The file is the one that is written for containers; only its ports are those of this machine.
    """
    from inferd.deploy.nginx import HEALTH, PLAIN, Proxy, nginx_conf
    from inferd.deploy.plan import HTTP_PORT

    folder = Path(tempfile.gettempdir()) / f"inferd-bench-nginx-{port}"
    folder.mkdir(exist_ok=True)
    ports = {
        f"server 127.0.0.1:{HTTP_PORT} ": f"server 127.0.0.1:{inner} ",
        f"listen {PLAIN};": f"listen 127.0.0.1:{port};",
        f"127.0.0.1:{HEALTH};": f"127.0.0.1:{free_port()};",
        "/tmp/": f"{folder}/", "/dev/stdout": str(folder / "access.log"),
    }  # fmt: skip
    text = nginx_conf(Proxy(("127.0.0.1",), grpc=False))
    for written, here in ports.items():
        if written not in text:
            raise Failed(f"nginx.conf has no {written!r}")
        text = text.replace(written, here)
    file = folder / "nginx.conf"
    file.write_text(text)
    return Behind(["nginx", "-c", str(file), "-g", "daemon off;"], [server])


def without_nginx() -> str:
    """Return why NGINX cannot be measured here, empty where it can."""
    return "" if shutil.which("nginx") else "there is no nginx (Debian, Ubuntu: nginx-light)"
