"""Flask under gunicorn with threads (``gthread``), its setting with keep-alive connections."""

from __future__ import annotations

import sys

from flask import Flask, Response, request
from gunicorn.app import wsgiapp

from benchmarks.peers.common import PORT, WORKERS, Model

THREADS_PER_WORKER = 64
"""One thread a connection, so that no connection of a round waits for another to close."""


def create() -> Flask:
    """Build the application; each gunicorn worker calls it once."""
    app = Flask("bench")
    model = Model()

    @app.post("/predict")
    def predict() -> Response:
        return Response(model.one(request.get_data()), mimetype="application/json")

    return app


def main() -> None:
    """Serve with the configured number of worker processes."""
    sys.argv[1:] = [
        "benchmarks.peers.flask_server:create()", "--bind", f"127.0.0.1:{PORT}",
        "--workers", str(WORKERS), "--threads", str(THREADS_PER_WORKER),
        "--keep-alive", "30", "--log-level", "error",
    ]  # fmt: skip
    wsgiapp.run()


if __name__ == "__main__":
    main()
