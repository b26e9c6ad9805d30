"""Slow and greedy clients do not slow down the others, and slow ones are closed."""

import asyncio
import statistics
import time

import pytest
from tests.system import models
from tests.system.loris import Greedy, Slow
from tests.system.serving import serving
from tests.system.traffic import Load, counts, quantile, request, run, summary

RATE, SECONDS = 200, 4


def values(index):
    return [float(index), 1.0, 2.0, 3.0]


def make(index):
    return request("/models/affine/predict", values(index))


def right(shot):
    return shot.ok and shot.result == [2 * v + 1 for v in values(shot.index)]


def repository(folder):
    """``affine`` for the good clients, ``wide`` with answers of 200 KB for the slow readers."""
    for name, write in (("affine", models.affine), ("wide", models.wide)):
        path = folder / name / "1" / "model.onnx"
        path.parent.mkdir(parents=True)
        write(path)
    return folder


def held(quiet, pressed):
    """Whether the p99 under pressure stays within twice the quiet one and 5 ms."""
    ratios = [(q, p, p <= 2 * q + 0.005) for q, p in zip(quiet, pressed, strict=True)]
    print(
        "\n" + "; ".join(f"quiet {q * 1e3:.1f} ms, pressed {p * 1e3:.1f} ms" for q, p, _ in ratios)
    )
    return statistics.median(pressed) <= 2 * statistics.median(quiet) + 0.005


@pytest.mark.timeout(180)
def test_500_slow_connections(tmp_path):
    large = request("/models/wide/predict", [[1.5, 2.5, 3.5, 4.5]] * 5)
    with serving(tmp_path / "server", repository(tmp_path / "models")) as server:

        async def scene():
            quiet, pressed, last = [], [], None
            for turn in range(3):
                load = Load(server.data, make)
                await load.open_loop(RATE, SECONDS)
                quiet.append(quantile(load.shots, 0.99))
                last = Slow(server.data, 167, large)
                begin = time.monotonic()
                await last.open()
                await asyncio.sleep(1)
                under = Load(server.data, make)
                await under.open_loop(RATE, SECONDS)
                pressed.append(quantile(under.shots, 0.99))
                assert [s for s in load.shots + under.shots if not right(s)] == []
                if turn < 2:
                    await last.close()
            assert last.opened > 500
            async with asyncio.timeout(60):
                await last.all_closed()
            return quiet, pressed, time.monotonic() - begin

        quiet, pressed, seconds = run(scene())
        print(f"\nall closed {seconds:.0f} s after they were opened")

        assert held(quiet, pressed)
        assert seconds < 50
        assert server.metrics()["inferd_receiving_bytes"] == 0


@pytest.mark.timeout(180)
def test_a_client_that_loops_8_mib_bodies(tmp_path):
    with serving(tmp_path / "server", repository(tmp_path / "models")) as server:

        async def measure():
            load = Load(server.data, make)
            await load.open_loop(RATE, SECONDS)
            assert [s for s in load.shots if not right(s)] == [], summary(load.shots)
            return quantile(load.shots, 0.99)

        quiet, pressed, statuses = [], [], []
        for _ in range(3):
            quiet.append(run(measure()))
            with Greedy(server.data, "/models/affine/predict") as greedy:
                time.sleep(1)
                pressed.append(run(measure()))
            statuses += greedy.statuses
        print(f"\nthe greedy client was answered {statuses}")

        assert held(quiet, pressed)
        assert set(statuses) <= {200, 429}
        assert statuses.count(200) >= 3


@pytest.mark.timeout(60)
def test_a_client_that_leaves_cancels_its_request(tmp_path):
    record = tmp_path / "starts.jsonl"
    folder = models.acts(
        tmp_path / "models",
        seconds=0.3,
        record=record,
        more=["instances: 1", "batching: {max_size: 1}"],
    )
    with serving(tmp_path / "server", folder) as server:

        async def scene():
            load = Load(server.data, lambda i: request("/predict", values(i)), patience=0.1)
            await asyncio.gather(*(load.shoot(100 + i) for i in range(50)))
            patient = Load(server.data, lambda i: request("/predict", values(i)))
            shot = await patient.shoot(7)
            return load.shots, shot

        left, shot = run(scene())
        ran = [i for _, firsts in models.starts(record) for i in firsts if i >= 100]
        print(f"\n{counts(left)}; ran {len(ran)}; the next client waited {shot.seconds:.2f} s")

        assert right(shot)
        assert shot.seconds < 1
        assert len(ran) <= 2
        metrics = server.metrics()
        assert metrics["inferd_cancelled_total"] == 50
        assert metrics["inferd_in_flight"] == 0
