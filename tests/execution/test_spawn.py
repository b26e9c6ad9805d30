"""Starting a worker: what it inherits, and that nothing is left behind when it cannot start."""

import os
import signal
import subprocess
import sys

import pytest

from inferd.execution import spawn as subject
from inferd.execution.spawn import (
    cpu_seconds,
    describe_exit,
    environment,
    memory_bytes,
    spawn,
    usable_cpus,
)


def descriptors():
    return set(os.listdir("/proc/self/fd"))


@pytest.fixture
def worker():
    spawned = spawn(1, 1 << 20)
    yield spawned
    spawned.process.kill()
    spawned.process.wait()
    spawned.sock.close()
    os.close(spawned.memory_fd)
    os.close(spawned.output)
    os.close(spawned.errors)
    if spawned.pidfd is not None:
        os.close(spawned.pidfd)


def test_a_worker_has_a_session_of_its_own_and_ends_with_its_socket(worker):
    assert os.getsid(worker.process.pid) == worker.process.pid
    worker.sock.shutdown(2)

    assert worker.process.wait(10) == 0


def test_what_it_uses_can_be_read(worker):
    assert cpu_seconds(worker.process.pid) >= 0
    assert memory_bytes(worker.process.pid) > 0


def test_a_process_that_is_gone_has_no_figures():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    assert cpu_seconds(process.pid) is None
    assert memory_bytes(process.pid) is None


def test_the_environment_bounds_the_threads_and_passes_the_path(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), "/does/not/exist"])
    env = environment(3, {"HOME": "/home/x", "OMP_NUM_THREADS": "64"})

    assert {env[n] for n in subject.THREAD_VARIABLES} == {"3"}
    assert env["PYTHONPATH"] == str(tmp_path)
    assert env["HOME"] == "/home/x"
    assert env["ORT_DISABLE_TELEMETRY"] == "1"


@pytest.mark.parametrize("fails", ["memory", "pipe", "process"], ids=str)
def test_nothing_is_left_open_when_the_system_refuses(monkeypatch, fails):
    def refuse(*_args, **_kwargs):
        raise OSError(24, "Too many open files")

    target = {
        "memory": (subject.memory, "create"),
        "pipe": (subject.os, "pipe"),
        "process": (subject.subprocess, "Popen"),
    }[fails]
    before = descriptors()
    with monkeypatch.context() as patched:
        patched.setattr(*target, refuse)
        with pytest.raises(OSError, match="Too many open files"):
            spawn(1, 1 << 20)

    assert descriptors() == before


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (None, "is still running"),
        (0, "exited with status 0"),
        (3, "exited with status 3"),
        (-signal.SIGKILL, "was ended by SIGKILL"),
        (-signal.SIGSEGV, "was ended by SIGSEGV"),
        (-63, "was ended by signal 63"),
    ],
    ids=str,
)
def test_an_end_is_described_for_people(status, text):
    assert describe_exit(status) == text


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("max 100000\n", None),
        ("150000 100000\n", 2),
        ("10000 100000\n", 1),
        ("nonsense", None),
        ("1 0", None),
    ],
    ids=["unlimited", "one-and-a-half", "a-tenth", "nonsense", "no-period"],
)
def test_cores_are_counted_as_a_container_may_use_them(tmp_path, text, most):
    quota = tmp_path / "cpu.max"
    quota.write_text(text)
    have = len(os.sched_getaffinity(0))

    assert usable_cpus(quota) == (have if most is None else min(have, most))
    assert usable_cpus(tmp_path / "absent") == have
