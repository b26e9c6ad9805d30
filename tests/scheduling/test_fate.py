"""What becomes of the requests of a lost worker: a table."""

import pytest
from tests.scheduling.entries import entry

from inferd.core.errors import ModelFailed
from inferd.execution.executor import Job, Loss
from inferd.scheduling.budget import RerunBudget
from inferd.scheduling.fate import EXTERNAL_REPLAYS, Verdict, judge

ABORT = Loss("dead", "the worker was ended by SIGABRT")
STUCK = Loss("stuck", "a batch ran longer than 10 s")
KILL = Loss("dead", "the worker was ended by SIGKILL", external=True)


def decide(loss, *, started=2, exclusive=False, attempts=0, replay=True, budget=None, together=1):
    one = entry()
    one.attempts = attempts
    job = Job(1, [one] * together, together, exclusive=exclusive)
    verdict, error = judge(
        one, job, loss, started=started, replay=replay, budget=budget or RerunBudget()
    )
    return verdict, error, one


@pytest.mark.parametrize(
    ("loss", "given", "verdict"),
    [
        (ABORT, {"started": 0}, Verdict.RETURN),
        (KILL, {"started": 0, "replay": False}, Verdict.RETURN),
        (ABORT, {}, Verdict.REPLAY),
        (STUCK, {}, Verdict.REPLAY),
        (KILL, {}, Verdict.REPLAY),
        (ABORT, {"exclusive": True, "attempts": 1}, Verdict.QUARANTINE),
        (STUCK, {"exclusive": True, "attempts": 1}, Verdict.QUARANTINE),
        (KILL, {"exclusive": True, "attempts": 1}, Verdict.REPLAY),
        (KILL, {"exclusive": True, "attempts": EXTERNAL_REPLAYS}, Verdict.FAIL),
        (ABORT, {"replay": False}, Verdict.FAIL),
        (KILL, {"replay": False}, Verdict.FAIL),
        (ABORT, {"replay": False, "started": 1}, Verdict.QUARANTINE),
        (ABORT, {"replay": False, "started": 1, "together": 2}, Verdict.FAIL),
        (KILL, {"replay": False, "started": 1}, Verdict.FAIL),
        (ABORT, {"started": 1}, Verdict.REPLAY),
    ],
    ids=[
        "waited", "waited-no-replay", "first-abort", "first-stuck", "first-kill", "abort-alone",
        "stuck-alone", "second-kill", "third-kill", "no-replay", "no-replay-kill",
        "no-replay-alone", "no-replay-in-a-batch", "no-replay-alone-killed", "alone",
    ],
)  # fmt: skip
def test_the_verdict(loss, given, verdict):
    found, error, one = decide(loss, **given)

    assert found is verdict
    assert (error is None) == (verdict in (Verdict.RETURN, Verdict.REPLAY))
    assert one.suspect == (verdict is Verdict.REPLAY)
    if error is not None:
        assert isinstance(error, ModelFailed)
        assert loss.message in error.message


def test_a_request_is_not_replayed_without_budget():
    budget = RerunBudget(capacity=1)

    assert decide(ABORT, budget=budget)[0] is Verdict.REPLAY
    assert decide(ABORT, budget=budget)[0] is Verdict.FAIL
    assert decide(ABORT, budget=budget, started=0)[0] is Verdict.RETURN


def test_replays_end_for_every_kind_of_loss():
    for loss in (ABORT, STUCK, KILL):
        one, budget = entry(), RerunBudget()
        job = Job(1, [one], 1)
        for deaths in range(1, 10):
            verdict, _ = judge(one, job, loss, started=2, replay=True, budget=budget)
            if verdict is not Verdict.REPLAY:
                break
            job = Job(deaths + 1, [one], 1, exclusive=one.suspect)
        assert deaths <= EXTERNAL_REPLAYS + 1
        assert verdict is (Verdict.FAIL if loss.external else Verdict.QUARANTINE)


def test_a_model_without_replay_says_how_to_have_it():
    assert "replay: true" in decide(ABORT, replay=False)[1].help
