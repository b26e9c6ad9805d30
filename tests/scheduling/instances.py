"""An executor in memory: it does what the test says, when the test says so."""

import asyncio

from tests.scheduling.entries import entry

from inferd.core.plan import BatchPlan
from inferd.execution.blocks import Block
from inferd.execution.executor import READY, RESTARTING, Curve, Executor, Loss, Name
from inferd.execution.frames import FAILED, OK, Outcome
from inferd.scheduling.batcher import Batcher
from inferd.scheduling.costs import Costs
from inferd.scheduling.settings import BatchSettings

ABORT = Loss("dead", "the worker was ended by SIGABRT")
KILL = Loss("dead", "the worker was ended by SIGKILL", external=True)
CURVE = Curve(((1, 0.001), (2, 0.001), (4, 0.001), (8, 0.001)))


class Instance(Executor):
    """Holds the jobs it is given; ``finish`` and ``lose`` end them."""

    def __init__(self, index=0, *, slots=1, prefetch=0):
        self.index = index
        self.state = READY
        self.reason = ""
        self.slots = slots
        self.prefetch = prefetch
        self.jobs = []
        self.seen = []
        self.cancelled = []
        self.abandoned = []
        self.owner = None

    @property
    def running(self):
        return len(self.jobs)

    @property
    def room(self):
        if self.state != READY or any(j.exclusive for j in self.jobs):
            return 0
        return self.slots + self.prefetch - len(self.jobs)

    def submit(self, job):
        assert self.room > 0
        assert not job.exclusive or not self.jobs
        self.jobs.append(job)
        self.seen.append([e.inputs["x"].copy() for e in job.entries])

    def spin(self, seconds):
        return False

    def cancel(self, job):
        if job in self.jobs:
            self.cancelled.append(job)

    def abandon(self, job, message):
        if job in self.jobs:
            self.abandoned.append(job)
            self.lose(Loss("stuck", message))

    def finish(self, job=None, *, errors=None, run=0.001, reruns=0):
        """Answer a job (the oldest): every entry gets its own input back as ``y``."""
        job = job or self.jobs[0]
        self.jobs.remove(job)
        errors = errors or {}
        count = len(job.entries)
        outcome = Outcome(
            bytes(FAILED if i in errors else OK for i in range(count)),
            [Block(1, {"y": e.inputs["x"]}) for i, e in enumerate(job.entries) if i not in errors],
            errors, run=run, rows=job.rows, reruns=reruns,
        )  # fmt: skip
        self.owner.finished(self, job, outcome)

    def lose(self, loss=ABORT):
        """End the worker: as many jobs as there are slots had started."""
        jobs, self.jobs = self.jobs, []
        self.state = RESTARTING
        self.owner.lost(self, jobs[: self.slots], jobs[self.slots :], loss)
        self.owner.changed(self)

    def become(self, state, reason=""):
        self.state, self.reason = state, reason
        self.owner.changed(self)


def batcher(
    *instances, plan=None, curve=CURVE, clock=None, observe=None, on_change=None, **settings
):
    given = {} if clock is None else {"clock": clock}
    subject = Batcher(
        Name("m", "1"), plan or BatchPlan(), Costs(curve), BatchSettings(**settings),
        observe=observe, on_change=on_change, **given,
    )  # fmt: skip
    for instance in instances:
        instance.owner = subject
    subject.attach(instances)
    return subject


def ask(subject, value=0.0, rows=1, **given):
    """Submit a request and return its entry."""
    one = entry(rows, future=asyncio.get_running_loop().create_future(), **given)
    one.future.add_done_callback(lambda done: done.cancelled() or done.exception())
    one.inputs["x"] = one.inputs["x"] + value
    subject.submit(one)
    return one


async def turn():
    """Let the event loop do what is due now."""
    for _ in range(3):
        await asyncio.sleep(0)
