"""Deadlines, full queues and clients that go away, in every dialect."""

import itertools

import pytest
from tests.parity.serve import WAITING
from tests.parity.table import DOORS, meets
from tests.system.serving import until

marks = itertools.count(1)


@pytest.mark.parametrize("dialect", DOORS)
def test_a_deadline_that_passes_while_the_model_runs(doors, dialect):
    with meets(dialect, "deadline"):
        doors[dialect].ask("slow", timeout=0.06)


@pytest.fixture(scope="module")
def crowds(server, doors):
    """The refusals of every door while its model's queue is full."""
    found = {}
    for task in ("tensors", "embed", "generate", "transcribe"):
        asked = {name: door for name, door in doors.items() if door.task == task}
        first = next(iter(asked.values()))
        with server.held(first) as begin:
            for _ in range(WAITING):
                begin()
            until(lambda door=first: server.waiting(door.held) == WAITING, 5, 0.005)
            for name, door in asked.items():
                try:
                    door.ask("held", next(marks))
                except Exception as error:
                    found[name] = error
    return found


@pytest.mark.parametrize("dialect", DOORS)
def test_a_full_queue_refuses_and_says_when_to_come_back(crowds, dialect):
    refusal = crowds[dialect]

    with meets(dialect, "overload"):
        raise refusal
    assert int(refusal.headers["retry-after"]) >= 1


@pytest.mark.parametrize("dialect", DOORS)
def test_a_request_whose_client_goes_away_while_it_waits_is_never_run(server, doors, dialect):
    door, mark = doors[dialect], next(marks)
    before = server.metrics().get("inferd_cancelled_total", 0.0)

    with meets(dialect, "cancellation"):
        with server.held(door):
            sent = door.begin(*door.subject("held", mark))
            until(lambda: server.waiting(door.held) == 1, 5, 0.005)
            sent.close()
            until(lambda: server.waiting(door.held) == 0, 5, 0.005)
        assert door.ask("works").tensors
        assert not [run for run in server.runs(door.held) if run in (f"{mark:.1f}", f"e{mark}")]
        assert not (server.folder / "models" / door.teller / "1" / f"endless-{mark}").exists()
        until(lambda: server.metrics()["inferd_cancelled_total"] > before, 5)


@pytest.mark.parametrize(
    "dialect", [n for n, door in DOORS.items() if door.task in ("generate", "transcribe")]
)
def test_a_generation_whose_client_goes_away_is_stopped(server, doors, dialect):
    door, mark = doors[dialect], next(marks)
    note = server.folder / "models" / door.teller / "1" / f"endless-{mark}"

    sent = door.begin(*door.subject("held", mark))
    until(note.with_name(f"{note.name}-began").exists, 5, 0.005)
    sent.close()

    until(note.exists, 5, 0.005)
    until(lambda: server.running(door.teller) == 0, 5, 0.005)
