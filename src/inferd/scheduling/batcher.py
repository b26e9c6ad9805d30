"""The batcher: a thin shell that moves requests between queue and executors.

Work-conserving: as soon as an instance has room it is given what waits, up to the limit that the
cost curve sets. Requests that arrive within one turn of the event loop are seen together, because
dispatch runs at the end of the turn (at once while they come one by one); only a configured
``max_delay`` ever waits longer. The decisions are elsewhere: ``queue`` (who), ``costs`` (how many),
``admission`` (whether), ``fate`` (what becomes of requests whose worker was lost).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence

from inferd.core.clock import Clock, monotonic
from inferd.core.errors import DeadlineExceeded, InferdError, Quarantined, Unavailable
from inferd.core.message import ADMITTED
from inferd.core.plan import BatchPlan
from inferd.core.tensor import Tensors
from inferd.execution.blocks import each
from inferd.execution.executor import FAILED, READY, STOPPED, Entry, Executor, Job, Loss, Name
from inferd.execution.frames import OK, Outcome
from inferd.scheduling.admission import Load, refuse
from inferd.scheduling.budget import RerunBudget
from inferd.scheduling.costs import Costs
from inferd.scheduling.fate import Verdict, judge
from inferd.scheduling.pace import Pace
from inferd.scheduling.quarantine import Quarantine
from inferd.scheduling.queue import EntryQueue
from inferd.scheduling.settings import BatchSettings, Counters, Observer
from inferd.scheduling.spin import LONGEST, Spin
from inferd.telemetry.logs import Log

log = Log("batcher")

SHORT = 64
GRACE = 1.0
ALARM_STEP = 0.005  # deadlines are answered this late at most, so that a full queue costs little


class Batcher:
    """Forms batches for one model version and answers their requests. Owner of its executors."""

    def __init__(
        self,
        label: Name,
        plan: BatchPlan,
        costs: Costs,
        settings: BatchSettings,
        *,
        clock: Clock = monotonic,
        observe: Observer | None = None,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self.label = label
        self.costs = costs
        self.queue = EntryQueue(ragged=plan.length is not None, held=settings.max_delay > 0)
        self.quarantine = Quarantine(clock)
        self.counters = Counters()
        self.executors: list[Executor] = []
        self._settings = settings
        self._plan = plan
        self._clock = clock
        self._observe = observe
        self._on_change = on_change
        self._budget = RerunBudget()
        self._ids = itertools.count(1)
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self._reserved: Executor | None = None
        self._delay: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = float("inf")
        self._jobs: dict[int, Job] = {}
        self._spin = Spin()
        self._closed: InferdError | None = None
        self._pace = Pace(costs, plan, settings, clock)
        self._short = 0
        self.review()

    @property
    def limit(self) -> int:
        """The rows of one batch, as now decided."""
        return self._pace.limit

    # -- admission ------------------------------------------------------------------------------

    def submit(self, entry: Entry) -> None:
        """Admit a request into the queue, or raise why not."""
        now = self._clock()
        queue = self.queue
        # A short queue on live instances is never refused: no decision to take.
        if (
            queue.entries >= self._short
            or queue.rows * self._pace.row_seconds >= entry.deadline - now
            or queue.nbytes + entry.nbytes > self._settings.limits.nbytes
        ):
            self._admit(entry, now)
        if len(self.quarantine) and self.quarantine.holds(entry.inputs):
            self.counters.quarantined += 1
            raise Quarantined(
                "this input ended a worker before and is not run again",
                help="it is held for some minutes; a new version of the model accepts it again",
            )
        entry.enqueued = now
        self.counters.admitted += 1
        if entry.deadline < self._alarm_at:
            self._set_alarm(entry.deadline)
        if self._spin.calm and not queue.entries and not self._settings.max_delay:
            executor = self._pick()
            if executor is not None and not executor.running:
                self._give(executor, [entry], exclusive=False)
                if self._spin.worth(self.costs.seconds(1)):
                    self._spin.waited(executor.spin(LONGEST))
                return
            self._spin.crowded()
        queue.push(entry)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._dispatch)

    def _admit(self, entry: Entry, now: float) -> None:
        queue = self.queue
        load = Load(
            queue.entries, queue.rows, queue.nbytes, self._pace.rate, self._alive(), self.reason()
        )
        refusal = self._closed or refuse(
            load, self._settings.limits, rows=entry.rows, nbytes=entry.nbytes, now=now,
            deadline=entry.deadline, admitted=entry.priority == ADMITTED,
        )  # fmt: skip
        if refusal is not None:
            self.counters.refused += 1
            try:
                raise refusal.with_traceback(None)  # one error may refuse many
            finally:
                del refusal  # its traceback holds this frame

    def cancel(self, entry: Entry) -> None:
        """Forget a request whose client is gone; it is dropped before it runs, where it waits."""
        if entry.future.done() and not entry.future.cancelled():
            return  # answered in the same turn
        self.counters.cancelled += 1
        self.queue.discard(entry)
        if not entry.future.done():
            entry.future.cancel()
        if entry.job is not None:
            self._deserted(entry.job)

    def taken(self, entry: Entry, count: int) -> None:
        """A client has taken ``count`` pieces of its answer."""
        if entry.job is not None:
            for executor in self.executors:
                executor.taken(entry.job, count)

    def _alive(self) -> bool:
        return any(e.state not in (FAILED, STOPPED) for e in self.executors)

    def reason(self) -> str:
        """Say why nothing serves, or an empty text."""
        return next((e.reason for e in self.executors if e.state == FAILED), "")

    # -- dispatch ---------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        self._scheduled = False
        queue = self.queue
        if queue.suspects:
            self._dispatch_suspects()
        else:
            self._reserved = None
        while queue.entries:
            executor = self._pick()
            if executor is None:
                return
            rows = self._pace.rows(queue.rows, sum([job.rows for job in self._jobs.values()]))
            wait = self._pace.wait(queue, rows)
            if wait > 0:
                self._dispatch_in(wait)
                return
            batch = queue.take(self._budget.batch_within(rows))
            if not batch:
                return
            self._give(executor, batch, exclusive=False)

    def _dispatch_in(self, seconds: float) -> None:
        """Let the next batch grow for a while."""
        if self._delay is not None:
            self._delay.cancel()
        self._delay = self._loop.call_later(seconds, self._dispatch)

    def _pick(self) -> Executor | None:
        best: Executor | None = None
        least = 1 << 30
        for executor in self.executors:
            if executor is not self._reserved and executor.room > 0 and executor.running < least:
                best, least = executor, executor.running
        return best

    def _dispatch_suspects(self) -> None:
        """Run suspects alone: on an idle instance, else on one kept free of other work for them."""
        queue = self.queue
        for executor in self.executors:
            if not queue.suspects:
                break
            if executor.room > 0 and not executor.running:
                entry = queue.take_suspect()
                if entry is not None:
                    self._give(executor, [entry], exclusive=True)
        self._reserved = None
        if queue.suspects:
            ready = [e for e in self.executors if e.state == READY]
            self._reserved = min(ready, key=lambda e: e.running, default=None)

    def _give(self, executor: Executor, batch: list[Entry], *, exclusive: bool) -> None:
        now = self._clock()
        rows = 0
        job = Job(next(self._ids), batch, 0, exclusive=exclusive)
        for entry in batch:
            entry.dispatched = now
            entry.job = job
            rows += entry.rows
        job.rows = rows
        job.budget = self._budget.available
        self._jobs[job.id] = job
        try:
            executor.submit(job)
        except Exception as error:  # nothing was sent: nobody else would answer these requests
            log.error("a batch cannot be sent", exc=error, **self.label.fields)
            self._jobs.pop(job.id, None)
            for entry in batch:
                self._settle(entry, InferdError(f"the request cannot be sent to a worker: {error}"))

    # -- what executors report ----------------------------------------------------------------------

    def finished(self, executor: Executor, job: Job, outcome: Outcome) -> None:
        """Answer the requests of a job."""
        self._jobs.pop(job.id, None)
        job.outcome = outcome
        self._pace.answered(len(job.entries), self.queue.entries, outcome.run)
        if self.queue.entries:
            self._dispatch()
        self._answer(job, outcome)
        self._loop.call_soon(self._account, job, outcome)  # after those who wait for an answer

    def _account(self, job: Job, outcome: Outcome) -> None:
        """Learn from a finished job."""
        self._spin.ran(len(job.entries))
        if outcome.reruns:
            self._budget.spend(min(outcome.reruns, self._budget.available))
        elif outcome.run:
            self.costs.observe(outcome.rows, outcome.run + outcome.batch)
        self._budget.earn(len(job.entries))
        if self._observe is not None:
            self._observe(job, outcome)
        job.entries = []  # a job and its entries hold each other: large tensors must not wait for gc
        self._pace.ran(self.executors)

    def _answer(self, job: Job, outcome: Outcome) -> None:
        outputs = each(outcome.blocks)
        if not outcome.errors:
            for entry, tensors in zip(job.entries, outputs, strict=True):
                if not entry.future.done():
                    entry.future.set_result(tensors)
                    self.counters.answered += 1
            return
        good = iter(outputs)
        for i, entry in enumerate(job.entries):
            result = next(good) if outcome.status[i] == OK else outcome.errors[i]
            self._settle(entry, result)

    def _settle(self, entry: Entry, result: Tensors | InferdError) -> None:
        if entry.future.done():
            return
        self.counters.answered += 1
        if isinstance(result, InferdError):
            entry.future.set_exception(result)
        else:
            entry.future.set_result(result)

    def lost(self, executor: Executor, started: list[Job], waiting: list[Job], loss: Loss) -> None:
        """Decide what becomes of the requests of a lost worker."""
        back: list[Entry] = []
        for job in (*started, *waiting):
            self._jobs.pop(job.id, None)
            for entry in job.entries:
                entry.job = None
                if entry.future.done():
                    continue
                verdict, error = judge(
                    entry, job, loss, started=len(started) if job in started else 0, replay=self._settings.replay,
                    budget=self._budget,
                )  # fmt: skip
                if verdict is Verdict.FAIL and error is not None:
                    self._settle(entry, error)
                elif verdict is Verdict.QUARANTINE and error is not None:
                    self.quarantine.add(entry.inputs)
                    self._settle(entry, error)
                else:
                    self.counters.replayed += verdict is Verdict.REPLAY
                    back.append(entry)
        if executor is self._reserved:
            self._reserved = None
        self.queue.push_front(sorted(back, key=lambda e: e.seq))
        self._dispatch()

    def changed(self, executor: Executor) -> None:
        """An executor's state changed: work out rates anew, flush or dispatch."""
        self.review()
        if not self._alive():
            error = Unavailable(f"no worker can serve this model: {self.reason()}", retry_after=5.0)
            for entry in self.queue.clear():
                self._settle(entry, error)
        else:
            self._dispatch()
        if self._on_change is not None:
            self._on_change()

    def review(self) -> None:
        """Recompute batch limit and service rate from the costs as now known."""
        pace = self._pace
        pace.review(self.executors)
        bound = min(SHORT, self._settings.limits.entries)
        self._short = bound if pace.ready and not self._closed else 0

    # -- deadlines ----------------------------------------------------------------------------------

    def _set_alarm(self, deadline: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = deadline
        if deadline < float("inf"):
            self._alarm = self._loop.call_later(max(0.0, deadline - self._clock()), self._expire)

    def _expire(self) -> None:
        """Answer every request whose deadline has passed, waiting or running."""
        now = self._clock()
        earliest = float("inf")
        self._alarm = None
        running = [e for job in self._jobs.values() for e in job.entries]
        for entry in [*self.queue.waiting(), *running]:
            if entry.future.done():
                continue
            if entry.deadline > now:
                earliest = min(earliest, entry.deadline)
                continue
            self.queue.discard(entry)
            self.counters.expired += 1
            where = "while it ran" if entry.job is not None else "in the queue"
            self._settle(entry, DeadlineExceeded(f"the deadline passed {where}"))
            if entry.job is not None:
                self._deserted(entry.job)
        self._set_alarm(max(earliest, now + ALARM_STEP))

    def _deserted(self, job: Job) -> None:
        """If nobody waits for a job any more, take it back, or end its worker after a grace.

        An answer in pieces shares its steps with others, who would be lost with the worker: it ends with the
        step that is under way, however long that takes.
        """
        if job.id not in self._jobs or any(not e.future.done() for e in job.entries):
            return
        for executor in self.executors:
            executor.cancel(job)
        if any(e.stream is not None for e in job.entries):
            return
        grace = max(GRACE, 5 * self.costs.seconds(job.rows))
        self._loop.call_later(grace, self._abandon, job)

    def _abandon(self, job: Job) -> None:
        if job.id in self._jobs:
            for executor in self.executors:
                executor.abandon(job, "a batch ran on after all its requests had gone")

    # -- end ----------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether requests wait or run."""
        return bool(self.queue.entries or self._jobs)

    def close(self, error: InferdError) -> None:
        """Refuse new requests and fail those that wait or run."""
        self._closed = error
        self._short = 0
        for timer in (self._alarm, self._delay):
            if timer is not None:
                timer.cancel()
        running = [e for job in self._jobs.values() for e in job.entries]
        for entry in [*self.queue.clear(), *running]:
            self._settle(entry, error)

    def attach(self, executors: Sequence[Executor]) -> None:
        """Set the instances work is given to."""
        self.executors = list(executors)
        self.review()
        self._dispatch()
