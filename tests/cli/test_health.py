import json
import os
import signal
import time

import pytest
from tests.cli.conftest import serving

from inferd.cli import health
from inferd.cli.main import main

CODE = """
import time
from typing import Annotated

import numpy as np

from inferd import Model


class Odd(Model):
    def predict(
        self, x: Annotated[np.ndarray, "float32", (-1, 1)]
    ) -> Annotated[np.ndarray, "float32", (-1,)]:
        if x[0, 0] > 1e6:
            time.sleep(1e6)
        return x.sum(axis=1)
"""


STEPS = """
import time
from typing import Annotated

import numpy as np

Row = Annotated[np.ndarray, "float32", (1,)]


def odd(x: Row) -> Row:
    if x[0] > 1e6:
        time.sleep(1e6)
    return x
"""


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A server of a model that hangs when it is asked to."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "odd.py").write_text(CODE)
    with serving(folder, "odd:Odd") as server:
        yield server


def test_a_server_that_is_well_is_healthy(server, capsys):
    assert main(["health", server.admin_url]) == 0
    assert main(["health", server.admin_url, "--deep"]) == 0
    assert capsys.readouterr().out == "healthy\nhealthy\n"


def test_the_data_plane_says_whether_it_is_ready(server, capsys):
    assert main(["health", server.url]) == 0


def test_the_port_may_be_said_by_the_environment(server, monkeypatch):
    monkeypatch.setenv("INFERD_ADMIN_PORT", server.admin_url.rpartition(":")[2])

    assert main(["health", "--deep"]) == 0


def ask(url, value, timeout):
    import httpx

    try:
        return httpx.post(f"{url}/predict", json={"data": [value]}, timeout=timeout).status_code
    except httpx.TimeoutException:
        return None


def test_a_worker_that_cannot_answer_is_told_from_one_that_does(odd, capsys):
    assert ask(odd.url, 1, 10) == 200
    assert main(["health", odd.admin_url, "--deep", "--timeout", "1s"]) == 0

    assert ask(odd.url, 1e9, 0.2) is None  # given up, and the worker sleeps on
    begun = time.monotonic()

    assert main(["health", odd.admin_url, "--deep", "--timeout", "1s"]) == 1
    assert time.monotonic() - begun < 2
    assert "Odd version 1: requests wait and none is answered" in capsys.readouterr().out


def test_a_step_of_a_pipeline_that_cannot_answer_is_told(tmp_path, capsys):
    (tmp_path / "steps.py").write_text(STEPS)
    (tmp_path / "pipeline.yaml").write_text(
        'inputs: [x]\nsteps:\n  odd: {python: "steps:odd", inputs: {x: x}}\noutputs: {y: odd.output}\n'
    )
    with serving(tmp_path, tmp_path) as server:
        assert main(["health", server.admin_url, "--deep", "--timeout", "1s"]) == 0
        assert ask(server.url, 1, 10) == 200
        assert ask(server.url, 1e9, 0.2) is None
        assert main(["health", server.admin_url, "--deep", "--timeout", "1s"]) == 1
        assert (
            f"{tmp_path.name} version 1: requests wait and none is answered"
            in capsys.readouterr().out
        )


def test_a_server_that_is_stopped_does_not_answer_in_time(model, tmp_path, capsys):
    with serving(tmp_path, model) as server:
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            assert main(["health", server.admin_url, "--timeout", "300ms"]) == 1
        finally:
            os.kill(server.process.pid, signal.SIGCONT)

    assert "does not answer in time" in capsys.readouterr().out


def test_nobody_there_is_unhealthy(capsys):
    assert main(["health", "http://127.0.0.1:1"]) == 1
    assert "cannot be asked" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["https://x"], ["127.0.0.1:8002"], ["http://x/y"], ["--timeout", "soon"]],
    ids=["scheme", "bare", "path", "timeout"],
)
def test_a_wrong_call_is_exit_code_2(arguments, capsys):
    assert main(["health", *arguments]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def model_of(*, running=0, queued=0, answered=0, state="ready", **more):
    return {
        "version": "1",
        "streams": False,
        "cost_curve": {"points": [{"rows": 1, "seconds": 0.001}]},
        "batching": {"queue_entries": queued},
        "counters": {"answered": answered},
        "instances": [{"running": running, "state": state}],
    } | more


def answers(*versions, ready=True):
    """Return what asks a server whose one model has these states, one after the other."""
    left = list(versions)

    def ask(path):
        if path == "/models":
            state = {"state": "failed", "reason": "gone", "ready": ready}
            return {"models": [{"name": "m", "ready": ready, "versions": [state]}]}
        return {"versions": [left.pop(0) if len(left) > 1 else left[0]]}

    return ask


def watch(*versions, seconds=0.4, **more):
    health.watch(answers(*versions, **more), time.monotonic() + seconds, seconds)


def test_what_is_idle_or_answers_is_well():
    watch(model_of())
    watch(model_of(running=1, answered=4), model_of(running=1, answered=5))
    watch(model_of(queued=3), model_of(queued=0))


OWN = {"running": 1, "cost_curve": None, "slowest_own_ms": 1.5, "pipeline": {}, "streams": True}


@pytest.mark.parametrize(
    "work", [{"running": 1}, {"queued": 1}, OWN], ids=["running", "queued", "own steps"]
)
def test_what_has_work_and_answers_nothing_is_not(work):
    with pytest.raises(health.Unhealthy, match="m version 1"):
        watch(model_of(**work))


def test_what_has_no_worker_for_as_long_as_we_look_is_not():
    watch(model_of(state="restarting"), model_of())
    for more in ({}, {"streams": True}):
        with pytest.raises(health.Unhealthy, match="m version 1: no worker of it runs"):
            watch(model_of(state="restarting") | more)


@pytest.mark.parametrize(
    "more",
    [
        {"streams": True},
        {"cost_curve": {"points": [{"rows": 1, "seconds": 0.3}]}},
        {"cost_curve": {"points": []}},
        {"instances": []},
        {"cost_curve": None, "slowest_own_ms": None},
        {"cost_curve": None, "slowest_own_ms": 150.0},
    ],
    ids=["streams", "slow", "unmeasured", "elsewhere", "no step answered yet", "slow steps"],
)
def test_what_tells_nothing_by_its_answers_is_judged_by_its_state(more):
    watch(model_of(running=1, queued=1) | more)


def test_a_model_that_failed_is_named():
    with pytest.raises(health.Unhealthy, match="'m' is failed: gone"):
        watch(model_of(), ready=False)


def test_reasons_of_a_server_that_is_not_ready_are_passed_on():
    with pytest.raises(health.Unhealthy, match="the server is stopping"):
        health.ready(lambda path: {"status": 503, "reasons": ["the server is stopping"]})
    with pytest.raises(health.Unhealthy, match="status 404"):
        health.ready(lambda path: {"status": 404})


def test_it_imports_next_to_nothing():
    import subprocess
    import sys

    code = "import sys, json, inferd.cli.health; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)

    assert not set(json.loads(done.stdout)) & {"numpy", "httpx", "yaml", "asyncio", "orjson"}
