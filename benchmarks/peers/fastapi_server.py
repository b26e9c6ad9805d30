"""FastAPI on uvicorn (uvloop, httptools): what most people write first.

Each request runs the model in FastAPI's thread pool, as its documentation advises for blocking
work; the body is read raw, so pydantic costs nothing here.
"""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from benchmarks.peers.common import PORT, WORKERS, Model


def create() -> FastAPI:
    """Build the application; each uvicorn worker calls it once."""
    app = FastAPI()
    model = Model()

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        body = await request.body()
        return Response(await run_in_threadpool(model.one, body), media_type="application/json")

    return app


def main() -> None:
    """Serve with the configured number of worker processes."""
    uvicorn.run(
        "benchmarks.peers.fastapi_server:create", factory=True, host="127.0.0.1", port=PORT,
        workers=WORKERS, log_level="error", access_log=False, loop="uvloop", http="httptools",
    )  # fmt: skip


if __name__ == "__main__":
    main()
