"""``inferd.asgi``: a real model behind ASGI, alone and mounted."""

import asyncio

import httpx
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.server.applications import reading
from tests.system import models

import inferd
from inferd.core.errors import InvalidInput, ModelFileError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mounted") / "models"
    (folder / "affine" / "1").mkdir(parents=True)
    models.affine(folder / "affine" / "1" / "affine.onnx")
    return folder


def client(app):
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://host")


def test_a_mounted_model_answers_many_at_once_in_every_dialect(folder):
    async def main():
        served = inferd.asgi(folder)
        app = Starlette(routes=[Mount("/ml", served)])
        try:
            async with client(app) as http:
                answers = await asyncio.gather(*(
                    http.post("/ml/predict", json={"data": [i, 0, 0, 1]}) for i in range(30)
                ))  # fmt: skip
                assert [a.json()["result"] for a in answers] == [
                    [2 * i + 1, 1, 1, 3] for i in range(30)
                ]
                body = {
                    "inputs": [
                        {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}
                    ]
                }
                answer = await http.post("/ml/v2/models/affine/infer", json=body)
                assert answer.json()["outputs"][0]["data"] == [3, 5, 7, 9]
                large = np.zeros((20_000, 4)).tolist()
                assert (
                    len((await http.post("/ml/predict", json={"data": large})).json()["result"])
                    == 20_000
                )
                assert (await http.post("/ml/predict", json={"data": [1]})).status_code == 400
                assert (await http.get("/ml/readyz")).status_code == 200
        finally:
            await served.aclose()
            await served.aclose()

    asyncio.run(main())


def test_it_loads_with_the_lifespan_of_its_host(folder):
    async def main():
        served = inferd.asgi(folder)
        told, heard = asyncio.Queue(), asyncio.Queue()
        host = asyncio.create_task(served({"type": "lifespan"}, told.get, heard.put))
        await told.put({"type": "lifespan.startup"})
        assert (await heard.get())["type"] == "lifespan.startup.complete"
        assert served._loader.models
        await told.put({"type": "lifespan.shutdown"})
        assert (await heard.get())["type"] == "lifespan.shutdown.complete"
        await host

    asyncio.run(main())


def test_what_cannot_be_served_is_said(tmp_path):
    with pytest.raises(InvalidInput, match="nothing to serve"):
        inferd.asgi()
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises(ModelFileError, match=r"broken\.onnx"):
        asyncio.run(inferd.asgi(broken).start())


def test_a_pipeline_is_served_with_its_models(tmp_path):
    async def main():
        served = inferd.asgi(reading(tmp_path) / "reading")
        transport = httpx.ASGITransport(app=served)
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://host") as http:
                body = {"data": {"x": [1, 1, 1, 1], "loud": True}}
                answer = await http.post("/predict", json=body)
                assert answer.json()["result"]["text"] == "1 ROWS, PLAIN!"
                found = (await http.get("/v2/models/reading")).json()
                assert found["platform"] == "pipeline"
        finally:
            await served.aclose()

    asyncio.run(main())
