"""10,000 requests of a pipeline whose step hangs, raises, answers wrongly or is gone: nothing leaks.

The pipeline's models run in real worker processes; one step is asked at a host that is not there. What
hangs is a worker that sleeps, and a servable that heeds neither its deadline nor its cancellation.
"""

import asyncio
import gc
import itertools
import logging
import os
import time
import tracemalloc
from collections import deque

import numpy as np
import psutil
import pytest
from tests.execution.workers import OK, RAISE, SLEEP
from tests.routing.pipeline.running import nothing_left, pipeline
from tests.routing.pipeline.written import model
from tests.scheduling.test_model import Served

from inferd.codecs.oip_described import Described
from inferd.core.errors import DeadlineExceeded, InferdError, ModelFailed, Unavailable
from inferd.core.message import Request, Response, Timings
from inferd.core.plan import BatchPlan
from inferd.routing.remote.servable import RemoteModel
from inferd.routing.remote.service import Service
from inferd.routing.remote.spec import Endpoint, ServiceSpec

TEXT = """
    inputs: {x: {dtype: float32, shape: [2]}, bad: {dtype: float32, shape: [2]}, what: {dtype: int64, shape: []}}
    steps:
      fine: {model: probe, inputs: {x: x}}
      hangs: {model: slow, inputs: {x: bad}, when: fine.y >= 0 and what == 0}
      raises: {model: probe, inputs: {x: bad}, when: fine.y >= 0 and what == 1}
      wrong: {model: odd, inputs: {x: x}, when: fine.y >= 0 and what == 2}
      gone: {model: far, inputs: {x: x}, when: fine.y >= 0 and what == 3}
      deaf: {model: deaf, inputs: {x: x}, when: fine.y >= 0 and what == 4}
      beside: {model: probe, inputs: {x: x}, when: what != 1}
    outputs:
      fine: fine.y
      y: {from: [hangs.y, raises.y, wrong.y, gone.y, deaf.y], default: 0}
"""
FAULTS = {
    0: (DeadlineExceeded, "'hangs'"),
    1: (ModelFailed, "step 'raises': "),
    2: (ModelFailed, "step 'wrong': output 'y' has datatype INT64, expected FP32"),
    3: (Unavailable, "step 'gone': "),
    4: (DeadlineExceeded, "'deaf'"),
}
REQUESTS = 10_000
WARM = 1_000
SECONDS = 0.25
LATE = 0.15  # beyond what the loop itself stood still
AT_ONCE = 64
MIB = 1 << 20


async def odd(request):
    """Answer with another datatype than was promised."""
    return Response("odd", "1", {"y": np.zeros(len(request.inputs["x"]), np.int64)}, Timings())


async def deaf(request):
    """Heed nothing, and end long after all have left."""
    end = time.monotonic() + 2 * SECONDS
    while time.monotonic() < end:
        try:
            await asyncio.sleep(end - time.monotonic())
        except asyncio.CancelledError:
            continue
    return Response("deaf", "1", {"y": np.zeros(1, np.float32)}, Timings())


def asked(index, deadline):
    """Return a request, and what is wrong with its step; every eleventh has none."""
    what = 5 if index % 11 == 10 else index % 5
    value = float(index % 1000)
    bad = [0.05, SLEEP] if what == 0 else [value, RAISE]
    if what == 0:
        bad[0] = SECONDS * 2 if index % 10 == 0 else 0.05 + SECONDS
    inputs = {
        "x": np.array([[value, OK]], np.float32), "bad": np.array([bad], np.float32),
        "what": np.array([what]),
    }  # fmt: skip
    return Request("flow", inputs, id=f"r{index}", deadline=deadline), what


class Pulse:
    """Knows how long the loop stood still of late, which on a busy machine it does."""

    def __init__(self):
        self.stood = deque(maxlen=1000)
        self.task = asyncio.create_task(self.beat())

    async def beat(self):
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            self.stood.append((before, time.monotonic() - before - 0.01))

    def stood_still(self, since):
        """Return how long in all since a moment; the latest stretch, which is not over, counts too."""
        latest = time.monotonic() - self.stood[-1][0] if self.stood else 0.0
        return latest + sum(still for at, still in self.stood if at + still > since)


async def shot(subject, index, pulse):
    """Ask once; what was wrong with the answer, where anything was."""
    deadline = time.monotonic() + SECONDS
    request, what = asked(index, deadline)
    try:
        response = await subject(request)
    except InferdError as error:
        if "when the request arrived" in error.message and not error.steps:
            return await shot(
                subject, index, pulse
            )  # the machine stood still before it was asked at all
        kind, message = FAULTS.get(what, (None, ""))
        late = time.monotonic() - deadline
        if late > LATE + pulse.stood_still(deadline):
            return f"{index}: {late:.2f} s late: {error.message}"
        overloaded = isinstance(error, DeadlineExceeded) and "step" in error.message
        given_up = what == 0 and error.message.startswith("step 'hangs': no worker can serve")
        if (kind is None or type(error) is not kind or message not in error.message) and not (
            overloaded or given_up
        ):
            return f"{index}: {what}: {type(error).__name__}: {error.message}"
        return None
    if what in FAULTS:
        return f"{index}: {what}: answered"
    good = response.outputs["fine"].tolist() == [2 * float(index % 1000)]
    return None if good else f"{index}: wrong answer"


async def closed_loop(subject, numbers, pulse):
    """Ask for each of ``numbers``, ``AT_ONCE`` at a time; return what was wrong."""
    wrong = []
    left = iter(numbers)

    async def client():
        for index in left:
            found = await shot(subject, index, pulse)
            if found is not None:
                wrong.append(found)

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return wrong


class Held:
    """What the process holds at a moment of rest."""

    def __init__(self):
        gc.collect()
        process = psutil.Process(os.getpid())
        self.descriptors = process.num_fds()
        self.threads = process.num_threads()
        self.tasks = len(asyncio.all_tasks())
        self.memory = tracemalloc.get_traced_memory()[0]
        self.resident = process.memory_info().rss


async def at_rest(subject, batchers, others):
    """Wait until all that was asked has ended, and see what is held then."""
    async with asyncio.timeout(30):
        while subject.busy or any(b.busy for b in batchers) or len(asyncio.all_tasks()) > others:
            await asyncio.sleep(0.05)
    return Held()


@pytest.mark.timeout(240)
def test_10_000_requests_with_a_faulty_step_end_in_time_and_leave_nothing(
    tmp_path, unused_port, caplog
):
    caplog.set_level(logging.CRITICAL, "inferd")  # whose records would be kept: they are no leak
    for name in ("probe", "slow"):
        (tmp_path / name).mkdir()

    async def main():
        row = model("x: float32 2", "y: float32")
        spec = ServiceSpec("far", (Endpoint("127.0.0.1", unused_port),))
        far = Service(spec)
        await far.start()
        numbers = itertools.count()
        try:
            async with (
                Served(tmp_path / "probe") as probe,
                # One request a batch: several that hang, one after the other, would be given up as
                # stuck, and a worker that only ever hangs ends as a crash loop.
                Served(tmp_path / "slow", slots=2, max_size=1) as slow,
            ):
                remote = RemoteModel(far, Described(row.signature, BatchPlan()), "1")
                servables = {
                    "fine": probe.model, "hangs": slow.model, "raises": probe.model, "wrong": odd,
                    "gone": remote, "deaf": deaf, "beside": probe.model,
                }  # fmt: skip
                subject = pipeline(tmp_path, TEXT, dict.fromkeys(servables, row), servables)
                pulse = Pulse()
                others = len(asyncio.all_tasks())
                batchers = (probe.batcher, slow.batcher)

                tracemalloc.start()
                wrong = await closed_loop(subject, itertools.islice(numbers, WARM), pulse)
                before = await at_rest(subject, batchers, others)
                begin = time.monotonic()
                wrong += await closed_loop(subject, itertools.islice(numbers, REQUESTS), pulse)
                took = time.monotonic() - begin
                after = await at_rest(subject, batchers, others)
                tracemalloc.stop()
                pulse.task.cancel()

                print(
                    f"{REQUESTS} in {took:.1f} s; memory {before.memory / MIB:.2f} -> {after.memory / MIB:.2f} MiB,"
                    f" resident {before.resident / MIB:.0f} -> {after.resident / MIB:.0f} MiB"
                )
                assert wrong == []
                assert after.tasks == before.tasks == others
                assert after.descriptors <= before.descriptors
                assert after.threads <= before.threads
                assert after.memory < before.memory + MIB
                assert after.resident < before.resident * 1.1 + 8 * MIB
                for batcher in batchers:
                    assert batcher.queue.entries == batcher.queue.rows == batcher.queue.nbytes == 0
                    assert not list(batcher.queue.waiting())
                counters = slow.batcher.counters
                assert counters.admitted == counters.answered + counters.cancelled
                assert all(replica.load.in_flight == 0 for replica in far.replicas)
        finally:
            await far.stop()
        await nothing_left(subject)

    asyncio.run(main())


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]  # bound and not listening: whoever asks is refused
