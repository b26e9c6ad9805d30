"""Loading and unloading versions for real: ready after the golden request, nothing left behind."""

import asyncio
import gc
import os
import signal
import threading
import time

import numpy as np
import pytest
from tests.execution.workers import ABORT, CURVE, OK, exists, probe_spec
from tests.system.models import affine

from inferd.control.curves import CurveStore
from inferd.control.loader import Loader, LoadSettings
from inferd.core.errors import InferdError, ModelFileError, NotFound, Unavailable
from inferd.core.message import Request
from inferd.execution.executor import Curve
from inferd.repository.spec import Batching, Instances
from inferd.repository.store import scan
from inferd.routing.table import FAILED, READY, RouteTable
from inferd.runtimes.detect import Detector


class Remembered(CurveStore):
    """Knows the curve of every model, so that nothing is measured."""

    def get(self, key):
        return CURVE

    def put(self, key, curve):
        raise AssertionError("nothing was measured")


def loader(**settings):
    return Loader(RouteTable(), LoadSettings(**{"instances": 1, **settings}), Remembered(None))


def run(main):
    """Run, and let nothing stay: no process, descriptor or thread of a worker."""
    pids = []

    async def noted():
        async with asyncio.timeout(40):
            await main(pids)

    before, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    asyncio.run(noted())
    assert not any(map(exists, pids))
    for _ in range(50):  # what an earlier test of this process let go may be closing still
        if len(os.listdir("/proc/self/fd")) <= before:
            break
        gc.collect()
        time.sleep(0.1)
    assert len(os.listdir("/proc/self/fd")) <= before
    assert threading.active_count() < threads + 10


async def ask(table, value, order=OK, model="probe"):
    version = table.resolve(model)
    answer = await version.servable(
        Request(model, {"x": np.array([[value, order]], np.float32)}, deadline=float("inf"))
    )
    return float(answer.outputs["y"][0])


def workers(model):
    return [e.describe()["pid"] for e in model.executors]


def test_a_loaded_version_answers_and_describes_itself(tmp_path):
    async def main(pids):
        subject = loader()
        model = await subject.load(probe_spec(tmp_path, task="classify"))
        pids += workers(model)
        (version,) = subject.table.all()
        assert (version.state, version.reason, version.task) == (READY, "", "classify")
        assert [s.name for s in version.signature.inputs] == ["x"]
        assert model.golden and model.batcher.counters.answered == 1
        assert await ask(subject.table, 4) == 8
        told = version.describe()
        assert told["runtime"]["name"] == "python"
        assert told["counters"]["answered"] == 2
        assert told["cost_curve"]["points"][0] == {"rows": 1, "seconds": pytest.approx(5e-4, rel=1)}
        assert told["instances"][0]["state"] == "ready"
        await subject.stop(1.0)

    run(main)


@pytest.mark.parametrize(
    ("mode", "words"), [("raise", "no such weights"), ("die", "exited with status 7")], ids=str
)
def test_a_version_that_cannot_be_loaded_leaves_its_reason_and_no_process(
    tmp_path, monkeypatch, mode, words
):
    monkeypatch.setenv("PROBE_LOAD", mode)

    async def main(pids):
        subject = loader()
        with pytest.raises(ModelFileError, match=words):
            await subject.load(probe_spec(tmp_path))
        (version,) = subject.table.all()
        assert version.state == FAILED and words in version.reason
        assert version.describe() == {"instances": []}
        with pytest.raises(Unavailable, match=words):
            subject.table.resolve("probe")
        await subject.stop(1.0)

    run(main)


def test_a_golden_request_that_fails_is_no_readiness(tmp_path):
    (tmp_path / "samples.json").write_text('[{"data": [1, 0]}, {"data": [3, 1]}]')

    async def main(pids):
        subject = loader()
        with pytest.raises(InferdError, match="cannot take 3"):
            await subject.load(probe_spec(tmp_path, warmup=tmp_path / "samples.json"))
        (version,) = subject.table.all()
        assert version.state == FAILED

    run(main)


def test_several_instances_share_the_work_and_all_end(tmp_path):
    async def main(pids):
        subject = loader()
        model = await subject.load(probe_spec(tmp_path, instances=Instances(min=3)))
        pids += workers(model)
        assert len(set(pids)) == 3
        os.kill(pids[0], signal.SIGKILL)
        assert await asyncio.gather(*(ask(subject.table, i) for i in range(30))) == [
            2 * i for i in range(30)
        ]
        while subject.table.find("probe").describe()["instances"][0]["state"] != "ready":
            await asyncio.sleep(0.01)
        pids += workers(model)
        await subject.unload("probe", "1", 1.0)
        with pytest.raises(NotFound):
            subject.table.find("probe")
        await subject.unload("probe", "1", 1.0)  # once more is no error

    run(main)


def test_one_of_several_instances_that_cannot_start_ends_the_others(tmp_path, monkeypatch):
    started = []

    async def main(pids):
        subject = loader()
        make = subject._executor

        def broken(spec, index, curve, threads):
            executor = make(spec, index, curve, threads)
            started.append(executor)
            if index == 1:
                spec = probe_spec(
                    tmp_path, options={"class": "probe:Nothing", "directory": str(tmp_path)}
                )
                executor = make(spec, index, curve, threads)
            return executor

        monkeypatch.setattr(subject, "_executor", broken)
        with pytest.raises(ModelFileError, match="Nothing"):
            await subject.load(probe_spec(tmp_path, instances=Instances(min=3)))
        assert len(started) == 3
        pids += [e.describe()["pid"] for e in started if e.describe()["pid"]]

    run(main)


def test_a_replacement_takes_over_without_a_gap_and_a_bad_one_does_not(tmp_path, monkeypatch):
    async def main(pids):
        subject = loader()
        old = await subject.load(probe_spec(tmp_path))
        pids += workers(old)
        done = asyncio.Event()

        async def traffic():
            count = 0
            while not done.is_set():
                count += 1
                assert await ask(subject.table, count) == 2 * count
                await asyncio.sleep(0)
            return count

        task = asyncio.create_task(traffic())
        bad = probe_spec(tmp_path, options={"class": "probe:Nothing", "directory": str(tmp_path)})
        with pytest.raises(ModelFileError, match="Nothing"):
            await subject.replace(bad)
        assert subject.table.find("probe").ready
        new = await subject.replace(probe_spec(tmp_path, batching=Batching(max_size=2)))
        pids += workers(new)
        assert subject.table.find("probe") is new.version
        await asyncio.sleep(0.05)
        done.set()
        assert await task > 10
        assert not exists(pids[0])
        await subject.stop(1.0)

    run(main)


def test_readiness_follows_what_becomes_of_the_workers(tmp_path):
    async def main(pids):
        subject = loader()
        model = await subject.load(probe_spec(tmp_path))
        version = model.version
        (tmp_path / "probe.py").write_text("raise RuntimeError('disk gone')\n")
        os.kill(workers(model)[0], signal.SIGKILL)
        while version.state != FAILED:
            await asyncio.sleep(0.01)
        assert "disk gone" in version.reason
        with pytest.raises(Unavailable, match="disk gone"):
            subject.table.resolve("probe")
        probe_spec(tmp_path)
        while version.state != READY:
            await asyncio.sleep(0.01)
        assert await ask(subject.table, 5) == 10
        pids += workers(model)
        await subject.stop(1.0)

    run(main)


def test_a_load_that_is_given_up_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_LOAD", "hang")

    async def main(pids):
        subject = loader()
        task = asyncio.create_task(subject.load(probe_spec(tmp_path)))
        await asyncio.sleep(0.4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await subject.stop(0.1)

    run(main)


def test_what_the_model_says_wins_over_the_server(tmp_path):
    async def main(pids):
        subject = loader(max_size=16, max_delay=0.001)
        model = await subject.load(probe_spec(tmp_path, batching=Batching(max_size=3)))
        assert model.batcher.limit == 3
        assert model.batcher._settings.max_delay == 0.001
        await subject.stop(0.1)
        subject = loader(max_size=5, executor="inline")
        model = await subject.load(probe_spec(tmp_path))
        assert model.batcher.limit == 5
        assert model.executors[0].describe()["executor"] == "inline"
        assert await ask(subject.table, 3) == 6
        await subject.stop(0.1)
        subject = loader(max_delay=0.3, executor="inline")
        spec = probe_spec(tmp_path, batching=Batching(max_delay=0.0), executor="process")
        model = await subject.load(spec)
        assert model.batcher._settings.max_delay == 0.0
        assert model.executors[0].describe()["executor"] == "process"
        await subject.stop(0.1)

    run(main)


SLOW = Curve(((1, 0.02), (2, 0.04)), parallel=1.0, threads=2)


@pytest.mark.parametrize(
    ("settings", "threads"),
    [({"slots": 1}, 2), ({"slots": 2}, 1), ({"slots": 1, "threads": 1}, 1)],
    ids=["cores left over", "none left over", "told"],
)
def test_a_job_gets_the_cores_that_slots_leave_over(tmp_path, monkeypatch, settings, threads):
    monkeypatch.setattr("inferd.control.loader.usable_cpus", lambda: 2)
    path = affine(tmp_path / "affine.onnx")

    async def main(pids):
        subject = loader(**settings)
        subject._curves.get = lambda key: SLOW
        (spec,) = scan([str(path)], Detector())
        model = await subject.load(spec)
        assert model.sizing.threads == threads
        assert [e._launch.threads for e in model.executors] == [threads]
        assert len(subject.models) == 1
        await subject.stop(0.1)

    run(main)


@pytest.mark.parametrize(
    ("told", "server", "count"),
    [
        (Instances(min=2), 1, 2),
        (Instances(max=1), 3, 1),
        (Instances(1, 2), 2, 2),
        (Instances(2, 2), None, 2),
    ],
    ids=["at-least", "at-most", "between", "exactly"],
)
def test_the_number_of_instances_stays_within_what_the_model_says(tmp_path, told, server, count):
    async def main(pids):
        subject = loader(instances=server)
        model = await subject.load(probe_spec(tmp_path, instances=told))
        assert len(model.executors) == model.sizing.instances == count
        await subject.stop(0.1)

    run(main)


def test_a_poison_does_not_change_readiness(tmp_path):
    async def main(pids):
        subject = loader()
        model = await subject.load(probe_spec(tmp_path))
        with pytest.raises(InferdError):
            await ask(subject.table, 1, ABORT)
        assert model.version.ready
        assert await ask(subject.table, 2) == 4
        assert model.version.describe()["quarantined"] == 1
        pids += workers(model)
        await subject.stop(1.0)

    run(main)
