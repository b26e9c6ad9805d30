import os
import subprocess
import sys
from pathlib import Path

import pytest

from inferd.telemetry.memory import available_memory, read_memory

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


def test_this_process_takes_some_memory():
    memory = read_memory(os.getpid())

    assert memory.rss > 5_000_000
    assert 0 < memory.pss <= memory.rss * 1.2


def test_a_process_that_is_gone_has_none():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    assert read_memory(process.pid) is None


def test_this_machine_has_some_memory_left():
    assert available_memory() > 1_000_000


def test_the_least_of_machine_and_container_counts(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 4000 kB\n")
    for name, text in {
        "max": "max",
        "current": "1000",
        "stat": "anon 1\ninactive_file 200\n",
    }.items():
        (tmp_path / f"memory.{name}").write_text(text)
    machine = available_memory(tmp_path, tmp_path)
    (tmp_path / "memory.max").write_text("3000\n")
    container = available_memory(tmp_path, tmp_path)
    (tmp_path / "memory.max").write_text("500\n")

    assert machine == 4000 * 1024
    assert container == 3000 - 1000 + 200
    assert available_memory(tmp_path, tmp_path) == 0
    assert available_memory(tmp_path / "none", tmp_path) is None
