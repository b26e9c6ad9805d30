"""A graceful stop under load, and a hand-over of the listening socket to the next server."""

import asyncio
import os
import signal
import socket
import time

import pytest
from tests.system import models
from tests.system.serving import Server, serving
from tests.system.traffic import Load, counts, request, run, summary


def values(index):
    return [float(index), 1.0, 2.0, 3.0]


def make(index):
    return request("/predict", values(index))


def right(shot):
    return shot.ok and shot.result == [2 * v + 1 for v in values(shot.index)]


def refused(shot):
    """Whether nobody listened any more: never accepted."""
    return shot.error.startswith("connect: ")


@pytest.mark.timeout(90)
@pytest.mark.parametrize("keep", [True, False], ids=["kept", "fresh"])
def test_sigterm_under_load_fails_nothing_accepted(tmp_path, keep):
    repository = models.acts(tmp_path / "models", seconds=0.02, more=["instances: 2"])
    for turn in range(3):
        server = Server(tmp_path / f"server{turn}", [repository]).wait_up()
        load = Load(server.data, make, keep=keep)

        async def scene(server=server, load=load):
            over = asyncio.Event()
            shooting = asyncio.create_task(load.open_loop(200, 8, stop=over))
            await asyncio.sleep(2)
            server.send(signal.SIGTERM)
            begin = time.monotonic()
            status = await asyncio.to_thread(server.process.wait, 30)
            seconds = time.monotonic() - begin
            await asyncio.sleep(0.3)
            over.set()
            await shooting
            return status, seconds, begin

        status, seconds, begin = run(scene())
        accepted = [s for s in load.shots if not refused(s)]
        late = [s for s in accepted if s.sent > begin]
        print(f"\nexit {status} after {seconds:.2f} s; {summary(accepted)}; {len(late)} sent after"
              f" the signal; refused {len(load.shots) - len(accepted)}")  # fmt: skip

        assert [s for s in accepted if not right(s)] == []
        assert len(late) > 100
        assert status == 0
        assert 1.0 <= seconds < 3.0
        assert "Traceback" not in server.log, server.log


@pytest.mark.timeout(60)
def test_what_runs_at_the_stop_is_answered(tmp_path):
    repository = models.acts(tmp_path / "models", seconds=1.5, more=["instances: 1"])
    server = Server(tmp_path / "server", [repository, "--drain-delay", "0.1"]).wait_up()
    load = Load(server.data, make)

    async def scene():
        asking = [asyncio.create_task(load.shoot(i)) for i in range(5)]
        await asyncio.sleep(0.3)
        server.send(signal.SIGTERM)
        await asyncio.gather(*asking)
        return await asyncio.to_thread(server.process.wait, 10)

    status = run(scene())

    assert [s for s in load.shots if not right(s)] == []
    assert status == 0


@pytest.mark.timeout(60)
@pytest.mark.parametrize("how", ["deadline", "second signal"])
def test_what_is_overdue_is_told_503(tmp_path, how):
    repository = models.acts(tmp_path / "models", seconds=20, quick=True)
    timeout = "1s" if how == "deadline" else "25s"
    arguments = ["--drain-delay", "0", "--stop-timeout", timeout]
    server = Server(tmp_path / "server", [repository, *arguments]).wait_up()
    load = Load(server.data, make)

    async def scene():
        asking = [asyncio.create_task(load.shoot(i)) for i in range(5)]
        await asyncio.sleep(0.5)
        begin = time.monotonic()
        server.send(signal.SIGTERM)
        if how != "deadline":
            await asyncio.sleep(0.5)
            server.send(signal.SIGTERM)
        await asyncio.gather(*asking)
        status = await asyncio.to_thread(server.process.wait, 10)
        return status, time.monotonic() - begin

    status, seconds = run(scene())
    print(f"\n{counts(load.shots)} exit {status} after {seconds:.2f} s")

    assert counts(load.shots) == {503: 5}
    assert seconds < 5
    assert "Traceback" not in server.log, server.log


@pytest.mark.timeout(60)
def test_an_inherited_socket_is_handed_over_without_a_failure(tmp_path):
    path = models.affine(tmp_path / "affine.onnx")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)
        fd = listening.fileno()
        address = listening.getsockname()

        def start(name):
            return Server(
                tmp_path / name, [path], env={"INFERD_LISTEN_FD": str(fd)}, pass_fds=(fd,)
            )  # fmt: skip

        first = start("first").wait_up()
        load = Load(address, make, keep=False)

        async def scene():
            shooting = asyncio.create_task(load.open_loop(200, 6))
            await asyncio.sleep(1)
            second = start("second")
            await asyncio.to_thread(second.wait_up)
            first.send(signal.SIGTERM)
            status = await asyncio.to_thread(first.process.wait, 30)
            await shooting
            return status, second

        status, second = run(scene())
        print(f"\n{summary(load.shots)}")

        assert status == 0
        assert [s for s in load.shots if not right(s)] == []
        assert second.metrics()["inferd_answered_total"] > 0
        assert os.get_inheritable(fd) is False
        assert second.stop()[0] == 0


@pytest.mark.timeout(60)
def test_a_changed_model_takes_over_under_load(tmp_path):
    repository = models.acts(tmp_path / "models")
    code = repository / "acts" / "1" / "acting.py"
    with serving(tmp_path / "server", repository, "--reload", traces=True) as server:
        load = Load(server.data, make)

        async def scene():
            shooting = asyncio.create_task(load.open_loop(200, 7))
            await asyncio.sleep(1)
            code.write_text(code.read_text().replace("x * 2", "x * 3"))
            await asyncio.sleep(3)
            code.write_text("this is not Python")
            await shooting

        run(scene())
        print(f"\n{summary(load.shots)}")
        factors = [(s.result[3] - 1) / 3 for s in sorted(load.shots, key=lambda s: s.index)]

        assert {s.status for s in load.shots} == {200}
        assert factors[0] == 2
        assert factors[-1] == 3
        assert set(factors) == {2, 3}
        assert "the old version serves on" in server.log
