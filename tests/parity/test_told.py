"""Every request has an id that is echoed and logged, and is counted under its model and dialect."""

import json

import pytest
from tests.parity.doors import requests
from tests.parity.table import DOORS, meets
from tests.parity.wire import Refused
from tests.system.serving import until


@pytest.fixture(scope="module")
def logged(server, doors):
    """The ids that every door was answered with, and the lines of the access log by id."""
    ids = {name: door.ask("works", id=f"parity-{name}").id for name, door in doors.items()}

    def lines():
        rows = (json.loads(line) for line in server.log.splitlines() if '"inferd.access"' in line)
        return {row["request_id"]: row for row in rows}

    until(lambda: any("parity-chat" in id for id in lines()), 5)
    return ids, lines()


@pytest.mark.parametrize("dialect", DOORS)
def test_the_id_of_a_request_is_echoed_and_logged(logged, doors, dialect):
    ids, lines = logged
    with meets(dialect, "request_id"):
        assert ids[dialect] == f"parity-{dialect}"
        (line,) = [row for id, row in lines.items() if id.split(".")[0] == f"parity-{dialect}"]
        assert line["status"] == 200
        assert line["model"] == doors[dialect].subject("works")[0]
        assert line["run_us"] >= 0


@pytest.mark.parametrize("dialect", DOORS)
def test_a_refusal_has_the_id_as_well(doors, dialect):
    with meets(dialect, "request_id"):
        with pytest.raises(Refused) as refusal:
            doors[dialect].ask("fails", id=f"refused-{dialect}")
        assert refusal.value.headers["x-request-id"].split(".")[0] == f"refused-{dialect}"


@pytest.mark.parametrize("dialect", DOORS)
def test_requests_are_counted_by_model_and_dialect(server, doors, dialect):
    door = doors[dialect]
    (model, _), (failing, _) = door.subject("works"), door.subject("fails")
    answered = requests(door, model)
    failed = f'inferd_errors_total{{kind="model_failed",model="{failing}"}}'
    before = server.metrics()

    with meets(dialect, "metrics"):
        door.ask("works")
        with pytest.raises(Refused):
            door.ask("fails")

        def grown():
            after = server.metrics()
            return [after.get(k, 0) - before.get(k, 0) for k in (answered, failed)]

        until(lambda: all(grown()), 5, 0.01)
        assert grown() == [1, 1]
