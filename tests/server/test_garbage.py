"""A request leaves nothing for the cycle collector: what it held is freed when it is answered.

Otherwise bodies and tensors of requests that are long over would fill the memory until the
collector runs, and its pauses would be in the latency of others.
"""

import asyncio
import gc

import numpy as np
import pytest
import uvloop
from tests.system import models
from tests.system.traffic import Load, counts, request

from inferd.cli.options import limit_rows
from inferd.config.load import load_settings
from inferd.server.assemble import Assembled
from inferd.server.lifespan import close, start
from inferd.telemetry.logs import configure

AFFINE, ACTS = "/models/affine/predict", "/models/acts/predict"
KINDS = {
    "one example": (200, lambda i: request(AFFINE, [1, 2, 3, i])),
    "a batch": (200, lambda i: request(AFFINE, [[1, 2, 3, i]] * 50)),
    "in parts": (200, lambda i: request(AFFINE, np.full((12_000, 4), i).tolist())),
    "Python": (200, lambda i: request(ACTS, [1, 2, 3, i])),
    "a wrong shape": (400, lambda i: request(AFFINE, [i])),
    "malformed": (400, lambda i: request(AFFINE, 0, raw=b"{")),
    "no route": (404, lambda i: request("/nothing", 0)),
    "late": (504, lambda i: request(AFFINE, [1, 2, 3, i], headers="X-Request-Timeout: 0.000001s\r\n")),
    "the model raises": (500, lambda i: request(ACTS, [models.RAISES, 2, 3, i])),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = models.acts(tmp_path_factory.mktemp("garbage") / "models")
    (folder / "affine" / "1").mkdir(parents=True)
    models.affine(folder / "affine" / "1" / "affine.onnx")
    return folder


async def garbage(folder, kinds, *, keep=True):
    """Serve in this process; return how many objects ten requests of each kind leave."""
    flags = {
        "server.port": 0, "server.admin_port": 0, "server.grpc_port": "off",
        "server.state_dir": str(folder.parent / "state"),
        "log.access": False,
    }  # fmt: skip
    settings = load_settings(flags=flags, limits=limit_rows())
    logs = configure(level="error", format="json")
    server = Assembled(settings, [str(folder)], logs)
    found = {}
    try:
        await start(server)
        port = int(server.listeners.data_url.rpartition(":")[2])
        for name, (status, make) in kinds.items():
            load = Load(("127.0.0.1", port), make, keep=keep)
            await load.shoot(0)
            await asyncio.sleep(0.05)
            gc.collect()
            for i in range(10):
                await load.shoot(i)
            assert counts(load.shots) == {status: 11}, name
            await asyncio.sleep(0.05)
            found[name] = gc.collect()
            load.close()
    finally:
        await close(server)
        logs.close()
    return found


def left(folder, kinds, **options):
    gc.disable()
    try:
        return uvloop.run(garbage(folder, kinds, **options))
    finally:
        gc.enable()


def test_a_request_leaves_no_garbage(folder):
    assert left(folder, KINDS) == dict.fromkeys(KINDS, 0)


def test_a_connection_leaves_no_garbage(folder):
    kinds = {"one example": KINDS["one example"]}

    assert left(folder, kinds, keep=False) == {"one example": 0}
