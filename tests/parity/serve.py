"""Serves a repository for the parity tests: ``python -m tests.parity.serve FOLDER``.

What ``inferd serve`` builds, but with every version of every model, with models that fail to load left
as they are, and with the multi-model doors of SageMaker open, so that each protocol can be asked for all of
it. Where it listens is written to ``addresses.json``; it ends when its standard input does.
"""

import asyncio
import json
import sys
from pathlib import Path

import uvloop

from inferd.config.settings import Logging, Queue, Server, Settings, Workers
from inferd.core.errors import InferdError
from inferd.repository.store import scan
from inferd.runtimes.detect import Detector
from inferd.server import lifespan
from inferd.server.assemble import Assembled
from inferd.server.sagemaker import Container
from inferd.telemetry.logs import configure

BODY_BYTES = 4 << 20
WAITING = 2
INVOKED = "echo-fp32"
"""The model of ``/invocations``."""


def settings(folder):
    return Settings(
        server=Server(port=0, grpc_port=0, admin_port=0, state_dir=folder / "state"),
        queue=Queue(items=WAITING),
        workers=Workers(instances=1),
        log=Logging(level="info", format="json"),
        limits={"json_body_bytes": BODY_BYTES, "binary_body_bytes": BODY_BYTES},
    )


async def serve(folder):
    logs = configure(level="info", format="json")
    container = Container(base=folder, several=True, model=INVOKED)
    server = Assembled(settings(folder), [], logs, container)
    try:
        await lifespan.start(server)
        specs = scan([folder / "models"], Detector(), every=True)
        loads = await asyncio.gather(*map(server.loader.load, specs), return_exceptions=True)
        failed = [str(e) for e in loads if isinstance(e, BaseException)]
        unexpected = [
            e for e in loads if isinstance(e, BaseException) and not isinstance(e, InferdError)
        ]
        if unexpected:
            raise unexpected[0]
        told = {
            "data": server.listeners.data_url, "admin": server.listeners.admin_url,
            "grpc": server.grpc.address, "failed": failed,
        }  # fmt: skip
        (folder / "addresses.json.new").write_text(json.dumps(told))
        (folder / "addresses.json.new").rename(folder / "addresses.json")
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        server.readiness.draining = True
        await asyncio.gather(server.listeners.stop(0.0, 5.0), server.grpc.stop(0.0, 5.0))
    finally:
        await lifespan.close(server)
        logs.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(Path(sys.argv[1])))
