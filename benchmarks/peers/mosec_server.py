"""mosec: a Rust front, Python workers. Batching is on where ``BENCH_BATCH`` is over one."""

from __future__ import annotations

import sys
from typing import Any

from mosec import Server, Worker

from benchmarks.peers.common import BATCH, PORT, STOCK_JSON, WAIT_MS, WORKERS, Model


class Inference(Worker):
    """Holds the model; ``forward`` sees one example, or a list of them with batching."""

    def __init__(self) -> None:
        self.model = Model()

    def deserialize(self, data: bytes) -> Any:
        """Decode one body."""
        if STOCK_JSON:
            return self.model.example(super().deserialize(data)["data"])
        return self.model.decode(data)

    def serialize(self, data: Any) -> bytes:
        """Encode one answer."""
        if STOCK_JSON:
            return super().serialize({"result": data.tolist()})
        return self.model.encode(data)

    def forward(self, data: Any) -> Any:
        """Run what was given."""
        if BATCH > 1:
            return list(self.model.predict(data))
        return self.model.predict([data])[0]


def main() -> None:
    """Serve ``POST /predict``."""
    # mosec reads its settings from the command line.
    sys.argv[1:] = ["--port", str(PORT), "--address", "127.0.0.1", "--log-level", "error"]
    server = Server()
    batching = {"max_batch_size": BATCH, "max_wait_time": WAIT_MS} if BATCH > 1 else {}
    server.append_worker(Inference, num=WORKERS, route="/predict", **batching)
    server.run()


if __name__ == "__main__":
    main()
