import os
import subprocess
import sys
from pathlib import Path

import pytest

from inferd.telemetry.memory import read_memory

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


def test_this_process_takes_some_memory():
    memory = read_memory(os.getpid())

    assert memory.rss > 5_000_000
    assert 0 < memory.pss <= memory.rss * 1.2


def test_a_process_that_is_gone_has_none():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    assert read_memory(process.pid) is None
