"""The batcher with executors in memory: who runs when, with whom, and what becomes of them."""

import asyncio
import functools
import inspect
import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scheduling.instances import ABORT, CURVE, KILL, Instance, ask, batcher, turn

from inferd.core.clock import FakeClock
from inferd.core.errors import (
    DeadlineExceeded,
    InvalidInput,
    ModelFailed,
    Overloaded,
    Quarantined,
    Unavailable,
)
from inferd.core.message import ADMITTED
from inferd.core.plan import BatchPlan
from inferd.execution.executor import FAILED, READY, STOPPED, Curve
from inferd.execution.streams import Stream
from inferd.scheduling import batcher as module
from inferd.scheduling import pace
from inferd.scheduling.admission import QueueLimits
from inferd.scheduling.spin import CALM


def on_loop(test):
    """Run a coroutine test on a loop of its own."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        async def bounded():
            async with asyncio.timeout(20):
                await test(*args, **kwargs)

        asyncio.run(bounded())

    run.__signature__ = inspect.signature(test)
    return run


def sizes(instance):
    return [len(s) for s in instance.seen]


def conserved(subject):
    counters, running = (
        subject.counters,
        sum(not e.future.done() for j in subject._jobs.values() for e in j.entries),
    )
    return counters.admitted == (
        counters.answered + counters.cancelled + subject.queue.entries + running
    )


@on_loop
async def test_an_idle_instance_takes_what_waits_at_once():
    one = Instance()
    subject = batcher(one)
    entries = [ask(subject, i) for i in range(5)]
    await turn()
    assert sizes(one) == [5], "requests of one turn share a batch"
    more = [ask(subject, 10 + i) for i in range(3)]
    await turn()
    assert sizes(one) == [5], "it is busy"
    one.finish()
    assert sizes(one) == [5, 3]
    one.finish()

    assert [e.future.result()["y"][0, 0] for e in (*entries, *more)] == [0, 1, 2, 3, 4, 10, 11, 12]
    assert conserved(subject) and not subject.busy


@on_loop
async def test_a_batch_holds_no_more_than_the_curve_says():
    one = Instance()
    subject = batcher(one, curve=Curve(((1, 0.01), (2, 0.011), (4, 0.012), (8, 0.03))))
    for _ in range(10):
        ask(subject)
    await turn()
    one.finish()
    one.finish()

    assert sizes(one) == [4, 4, 2]


@pytest.mark.parametrize(
    ("plan", "max_size", "limit"),
    [
        (BatchPlan(), 3, 3),
        (BatchPlan(), 700, 700),
        (BatchPlan(max_batch=2), 700, 2),
        (BatchPlan(max_batch=2), None, 2),
        (BatchPlan(batched=False), 8, 1),
        (BatchPlan(batched=False), None, 1),
    ],
    ids=["told", "told-much", "artifact-wins", "artifact", "unbatched-told", "unbatched"],
)
@on_loop
async def test_the_limit_is_what_is_told_and_what_the_artifact_bears(plan, max_size, limit):
    assert batcher(Instance(), plan=plan, max_size=max_size).limit == limit


@on_loop
async def test_the_least_busy_instance_is_chosen():
    one, two = Instance(0, slots=2), Instance(1, slots=2)
    subject = batcher(one, two, max_size=1)
    for _ in range(4):
        ask(subject)
    await turn()

    assert (one.running, two.running) == (2, 2)


@on_loop
async def test_a_lone_client_is_served_without_a_turn_of_the_loop():
    one = Instance()
    subject = batcher(one)
    for _ in range(2 * CALM):
        entry = ask(subject)
        await turn()
        one.finish()
        assert entry.future.done()
        await turn()
    ask(subject)
    assert one.running == 1
    ask(subject)
    assert one.running == 1 and subject.queue.entries == 1


@on_loop
async def test_a_configured_delay_lets_a_batch_grow_and_no_longer():
    one = Instance()
    subject = batcher(one, max_delay=0.05, max_size=4)
    first = ask(subject)
    await turn()
    assert one.running == 0
    ask(subject)
    began = time.monotonic()
    while not one.running:
        await asyncio.sleep(0.002)
    assert sizes(one) == [2]
    assert time.monotonic() - began < 1
    one.finish()
    assert first.future.done()
    for _ in range(4):
        ask(subject)
    await turn()
    assert sizes(one) == [2, 4], "a full batch waits for nobody"


@on_loop
async def test_a_delay_does_not_let_a_deadline_pass():
    one = Instance()
    subject = batcher(one, max_delay=30.0, curve=Curve(((1, 0.05),)))
    entry = ask(subject, deadline=time.monotonic() + 0.3)
    while not one.running:
        await asyncio.sleep(0.002)

    assert entry.dispatched < entry.deadline


@on_loop
async def test_errors_reach_their_own_request():
    one = Instance()
    subject = batcher(one)
    entries = [ask(subject, i) for i in range(3)]
    await turn()
    one.finish(errors={1: InvalidInput("this one is wrong")})

    assert entries[0].future.result()["y"][0, 0] == 0
    assert entries[2].future.result()["y"][0, 0] == 2
    with pytest.raises(InvalidInput, match="this one"):
        entries[1].future.result()


# -- deadlines and cancellation -----------------------------------------------------------------


@on_loop
async def test_a_deadline_is_answered_while_the_request_waits():
    one = Instance()
    subject = batcher(one)
    ask(subject)
    await turn()
    late = [ask(subject, deadline=time.monotonic() + 0.02 + i / 1000) for i in range(20)]
    patient = ask(subject)
    results = await asyncio.gather(*(e.future for e in late), return_exceptions=True)
    assert {type(r) for r in results} == {DeadlineExceeded}
    assert time.monotonic() - late[-1].deadline < 1
    assert subject.counters.expired == 20
    assert subject.queue.entries == 1
    one.finish()

    assert sizes(one) == [1, 1], "what has expired is not run"
    assert one.jobs[0].entries == [patient]
    assert conserved(subject)


@on_loop
async def test_a_request_with_too_little_time_is_refused_at_once():
    one = Instance()
    subject = batcher(one, max_size=1, curve=Curve(((1, 0.2),)))
    for _ in range(10):
        ask(subject)
    await turn()
    with pytest.raises(Overloaded) as caught:
        ask(subject, deadline=time.monotonic() + 0.5)
    assert 1.5 < caught.value.retry_after < 3
    with pytest.raises(DeadlineExceeded):
        ask(subject, deadline=time.monotonic() - 0.1)
    assert subject.counters.refused == 2


@on_loop
async def test_a_cancelled_request_is_dropped_before_it_runs():
    one = Instance()
    subject = batcher(one)
    ask(subject)
    await turn()
    gone, stays = ask(subject), ask(subject)
    subject.cancel(gone)
    one.finish()

    assert one.jobs[0].entries == [stays]
    assert gone.future.cancelled()
    assert subject.counters.cancelled == 1
    assert conserved(subject)


@on_loop
async def test_one_answered_and_cancelled_in_the_same_turn_counts_once():
    one = Instance()
    subject = batcher(one)
    entry = ask(subject)
    await turn()
    one.finish()
    subject.cancel(entry)

    assert (subject.counters.answered, subject.counters.cancelled) == (1, 0)
    assert conserved(subject)


@on_loop
async def test_a_job_is_taken_back_when_its_last_request_goes(monkeypatch):
    monkeypatch.setattr(module, "GRACE", 0.02)
    one = Instance()
    subject = batcher(one)
    first, second = ask(subject), ask(subject)
    await turn()
    subject.cancel(first)
    assert not one.cancelled
    subject.cancel(second)
    assert len(one.cancelled) == 1
    while not one.abandoned:
        await asyncio.sleep(0.005)
    assert not subject.busy
    assert conserved(subject)


@on_loop
async def test_a_job_that_ends_in_time_is_not_abandoned(monkeypatch):
    monkeypatch.setattr(module, "GRACE", 0.02)
    one = Instance()
    subject = batcher(one)
    entry = ask(subject, deadline=time.monotonic() + 0.01)
    with pytest.raises(DeadlineExceeded, match="while it ran"):
        await entry.future
    one.finish()
    await asyncio.sleep(0.05)

    assert not one.abandoned
    assert conserved(subject)


@on_loop
async def test_an_answer_in_pieces_whose_client_left_costs_nobody_else_the_worker(monkeypatch):
    monkeypatch.setattr(module, "GRACE", 0.02)
    one = Instance(slots=2)
    subject = batcher(one, max_size=1)
    left, stays = ask(subject), ask(subject)
    left.stream = stays.stream = Stream({})
    await turn()
    subject.cancel(left)
    await asyncio.sleep(0.1)  # a step that takes longer than the grace

    assert len(one.cancelled) == 1 and not one.abandoned
    one.finish(left.job)
    one.finish(stays.job)
    assert (await stays.future)["y"] == 0
    assert conserved(subject)


# -- full queues --------------------------------------------------------------------------------


@on_loop
async def test_queues_are_bounded_in_requests_and_in_bytes():
    subject = batcher(Instance(), limits=QueueLimits(entries=5, nbytes=100))
    for _ in range(5):
        ask(subject, nbytes=1)
    with pytest.raises(Overloaded, match="5 requests wait"):
        ask(subject, nbytes=1)

    subject = batcher(Instance(), limits=QueueLimits(entries=50, nbytes=100))
    ask(subject, nbytes=60)
    with pytest.raises(Overloaded, match="60 more are over 100"):
        ask(subject, nbytes=60)


@on_loop
async def test_a_later_step_of_an_admitted_request_is_let_in_and_goes_first():
    one = Instance()
    subject = batcher(one, max_size=1, limits=QueueLimits(entries=5, nbytes=100))
    for _ in range(5):
        ask(subject, nbytes=1)
    later = ask(subject, nbytes=1, priority=ADMITTED)
    with pytest.raises(Overloaded, match="99 more are over 100"):
        ask(subject, nbytes=99, priority=ADMITTED)
    with pytest.raises(DeadlineExceeded):
        ask(subject, deadline=time.monotonic() - 1, priority=ADMITTED)
    await turn()
    while not later.future.done():
        one.finish()
        await turn()

    assert len(one.seen) <= 3
    assert conserved(subject)


@on_loop
async def test_an_entry_that_cannot_be_sent_is_answered(monkeypatch):
    one = Instance()
    subject = batcher(one)

    def fail(_job):
        raise ValueError("too long")

    monkeypatch.setattr(one, "submit", fail)
    entry = ask(subject)
    with pytest.raises(Exception, match="cannot be sent to a worker: too long"):
        await entry.future
    assert not subject.busy
    assert conserved(subject)


# -- lost workers ---------------------------------------------------------------------------------


@on_loop
async def test_what_ran_is_replayed_alone_and_what_waited_goes_back_as_it_was():
    one = Instance(prefetch=1)
    subject = batcher(one, max_size=2)
    entries = [ask(subject, i) for i in range(6)]
    await turn()
    assert sizes(one) == [2, 2]
    one.lose(KILL)
    assert subject.queue.entries == 6
    one.become(READY)
    while one.jobs:
        assert not one.jobs[0].exclusive or len(one.jobs) == 1
        one.finish()
    assert sorted(sizes(one)) == [1, 1, 2, 2, 2, 2]
    assert [e.future.result()["y"][0, 0] for e in entries] == list(range(6))
    assert subject.counters.replayed == 2
    assert conserved(subject)


@pytest.mark.parametrize("instances", [1, 2], ids=str)
@on_loop
async def test_a_poison_among_good_ones_costs_two_deaths_and_is_then_refused(instances):
    workers = [Instance(i, prefetch=1) for i in range(instances)]
    subject = batcher(*workers, max_size=8)
    entries = [ask(subject, i) for i in range(40)]
    deaths = 0
    while not all(e.future.done() for e in entries):
        await turn()
        for worker in workers:
            if not worker.jobs:
                continue
            if any(e.inputs["x"][0, 0] == 13 for e in worker.jobs[0].entries):
                deaths += 1
                worker.lose(ABORT)
                worker.become(READY)
            else:
                worker.finish()
    assert deaths == 2
    for i, entry in enumerate(entries):
        if i == 13:
            with pytest.raises(ModelFailed, match="SIGABRT"):
                entry.future.result()
        else:
            assert entry.future.result()["y"][0, 0] == i
    with pytest.raises(Quarantined):
        ask(subject, 13)
    assert subject.counters.quarantined == 1
    assert ask(subject, 14)
    assert conserved(subject)


@on_loop
async def test_good_requests_go_on_while_a_suspect_waits_for_a_free_worker():
    one, two = Instance(0), Instance(1)
    subject = batcher(one, two, max_size=1)
    first, second = ask(subject, 1), ask(subject, 2)
    await turn()
    one.lose(KILL)
    for i in range(4):
        ask(subject, 10 + i)
    await turn()
    assert two.jobs[0].entries == [second], "the only worker is kept free for the suspect"
    two.finish()
    await turn()
    assert two.jobs[0].entries == [first] and two.jobs[0].exclusive
    one.become(READY)
    await turn()
    assert one.running == 1, "others go on elsewhere"
    assert not one.jobs[0].exclusive


@on_loop
async def test_a_worker_kept_free_for_a_suspect_that_left_works_on():
    one, two = Instance(0), Instance(1)
    subject = batcher(one, two, max_size=1)
    suspect, running = ask(subject, 1), ask(subject, 2)
    await turn()
    one.lose(KILL)
    good = ask(subject, 3)
    await turn()
    subject.cancel(suspect)
    two.finish()
    await turn()

    assert running.future.done()
    assert two.jobs and two.jobs[0].entries == [good]


@on_loop
async def test_a_model_without_replay_fails_what_ran():
    one = Instance(prefetch=1)
    subject = batcher(one, replay=False, max_size=1)
    ran, waited = ask(subject, 1), ask(subject, 2)
    await turn()
    one.lose(KILL)
    with pytest.raises(ModelFailed):
        ran.future.result()
    one.become(READY)
    one.finish()

    assert waited.future.result()["y"][0, 0] == 2


@on_loop
async def test_requests_wait_while_workers_restart_and_are_refused_once_they_cannot():
    changes = []
    one = Instance()
    subject = batcher(one, on_change=lambda: changes.append(one.state))
    one.lose(KILL)
    waiting = ask(subject)
    assert not waiting.future.done()
    one.become(FAILED, "the file is gone")
    with pytest.raises(Unavailable, match="the file is gone") as caught:
        waiting.future.result()
    assert caught.value.retry_after > 0
    with pytest.raises(Unavailable, match="the file is gone"):
        ask(subject)
    one.become(READY)
    entry = ask(subject)
    await turn()
    one.finish()
    assert entry.future.done()
    assert changes == ["restarting", "failed", "ready"]
    assert conserved(subject)


@on_loop
async def test_closing_answers_everyone_with_the_reason():
    one = Instance(prefetch=1)
    subject = batcher(one, max_size=1)
    entries = [ask(subject, i) for i in range(4)]
    await turn()
    assert subject.busy
    subject.close(Unavailable("the server is stopping", retry_after=1.0))
    for entry in entries:
        with pytest.raises(Unavailable, match="stopping"):
            entry.future.result()
    with pytest.raises(Unavailable, match="stopping"):
        ask(subject)
    one.finish()
    one.become(STOPPED)
    assert conserved(subject)


# -- learning -------------------------------------------------------------------------------------


@on_loop
async def test_live_batches_move_the_limit():
    one = Instance()
    subject = batcher(one, curve=Curve(((1, 0.001), (2, 0.001), (4, 0.001))))
    assert subject.limit == 8
    for _ in range(2 * pace.REVIEW_EVERY):
        if subject.limit != 8:
            break
        for _ in range(8):
            ask(subject)
        await turn()
        while one.jobs:
            one.finish(run=0.1)
            await turn()
    assert subject.limit == 4, "eight at once turned out to cost much more"


@on_loop
async def test_batches_shrink_as_the_rerun_budget_empties_and_grow_again():
    one = Instance()
    subject = batcher(one, max_size=32)

    async def wave():
        for _ in range(32):
            ask(subject)
        await turn()

    await wave()
    assert sizes(one)[-1] == 32
    one.finish(reruns=2048)
    await wave()
    assert sizes(one)[-1] < 4
    while one.jobs or subject.queue.entries:
        one.finish()
        await turn()
    for _ in range(60):
        await wave()
        while one.jobs:
            one.finish()
            await turn()
    assert sizes(one)[-1] == 32


@on_loop
async def test_every_finished_job_is_observed():
    seen = []
    one = Instance()
    subject = batcher(
        one, observe=lambda job, outcome: seen.append((len(job.entries), outcome.rows))
    )
    ask(subject)
    ask(subject, rows=3)
    await turn()
    one.finish()
    await turn()

    assert seen == [(2, 4)]


@on_loop
async def test_an_alarm_for_far_deadlines_does_not_run_all_the_time(monkeypatch):
    clock = FakeClock()
    subject = batcher(Instance(), clock=clock)
    ask(subject)
    await turn()
    calls = []
    monkeypatch.setattr(subject, "_set_alarm", lambda deadline: calls.append(deadline))
    for i in range(100):
        ask(subject, deadline=clock.now + 10 + i / 1e6)
    clock.advance(10)
    subject._alarm_at = clock.now
    subject._expire()

    assert calls[-1] >= clock.now + module.ALARM_STEP


# -- everything at once ---------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3), st.booleans())
def test_whatever_happens_every_request_is_answered_once_with_its_own_answer(seed, count, ragged):
    asyncio.run(storm(random.Random(seed), count, ragged))


async def storm(rng, count, ragged):
    workers = [
        Instance(i, slots=rng.choice([1, 2]), prefetch=rng.choice([0, 1])) for i in range(count)
    ]
    plan = BatchPlan(length=("x", 1)) if ragged else BatchPlan()
    subject = batcher(*workers, plan=plan, max_size=rng.choice([1, 4, 32]))
    entries, cancelled = [], set()
    for step in range(120):
        for _ in range(rng.randrange(4)):
            value = len(entries)
            one = ask_with(subject, value, rng, ragged)
            entries.append(one)
        if entries and rng.random() < 0.1:
            victim = rng.choice(entries)
            if not victim.future.done():
                cancelled.add(victim)
            if not victim.future.cancelled():
                subject.cancel(victim)
        await asyncio.sleep(0)
        act(rng, rng.choice(workers))
        assert conserved(subject)
        if step % 40 == 0:
            await turn()
    for _ in range(5000):
        if not subject.busy:
            break
        for worker in workers:
            if worker.state != READY:
                worker.become(READY)
            while worker.jobs:
                worker.finish()
        await turn()
    assert not subject.busy
    for value, one in enumerate(entries):
        assert one.future.done()
        if one in cancelled:
            assert one.future.cancelled()
        elif one.future.exception() is None:
            assert (one.future.result()["y"] == value).all()
        else:
            assert isinstance(one.future.exception(), ModelFailed)
    assert conserved(subject)
    assert subject.queue.rows == subject.queue.nbytes == 0


def ask_with(subject, value, rng, ragged):
    length = rng.choice([1, 2, 3, 50]) if ragged else 1
    one = ask(
        subject, length=length, priority=rng.choice([0, 0, 1]), rows=rng.choice([1, 1, 2, 40])
    )
    one.inputs["x"] = np.full(one.inputs["x"].shape, value)
    return one


def act(rng, worker):
    if worker.state != READY:
        worker.become(READY)
    elif worker.jobs and rng.random() < 0.25:
        worker.lose(rng.choice([ABORT, KILL]))
    elif worker.jobs:
        worker.finish(rng.choice(worker.jobs[: worker.slots]))


def test_the_curve_of_these_tests_gives_a_limit_of_many():
    assert len(CURVE.points) == 4
