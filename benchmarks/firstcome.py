"""The baseline of the ragged scenario: batches in order of arrival, padded to the longest.

What most servers do with sentences of unequal length. The transport is the ceiling's, the model
runs in a thread (ONNX Runtime releases the GIL for milliseconds, so the loop goes on), the next
batch is whatever waits, up to ``MAX_BATCH``. Usage: ``python -m benchmarks.firstcome PORT``.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import orjson

from benchmarks import miniserver, models

MAX_BATCH = 32

Entry = tuple[list[int], Callable[[bytes], None]]


class FirstCome:
    """A queue, and one batch at a time on all cores."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = os.cpu_count() or 1
        self.session = onnxruntime.InferenceSession(str(models.path("M")), options)
        self.waiting: deque[Entry] = deque()
        self.pool = ThreadPoolExecutor(1)
        self.busy = False

    def handle(self, body: bytes, answer: Callable[[bytes], None]) -> None:
        """Queue one sentence and run what waits if nothing runs."""
        self.waiting.append((orjson.loads(body)["data"], answer))
        self._next()

    def _next(self) -> None:
        if self.busy or not self.waiting:
            return
        self.busy = True
        batch = [self.waiting.popleft() for _ in range(min(MAX_BATCH, len(self.waiting)))]
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self.pool, self.run, [ids for ids, _ in batch])
        future.add_done_callback(lambda done: self._answer(batch, done.result()))

    def run(self, sentences: list[list[int]]) -> np.ndarray:
        """Pad to the longest and run; returns ``[sentences, 384]``."""
        shape = (len(sentences), max(map(len, sentences)))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, sentence in enumerate(sentences):
            ids[row, : len(sentence)] = sentence
            mask[row, : len(sentence)] = 1
        feed = {"input_ids": ids, "attention_mask": mask}
        return np.asarray(self.session.run(None, feed)[0])

    def _answer(self, batch: list[Entry], rows: np.ndarray) -> None:
        self.busy = False
        self._next()
        for (_, answer), row in zip(batch, rows, strict=True):
            answer(orjson.dumps({"result": row}, option=orjson.OPT_SERIALIZE_NUMPY))


if __name__ == "__main__":
    FIRST_COME = FirstCome()
    miniserver.serve(int(sys.argv[1]), lambda: miniserver.Protocol(FIRST_COME.handle))
