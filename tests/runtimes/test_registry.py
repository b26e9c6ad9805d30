from __future__ import annotations

import subprocess
import sys

import pytest

from inferd.core.errors import ConfigError, MissingExtra
from inferd.runtimes import registry
from inferd.runtimes.registry import Entry, create


def test_an_unknown_runtime_names_the_nearest():
    with pytest.raises(ConfigError, match="unknown runtime 'onx'") as caught:
        create("onx")
    assert "'onnx'" in (caught.value.help or "")


def test_a_missing_library_names_the_extra(monkeypatch):
    entry = Entry("fancy", "inferd.runtimes.fancy:Fancy", "no_such_library", "fancy", "")
    monkeypatch.setitem(registry.BY_NAME, "fancy", entry)
    with pytest.raises(MissingExtra, match="no_such_library") as caught:
        create("fancy")
    assert caught.value.help == "pip install 'inferd[fancy]'"


def test_a_broken_library_is_no_traceback(monkeypatch):
    entry = Entry("fancy", "inferd.runtimes.fancy:Fancy", "numpy", "fancy", "")
    monkeypatch.setitem(registry.BY_NAME, "fancy", entry)
    with pytest.raises(ConfigError, match="importing numpy failed"):
        create("fancy")


def test_no_framework_is_imported_before_one_is_created():
    code = (
        "import sys, inferd.runtimes.registry, inferd.runtimes.detect, inferd\n"
        "inferd.Model\n"
        "assert not {'torch', 'onnxruntime'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_the_model_class_needs_no_numpy():
    code = "import sys, inferd; inferd.Model; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
