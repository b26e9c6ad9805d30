"""LitServe: FastAPI in front, the model in worker processes, dynamic batching.

No ``from __future__ import annotations`` here: LitServe reads the annotation of ``decode_request``
itself and hands it to FastAPI, which is how the raw body reaches the worker.
"""

from typing import Annotated, Any

import litserve
from fastapi import Depends, Request, Response

from benchmarks.peers.common import BATCH, PORT, WAIT_MS, WORKERS, Model


async def raw_body(request: Request) -> bytes:
    """Return the body as it came: npy is no JSON."""
    return await request.body()


class Inference(litserve.LitAPI):
    """The four verbs of LitServe."""

    def setup(self, device: str) -> None:
        """Load the model in the worker."""
        del device
        self.model = Model()

    def decode_request(self, request: Annotated[bytes, Depends(raw_body)]) -> Any:
        """Decode one body."""
        return self.model.decode(request)

    def predict(self, data: Any) -> Any:
        """Run one example, or the list that batching made."""
        return list(self.model.predict(data)) if BATCH > 1 else self.model.predict([data])[0]

    def batch(self, inputs: list[Any]) -> list[Any]:
        """Keep the list; ``predict`` stacks it."""
        return inputs

    def unbatch(self, output: Any) -> Any:
        """Give one answer to each request."""
        return output

    def encode_response(self, output: Any) -> Response:
        """Encode one answer."""
        return Response(self.model.encode(output), media_type="application/json")


def main() -> None:
    """Serve ``POST /predict``."""
    api = Inference(max_batch_size=BATCH, batch_timeout=WAIT_MS / 1e3)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=WORKERS)
    server.run(
        host="127.0.0.1", port=PORT, generate_client_file=False, log_level="error",
        access_log=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
