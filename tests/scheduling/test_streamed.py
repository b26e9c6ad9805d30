"""Models that answer in pieces, from servable to worker and back, on both executors."""

import asyncio
import contextlib
import os
import signal
import time

import numpy as np
import pytest
from tests.execution.workers import CURVE, probe_spec

from inferd.control.curves import CurveStore
from inferd.control.loader import Loader, LoadSettings
from inferd.core.errors import DeadlineExceeded, InvalidInput, ModelFailed
from inferd.core.message import Request, collected
from inferd.execution.streams import WINDOW
from inferd.repository.spec import Batching
from inferd.routing.table import RouteTable

SOURCE = '''
import os
import time
from collections.abc import Iterator
from pathlib import Path

from inferd import Model


class Probe(Model):
    """Counts up; says in a file how far it came."""

    def __init__(self, notes=None):
        self.notes = notes

    def predict(self, word: str, count: int = 3, pause: float = 0.0, fail: int = -1, die: int = -1
                ) -> Iterator[str]:
        made = 0
        try:
            for i in range(count):
                if i == fail:
                    raise ValueError("it broke")
                if i == die and self.notes and not Path(self.notes + ".died").exists():
                    Path(self.notes + ".died").touch()
                    os._exit(9)
                time.sleep(pause)
                made += 1
                yield f"{word}{i} "
        finally:
            if self.notes:
                with open(self.notes, "a") as notes:
                    print(word, made, file=notes, flush=True)
'''
ENGINE = '''
from inferd import Model


class Probe(Model):
    """An engine: says with every piece how many requests shared its step."""

    inputs = {"word": ("bytes", [-1])}
    outputs = {"shared": ("int64", [-1, -1])}
    sequences = 4

    def load(self, path):
        self.left = {}

    def add(self, key, inputs, parameters):
        self.left[key] = parameters.get("count", 3)

    def step(self):
        import time
        time.sleep(0.01)
        found = []
        for key in list(self.left):
            self.left[key] -= 1
            found.append((key, {"shared": [[len(self.left)]]}, not self.left[key]))
        self.left = {k: n for k, n in self.left.items() if n}
        return found

    def cancel(self, key):
        self.left.pop(key, None)
'''


class Remembered(CurveStore):
    def get(self, key):
        return CURVE


@contextlib.asynccontextmanager
async def serving(directory, executor="process", source=SOURCE, **changes):
    """Load the model: yields (servable, what it noted, the loaded model)."""
    notes = directory / "notes"
    options = {"class": "probe:Probe", "directory": str(directory)}
    if source is SOURCE:
        options["parameters"] = {"notes": str(notes)}
    spec = probe_spec(directory, source, options=options, **changes)
    loader = Loader(RouteTable(), LoadSettings(executor=executor), Remembered(None))
    async with asyncio.timeout(40):
        model = await loader.load(spec)
        notes.unlink(missing_ok=True)
        try:
            yield model.version.servable, lambda: noted(notes), model
        finally:
            await loader.stop(1.0)


def noted(notes):
    """Return (word, pieces made) of each request that ended; the golden request's is left out."""
    lines = notes.read_text().split("\n")[:-1] if notes.exists() else []
    rows = [line.rsplit(" ", 1) for line in lines]
    return [(word, int(made)) for word, made in rows if len(word) == 1]


def ask(word="a", deadline=float("inf"), **parameters):
    inputs = {"word": np.array([word], object)}
    return Request("probe", inputs, parameters=parameters, deadline=deadline)


def texts(piece):
    return piece["output"][0].decode()


async def settled(check, patience=5.0):
    async with asyncio.timeout(patience):
        while not check():
            await asyncio.sleep(0.005)


def busy(model):
    return sum(e.running for e in model.executors)


both = pytest.mark.parametrize("executor", ["process", "inline"])


@both
def test_pieces_come_one_by_one_and_make_the_whole(tmp_path, executor):
    async def main():
        async with serving(tmp_path, executor) as (servable, _, model):
            assert model.version.streams and model.version.plan.split
            response = await servable(ask(count=4))
            pieces = [texts(p) async for p in response.chunks]
            assert pieces == ["a0 ", "a1 ", "a2 ", "a3 "]
            assert response.timings.run > 0
            whole = await collected(await servable(ask("b")))
            assert whole["output"].tolist() == [b"b0 b1 b2 "]
            with pytest.raises(InvalidInput, match="'count' must be a whole number"):
                await collected(await servable(ask(count="many")))
            with pytest.raises(InvalidInput, match="one example at a time, got 2"):
                await servable(Request("probe", {"word": np.array(["a", "b"], object)}))

    asyncio.run(main())


@both
def test_closing_stops_the_generation_within_a_piece_and_frees_the_slot(tmp_path, executor):
    async def main():
        async with serving(tmp_path, executor) as (servable, notes, model):
            before = model.batcher.counters.cancelled
            response = await servable(ask(count=100, pause=0.01))
            for _ in range(5):
                await anext(response.chunks)
            await response.chunks.aclose()
            await settled(lambda: not busy(model))
            await settled(lambda: notes())
            ((word, made),) = notes()
            assert word == "a" and 5 <= made <= 7
            assert [p async for p in response.chunks] == []
            unread = await servable(ask(count=100, pause=0.01))
            await unread.chunks.aclose()
            await settled(lambda: not busy(model))
            assert model.batcher.counters.cancelled == before + 2

    asyncio.run(main())


@both
def test_many_are_generated_for_at_once_and_the_rest_waits(tmp_path, executor):
    async def main():
        batching = Batching(max_size=3)
        async with serving(tmp_path, executor, batching=batching) as (servable, _, model):
            assert model.sizing.slots == 3
            responses = [await servable(ask(str(i), count=20, pause=0.002)) for i in range(5)]
            await anext(responses[2].chunks)
            assert busy(model) == 3 and model.batcher.queue.entries == 2
            wholes = await asyncio.gather(*map(collected, responses))
            assert [len(w["output"][0].split()) for w in wholes] == [20, 20, 19, 20, 20]

    asyncio.run(main())


@both
def test_an_engine_shares_its_steps(tmp_path, executor):
    async def main():
        async with serving(tmp_path, executor, ENGINE) as (servable, _, model):
            assert model.sizing.slots == 4
            responses = [await servable(ask(count=10)) for _ in range(4)]
            wholes = await asyncio.gather(*map(collected, responses))
            assert max(w["shared"].max() for w in wholes) == 4
            assert all(w["shared"].shape == (1, 10) for w in wholes)

    asyncio.run(main())


@both
def test_a_failure_comes_after_what_was_given_and_others_go_on(tmp_path, executor):
    async def main():
        async with serving(tmp_path, executor) as (servable, _, _):
            other = await servable(ask("b", count=50, pause=0.001))
            response = await servable(ask(fail=2))
            pieces = []
            with pytest.raises(ModelFailed, match="it broke"):
                async for piece in response.chunks:
                    pieces.append(texts(piece))
            assert pieces == ["a0 ", "a1 "]
            assert len((await collected(other))["output"][0].split()) == 50

    asyncio.run(main())


@both
def test_a_deadline_ends_a_generation(tmp_path, executor):
    async def main():
        async with serving(tmp_path, executor) as (servable, notes, model):
            deadline = time.monotonic() + 0.3
            response = await servable(ask(count=10_000, pause=0.01, deadline=deadline))
            with pytest.raises(DeadlineExceeded):
                await collected(response)
            assert time.monotonic() - deadline < 1.0
            await settled(lambda: not busy(model) and notes())
            assert 3 <= notes()[0][1] <= 60

    asyncio.run(main())


@both
def test_a_client_that_does_not_read_holds_up_only_itself(tmp_path, executor):
    async def main():
        async with serving(tmp_path, executor, run_timeout=0.5) as (servable, notes, _):
            slow = await servable(ask("s", count=500))
            quick = await collected(await servable(ask("q", count=500)))
            assert len(quick["output"][0].split()) == 500
            await asyncio.sleep(1.5)  # longer than a batch may run
            assert [word for word, _ in notes()] == ["q"]
            pieces = [texts(p) async for p in slow.chunks]
            assert len(pieces) == 500 > WINDOW

    asyncio.run(main())


def test_a_lost_worker_is_replaced_and_only_unbegun_answers_are_replayed(tmp_path):
    async def main():
        async with serving(tmp_path) as (servable, _, model):
            begun = await servable(ask(count=10_000, pause=0.01))
            await anext(begun.chunks)
            os.kill(model.executors[0].describe()["pid"], signal.SIGKILL)
            with pytest.raises(ModelFailed, match="worker was lost"):
                await collected(begun)
            again = await collected(await servable(ask("c", die=0)))
            assert again["output"].tolist() == [b"c0 c1 c2 "]
            assert model.batcher.counters.replayed == 1

    asyncio.run(main())
