"""Importing does nothing: no files written, no sockets, no processes, no threads, no output.

All modules are imported one by one in one fresh interpreter whose audit hook writes down what each
import does. Modules of optional libraries are imported where those are installed.
"""

import json
import subprocess
import sys
from functools import cache

import pytest
from tests.architecture.house import MODULES

PROBE = """
import json, os, sys, threading

WATCHED = {"socket.connect", "socket.bind", "socket.__new__", "subprocess.Popen", "os.fork",
           "os.exec", "os.posix_spawn", "os.system", "os.mkdir", "os.remove", "os.rename",
           "os.putenv", "shutil.rmtree", "pickle.find_class"}
seen = []

def ours():
    # Only what our own module bodies do counts; what a library does on import is its own affair.
    frame = sys._getframe(2)
    names = []
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith(("importlib", "_frozen_importlib", "zipimport")):
            return name.partition(".")[0] == "inferd" and name
        frame = frame.f_back
    return False

def hook(event, arguments):
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        pass
    elif event not in WATCHED:
        return
    who = ours()
    if who:
        seen.append([event, str(arguments)[:200], who])

for name in ("numpy", "click", "orjson", "uvloop", "httptools", "yaml", "asyncio", "ssl"):
    __import__(name)
environ_before = dict(os.environ)
sys.addaudithook(hook)
report = {}
real = {1: os.dup(1), 2: os.dup(2)}
read, write = os.pipe()
os.set_blocking(read, False)
os.dup2(write, 1)
os.dup2(write, 2)
for name in json.loads(sys.argv[1]):
    before = threading.active_count()
    seen.clear()
    try:
        __import__(name)
        failed = None
    except ImportError as error:
        failed = f"{type(error).__name__}: {error}"
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        said = os.read(read, 65536).decode()
    except BlockingIOError:
        said = ""
    report[name] = {"events": list(seen), "threads": threading.active_count() - before,
                    "said": said, "failed": failed}
os.dup2(real[1], 1)
report["environ"] = {k: v for k, v in os.environ.items() if environ_before.get(k) != v}
print(json.dumps(report))
"""

OPTIONAL = ("torch", "tokenizers", "PIL", "onnxruntime", "grpc", "google")
FRAMEWORKS = ("onnxruntime", "torch", "sklearn", "tensorflow", "openvino", "PIL", "tokenizers")
FRONT = ("inferd.cli.main", "inferd.cli.serve", "inferd.server.lifespan", "inferd.server.assemble")


@cache
def report():
    names = [m.name for m in MODULES if not m.name.endswith("__main__")]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE, json.dumps(names)],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "name", [m.name for m in MODULES if not m.name.endswith("__main__")], ids=str
)
def test_importing_a_module_does_nothing(name):
    found = report()[name]
    if found["failed"] and any(f"'{library}" in found["failed"] for library in OPTIONAL):
        pytest.skip(found["failed"])

    assert found == {"events": [], "threads": 0, "said": "", "failed": None}


def test_importing_leaves_the_environment_alone():
    # onnxruntime reads its switch while it is imported, so the adapter sets it first.
    assert set(report()["environ"]) <= {"ORT_DISABLE_TELEMETRY"}


def loaded_after(statement):
    code = f"import sys, json\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("name", FRONT, ids=str)
def test_the_front_imports_no_model_framework(name):
    modules = loaded_after(f"import {name}")

    assert not modules & set(FRAMEWORKS)


def test_help_imports_next_to_nothing():
    modules = loaded_after("import inferd.cli.main")

    assert not modules & {
        "numpy",
        "yaml",
        "asyncio",
        "orjson",
        "ssl",
        "prometheus_client",
        "uvloop",
    }
