"""One instance through deaths, stops, hangs and recycling: real processes, real signals."""

import asyncio
import logging
import os
import signal
import time

import pytest
from tests.execution.workers import (
    ABORT,
    EXIT,
    KILL,
    LATE,
    OK,
    PAUSE,
    PRINT,
    RAISE,
    SLEEP,
    Ear,
    exists,
    launch,
    pid_of,
    probe,
    probe_spec,
    values,
)

from inferd.core.errors import InferdError, InvalidInput, ModelFailed, ModelFileError
from inferd.execution import supervisor
from inferd.execution.executor import FAILED, READY, RESTARTING, STOPPED
from inferd.execution.supervisor import FAILURES_MAX, ProcessExecutor, parse_loaded


def run(coroutine):
    return asyncio.run(coroutine)


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_jobs_are_answered_and_bad_items_fail_alone(tmp_path):
    async def main():
        async with probe(tmp_path) as (executor, ear):
            assert executor.state == READY
            outcome = await ear.run(executor, (1, OK), (2, RAISE), (3, OK), (4, OK), (5, RAISE))
            assert values(outcome) == [2, None, 6, 8, None]
            assert {i: e.message for i, e in outcome.errors.items()} == {
                1: "the model raised ValueError: cannot take 2",
                4: "the model raised ValueError: cannot take 5",
            }
            assert outcome.reruns > 0
            assert executor.restarts == {}
        assert executor.state == STOPPED

    run(main())


def test_a_model_that_changes_its_input_in_place_gives_right_answers_when_rerun(tmp_path):
    async def main():
        async with probe(tmp_path) as (executor, ear):
            outcome = await ear.run(executor, (1, LATE), (2, OK), (3, OK))
            assert values(outcome) == [None, 4, 6]
            assert outcome.errors[0].message.endswith("late: 1")

    run(main())


def test_a_batch_fails_as_one_when_nothing_may_be_run_again(tmp_path):
    async def main():
        async with probe(tmp_path) as (executor, ear):
            outcome = await ear.run(executor, (1, OK), (2, RAISE), budget=0)
            assert values(outcome) == [None, None]
            assert outcome.reruns == 0

    run(main())


def test_a_call_of_exit_is_the_models_failure_and_no_death(tmp_path):
    async def main():
        async with probe(tmp_path) as (executor, ear):
            outcome = await ear.run(executor, (1, OK), (2, EXIT))
            assert values(outcome) == [2, None]
            assert isinstance(outcome.errors[1], ModelFailed)
            assert not ear.losses

    run(main())


@pytest.mark.parametrize(
    ("order", "external", "words"),
    [(ABORT, False, "SIGABRT"), (KILL, True, "SIGKILL")],
    ids=["abort", "kill"],
)
def test_a_dead_worker_is_reported_with_its_jobs_and_replaced(tmp_path, order, external, words):
    async def main():
        async with probe(tmp_path, prefetch=1) as (executor, ear):
            assert values(await ear.run(executor, (1, OK))) == [2]
            before = pid_of(executor)
            first, second = ear.job((1, PAUSE), (2, order)), ear.job((3, OK))
            executor.submit(first)
            executor.submit(second)
            await ear.until(lambda: ear.losses)
            ((loss, started, waiting),) = ear.losses
            assert (loss.reason, loss.external) == ("dead", external)
            assert words in loss.message
            assert (started, waiting) == ([first.id], [second.id])
            assert executor.state == RESTARTING and executor.room == 0
            await ear.until(lambda: executor.state == READY)
            assert pid_of(executor) != before
            assert executor.restarts == {"dead": 1}
            assert values(await ear.run(executor, (4, OK))) == [8]
            await ear.until(lambda: not exists(before))

    run(main())


def test_a_stopped_worker_is_replaced_within_four_seconds(tmp_path):
    async def main():
        async with probe(tmp_path) as (executor, ear):
            await ear.run(executor, (1, OK))
            before = pid_of(executor)
            job = ear.job((1, PAUSE))
            executor.submit(job)
            os.kill(before, signal.SIGSTOP)
            began = time.monotonic()
            await ear.until(lambda: executor.state == READY and pid_of(executor) != before)
            assert time.monotonic() - began < 4.0
            ((loss, _, _),) = ear.losses
            assert loss.reason == "dead" and not exists(before)

    run(main())


def test_a_busy_worker_is_not_taken_for_dead(tmp_path):
    source = """
    import time
    from inferd import Model

    class Probe(Model):
        inputs = {"x": ("float32", [-1, 2])}
        outputs = {"y": ("float32", [-1])}

        def predict(self, x):
            if x[0, 0] > 5:
                end = time.monotonic() + 2.6
                sum(range(10 ** 8))  # holds the interpreter: no heartbeat
                while time.monotonic() < end:
                    pass
            return x[:, 0]
    """

    async def main():
        async with probe(tmp_path, source=source) as (executor, ear):
            outcome = await ear.run(executor, (9, OK))
            assert values(outcome) == [9]
            assert not ear.losses

    run(main())


def test_a_stuck_batch_is_ended_and_one_that_waited_behind_a_slow_one_is_not(tmp_path):
    async def main():
        async with probe(tmp_path, run_timeout=0.8, prefetch=1) as (executor, ear):
            slow, behind = ear.job((0.5, SLEEP)), ear.job((0.5, SLEEP))
            executor.submit(slow)
            executor.submit(behind)
            await ear.until(lambda: len(ear.outcomes) == 2)
            assert not ear.losses, "together over the limit, each by itself under it"
            stuck = ear.job((60, SLEEP))
            executor.submit(stuck)
            await ear.until(lambda: ear.losses)
            ((loss, started, _),) = ear.losses
            assert loss.reason == "stuck" and started == [stuck.id]
            await ear.until(lambda: executor.state == READY)
            assert values(await ear.run(executor, (1, OK))) == [2]

    run(main())


def test_a_job_nobody_waits_for_is_abandoned_once_it_runs(tmp_path):
    async def main():
        async with probe(tmp_path, prefetch=1) as (executor, ear):
            runs, waits = ear.job((60, SLEEP)), ear.job((1, OK))
            executor.submit(runs)
            executor.submit(waits)
            await ear.until(lambda: executor._worker.started(runs))
            executor.abandon(waits, "nobody waits")
            assert not ear.losses, "a job that has not started is no reason to end another"
            executor.abandon(runs, "nobody waits")
            await ear.until(lambda: ear.losses)
            assert ear.losses[0][0].reason == "stuck"
            executor.abandon(runs, "nobody waits")  # gone already: nothing happens
            await ear.until(lambda: executor.state == READY)

    run(main())


def test_a_cancelled_job_is_dropped_before_it_runs(tmp_path, caplog):
    caplog.set_level(logging.INFO, "inferd.worker")

    async def main():
        async with probe(tmp_path, prefetch=1) as (executor, ear):
            slow, unwanted = ear.job((0.3, SLEEP)), ear.job((77, PRINT))
            executor.submit(slow)
            executor.submit(unwanted)
            executor.cancel(unwanted)
            await ear.until(lambda: len(ear.outcomes) == 2)
            outcome = ear.outcomes[unwanted.id][1]
            assert outcome.errors[0].kind == "deadline_exceeded"
            assert outcome.run == 0
            executor.cancel(unwanted)  # too late: nothing happens
            assert values(await ear.run(executor, (78, PRINT))) == [156]

    run(main())
    printed = [r.getMessage() for r in caplog.records]
    assert "seen 78" in printed and "seen 77" not in printed


def test_expired_entries_are_not_run_and_others_of_the_job_are(tmp_path):
    async def main():
        async with probe(tmp_path, prefetch=1) as (executor, ear):
            slow = ear.job((0.4, SLEEP))
            mixed = ear.job((1, OK), (2, OK), (3, OK))
            mixed.entries[1].deadline = time.monotonic() + 0.1
            executor.submit(slow)
            executor.submit(mixed)
            await ear.until(lambda: len(ear.outcomes) == 2)
            outcome = ear.outcomes[mixed.id][1]
            assert values(outcome) == [2, None, 6]
            assert outcome.errors[1].kind == "deadline_exceeded"

    run(main())


def test_what_a_worker_prints_reaches_the_log_with_the_models_name(tmp_path, caplog):
    caplog.set_level(logging.INFO, "inferd.worker")

    async def main():
        async with probe(tmp_path) as (executor, ear):
            await ear.run(executor, (5, PRINT))
            executor.submit(ear.job((6, PRINT), (7, ABORT)))
            await ear.until(lambda: ear.losses and executor.state == READY)

    run(main())
    said = [r for r in caplog.records if r.getMessage().startswith(("probe is", "seen"))]
    assert [r.getMessage() for r in said][:3] == ["probe is loading", "seen 5", "seen 6"]
    assert all((r.fields["model"], r.fields["version"]) == ("probe", "1") for r in said)
    assert {r.levelno for r in said} == {logging.INFO}


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("raise", "no such weights"),
        ("die", "exited with status 7"),
        ("exit", "loading it raised SystemExit"),
    ],
    ids=str,
)
def test_a_model_that_cannot_be_loaded_says_why_and_leaves_nothing(
    tmp_path, monkeypatch, mode, words
):
    monkeypatch.setenv("PROBE_LOAD", mode)

    async def main():
        executor = ProcessExecutor(launch(probe_spec(tmp_path)))
        with pytest.raises(ModelFileError) as caught:
            await executor.start(Ear())
        assert words in caught.value.message
        assert executor.state == FAILED
        assert words in executor.reason
        await executor.stop(0)

    before = descriptors()
    run(main())
    assert descriptors() == before


def test_loading_has_its_own_time_limit(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_LOAD", "hang")

    async def main():
        executor = ProcessExecutor(launch(probe_spec(tmp_path), load_timeout=0.7))
        with pytest.raises(ModelFileError, match=r"longer than 0\.7 s") as caught:
            await executor.start(Ear())
        assert "load_timeout" in caught.value.help
        await executor.stop(0)

    run(main())


def test_a_load_that_is_given_up_leaves_no_process(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_LOAD", "hang")

    async def main():
        executor = ProcessExecutor(launch(probe_spec(tmp_path)))
        task = asyncio.create_task(executor.start(Ear()))
        ear = Ear()
        await ear.until(lambda: executor._loading)
        (worker,) = executor._loading
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not exists(worker.pid)
        await executor.stop(0)

    run(main())


def test_an_instance_that_cannot_come_back_is_failed_and_still_tried(tmp_path, monkeypatch):
    async def main():
        async with probe(tmp_path) as (executor, ear):
            await ear.run(executor, (1, OK))
            source = (tmp_path / "probe.py").read_text()
            (tmp_path / "probe.py").write_text("import nothing_of_this_name\n")
            os.kill(pid_of(executor), signal.SIGKILL)
            await ear.until(lambda: executor.state == FAILED)
            assert "nothing_of_this_name" in executor.reason
            assert executor.room == 0
            (tmp_path / "probe.py").write_text(source)
            await ear.until(lambda: executor.state == READY)
            assert values(await ear.run(executor, (1, OK))) == [2]
            assert executor._failures == 0

    run(main())


def test_deaths_before_the_first_answer_count_and_an_idle_kill_does_not(tmp_path):
    async def main():
        async with probe(tmp_path) as (executor, ear):
            for _ in range(FAILURES_MAX + 1):
                before = pid_of(executor)
                os.kill(before, signal.SIGKILL)
                await ear.until(lambda: pid_of(executor) not in (None, before))
            assert executor._failures == 0
            for death in range(1, FAILURES_MAX + 1):
                await ear.until(lambda: executor.room > 0)
                executor.submit(ear.job((1, ABORT)))
                await ear.until(lambda: executor._failures == death)
            assert executor.state == FAILED
            assert FAILED in ear.states
            await ear.until(lambda: executor.state == READY)
            assert values(await ear.run(executor, (1, OK))) == [2]

    run(main())


def test_a_recycled_worker_loses_no_request(tmp_path):
    async def main():
        async with probe(tmp_path, recycle_after=10, prefetch=1) as (executor, ear):
            pids = set()
            for i in range(60):
                pids.add(pid_of(executor))
                assert values(await ear.run(executor, (i, PAUSE if i % 10 == 0 else OK))) == [2 * i]
                await asyncio.sleep(0.01)
            await ear.until(lambda: executor.restarts.get("recycled", 0) >= 2)
            assert not ear.losses
            assert len(pids) >= 2
            await ear.until(lambda: sum(map(exists, pids)) <= 2)

    run(main())


def test_slots_run_jobs_at_once(tmp_path):
    source = """
    import time
    from inferd import Model

    class Probe(Model):
        inputs = {"x": ("float32", [-1, 2])}
        outputs = {"y": ("float32", [-1])}

        def predict(self, x):
            time.sleep(0.3)
            return x[:, 0]
    """

    async def main():
        async with probe(tmp_path, source=source, slots=4) as (executor, ear):
            began = time.monotonic()
            jobs = [ear.job((i, OK)) for i in range(4)]
            for job in jobs:
                executor.submit(job)
            assert executor.room == 0
            await ear.until(lambda: len(ear.outcomes) == 4)
            assert time.monotonic() - began < 1.0
            assert [values(ear.outcomes[j.id][1]) for j in jobs] == [[0], [1], [2], [3]]

    run(main())


def test_nothing_shares_a_worker_with_an_exclusive_job(tmp_path):
    async def main():
        async with probe(tmp_path, slots=2, prefetch=1) as (executor, ear):
            executor.submit(ear.job((0.05, SLEEP), exclusive=True))
            assert executor.room == 0
            await ear.until(lambda: ear.outcomes)
            assert executor.room == 3

    run(main())


def test_stopping_waits_for_what_runs_and_no_longer_than_the_grace(tmp_path):
    async def main():
        async with probe(tmp_path) as (executor, ear):
            job = ear.job((0.3, SLEEP))
            executor.submit(job)
            await executor.stop(10.0)
            assert values(ear.outcomes[job.id][1]) == [pytest.approx(0.6)]
        async with probe(tmp_path) as (executor, ear):
            executor.submit(ear.job((60, SLEEP)))
            began, pid = time.monotonic(), pid_of(executor)
            await executor.stop(0.2)
            assert time.monotonic() - began < 5
            assert len(ear.losses) == 1, "who waits for the job must hear of it"
            assert not exists(pid)

    run(main())


def test_fifty_kills_leak_no_descriptor_no_process_and_no_memory(tmp_path):
    async def main():
        async with probe(tmp_path, memory_size=1 << 22) as (executor, ear):
            pids = []
            for cycle in range(52):
                assert values(await ear.run(executor, (cycle, OK))) == [2 * cycle]
                if cycle == 2:
                    await asyncio.sleep(0.3)
                    before, maps = descriptors(), mapped()
                pids.append(pid_of(executor))
                os.kill(pids[-1], signal.SIGKILL)
                await ear.until(lambda: len(ear.losses) == cycle + 1)
            await ear.until(lambda: executor.state == READY)
            await ear.until(lambda: not any(map(exists, pids)))
            await ear.until(lambda: descriptors() <= before)
            assert mapped() <= maps
            assert executor.restarts == {"dead": 52}

    run(main())


def mapped():
    """Count the mappings of workers' memory in this process."""
    with open("/proc/self/maps") as file:
        return sum("memfd:inferd" in line for line in file)


def test_the_loop_is_not_blocked_by_deaths_and_restarts(tmp_path):
    async def main():
        gaps = []

        async def pulse():
            last = time.monotonic()
            while True:
                await asyncio.sleep(0.005)
                now = time.monotonic()
                gaps.append(now - last)
                last = now

        async with probe(tmp_path) as (executor, ear):
            task = asyncio.create_task(pulse())
            for i in range(4):
                await ear.run(executor, (i, OK))
                executor.submit(ear.job((1, ABORT)))
                await ear.until(lambda: len(ear.losses) == i + 1)
            task.cancel()
        assert max(gaps) < 0.15

    run(main())


@pytest.mark.parametrize("answer", [{}, {"signature": 3}, {"plan": {}}], ids=str)
def test_nonsense_in_a_load_answer_is_not_taken_for_a_model(answer):
    with pytest.raises((InferdError, LookupError, TypeError, AttributeError)):
        parse_loaded(answer)


def test_nonsense_in_a_load_answer_is_told_with_the_model_and_in_words(tmp_path, monkeypatch):
    def refuses(answer):
        raise InvalidInput("the golden request is empty")

    monkeypatch.setattr(supervisor, "parse_loaded", refuses)

    async def main():
        executor = ProcessExecutor(launch(probe_spec(tmp_path)))
        with pytest.raises(InferdError) as caught:
            await executor.start(Ear())
        assert caught.value.message.startswith("model probe v1: ")
        assert caught.value.message.endswith(": the golden request is empty")
        assert executor.state == FAILED

    run(main())
