"""5,000 requests made from the server's own OpenAPI document: no 5xx, no hang, nothing left behind."""

import os
import random

import pytest
from schemathesis import GenerationMode
from tests.system.cases import Fuzzer
from tests.system.fuzzed import repository
from tests.system.serving import serving, until

CASES = 5000
ASKING = 4
"""Cases of an operation with a body for one of those without."""

MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    models = repository(folder / "models")
    with serving(folder / "server", models, "--cors-origins", "*") as server:
        yield server


def held(server):
    """Return descriptors of all processes, and resident bytes."""
    return sum(p.num_fds() for p in server.processes()), server.resident()


@pytest.mark.timeout(400)
def test_5000_cases_of_the_openapi_document(server):
    fuzzer = Fuzzer(server)
    workers = {name: server.workers(name) for name in fuzzer.models}
    number = 1 if os.environ.get("CI") else random.randrange(10**6)
    weights = [ASKING if "post" in o.method.lower() else 1 for o in fuzzer.operations]
    before = None

    while fuzzer.sent < CASES:
        share = (CASES - fuzzer.sent) / sum(weights) / len(MODES)
        for operation, weight in zip(fuzzer.operations, weights, strict=True):
            for mode in MODES:
                number += 1
                fuzzer.fuzz(operation, mode, max(1, round(share * weight)), number)
            if before is None and fuzzer.sent > CASES / 5:
                before = held(server)

    told = "\n".join(fuzzer.faults[:20])
    assert not fuzzer.faults, f"{len(fuzzer.faults)} faults, the seed before {number}:\n{told}"
    assert fuzzer.statuses[200] > CASES / 10, fuzzer.statuses
    assert fuzzer.statuses[400] > CASES / 10, fuzzer.statuses
    fuzzer.session.close()
    until(lambda: not server.metrics_of("inferd_in_flight")["inferd_in_flight"] > 1, 5)
    assert not any(server.metrics_of("inferd_queue_items").values())
    assert {name: server.workers(name) for name in fuzzer.models} == workers
    assert not any(server.restarts(name) for name in fuzzer.models)
    assert server.ask("/readyz").status == 200
    descriptors, resident = held(server)
    assert descriptors <= before[0] + 8
    assert resident < before[1] * 1.2 + (64 << 20)
