"""The image that ``inferd build`` makes, run by a real Docker engine as its last words say."""

import concurrent.futures
import contextlib
import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from tests.system import chained, images
from tests.system.serving import until
from tests.system.stack import ask, call, free_port, inferd

pytestmark = pytest.mark.timeout(400)

IMAGE = "inferd-tests/chained:1"
HARDENED = (
    "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
)  # fmt: skip
ROW, ANSWER = [1.0, 2.0, 3.0, 4.0], [3.0, 5.0, 7.0, 9.0]
HANGS = [-3.0, 0.0, 0.0, 0.0]


@pytest.fixture(scope="module")
def image(engine, tmp_path_factory):
    """The image of the whole repository."""
    folder = tmp_path_factory.mktemp("image")
    begin = time.monotonic()
    images.provide(engine, images.PYTHON)
    based = time.monotonic()
    repository = chained.write(folder / "models")
    inferd(engine, "build", repository, "--output", folder / "container", "--tag", IMAGE)
    size, base = (engine.inspect(name, ".Size") for name in (IMAGE, images.PYTHON.name))
    print(f"\nbase image {based - begin:.1f} s, build {time.monotonic() - based:.1f} s;"
          f" {size / 1e6:.0f} MB, of which the base is {base / 1e6:.0f} MB")  # fmt: skip
    return IMAGE


class Container:
    """A running container of the image. ``http`` and ``grpc`` are where it is reached."""

    def __init__(self, engine, image, *options):
        self.engine = engine
        self.http, self.grpc = ("127.0.0.1", free_port()), f"127.0.0.1:{free_port()}"
        self.name = engine.docker(
            "run", "--detach", *HARDENED, *options, "--publish", f"127.0.0.1:{self.http[1]}:8000",
            "--publish", f"{self.grpc}:8001", image,
        )  # fmt: skip

    @property
    def health(self):
        return self.engine.inspect(self.name, ".State.Health.Status")

    @property
    def pid(self):
        return self.engine.inspect(self.name, ".State.Pid")

    def told(self):
        """What the last health check said."""
        return self.engine.inspect(self.name, ".State.Health.Log")[-1]["Output"]

    def run(self, *command, check=True):
        return self.engine.docker("exec", self.name, *command, check=check)

    def log(self):
        return self.engine.docker("logs", self.name)

    def workers(self, model):
        """Return the processes of a model's workers, as this machine sees them."""
        code = (
            "import json, urllib.request as r\n"
            f"told = json.load(r.urlopen('http://127.0.0.1:8002/models/{model}'))\n"
            "print(*(i['pid'] for i in told['versions'][0]['instances'] if i['pid']))"
        )
        inside = {int(word) for word in self.run("python3", "-c", code).split()}
        found = []
        for process in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
                status = Path(f"/proc/{process.pid}/status").read_text()
                if int(status.partition("NSpid:")[2].split()[1]) in inside:
                    found.append(process.pid)
        return found


@contextlib.contextmanager
def running(engine, image, *options):
    container = Container(engine, image, *options)
    try:
        until(lambda: container.health == "healthy", 60, every=0.1)
        yield container
    finally:
        engine.docker("rm", "--force", container.name)


@pytest.fixture(scope="module")
def container(engine, image):
    begin = time.monotonic()
    with running(engine, image) as found:
        print(f"\nhealthy {time.monotonic() - begin:.1f} s after `docker run`")
        yield found


def test_it_runs_read_only_as_nobody_without_a_capability(container):
    status = container.run("cat", "/proc/1/status")
    told = dict(line.split(":", 1) for line in status.splitlines())

    assert told["Uid"].split() == ["10001"] * 4
    assert told["Gid"].split() == ["10001"] * 4
    assert {told[f"Cap{kind}"].strip() for kind in ("Eff", "Prm", "Bnd", "Inh", "Amb")} == {
        "0" * 16
    }
    assert told["NoNewPrivs"].strip() == "1"
    assert container.run("sh", "-c", "echo > /tmp/written && cat /tmp/written") == ""
    for place in ("/", "/models", "/opt/inferd", "/var/tmp", "/run"):
        assert container.run("sh", "-c", f"echo > {place}/x && echo written", check=False) == "", (
            place
        )


def test_nothing_of_the_build_is_left_in_it(container):
    assert container.run("sh", "-c", "command -v pip pip3", check=False) == ""
    names = ("-name", "ca.pem", "-o", "-name", "requirements.txt", "-o", "-name", "*.whl")
    assert container.run("find", "/opt", "/models", "/tmp", "/build", *names, check=False) == ""
    assert "PIP_" not in container.run("env")


def test_it_answers_over_http_and_grpc(container):
    assert ask(container.http, "/models/double/predict", ROW).result == ANSWER
    assert ask(container.http, "/models/chain/predict", ROW).result == chained.expected(ROW)
    assert call(container.grpc, "double", ROW) == ANSWER
    assert "Traceback" not in container.log()


def unhealthy(container, begin):
    """Wait until the health check fails; return the seconds since ``begin``."""
    until(lambda: container.health == "unhealthy", 20, every=0.1)
    return time.monotonic() - begin


def test_it_turns_unhealthy_by_a_model_that_hangs_and_healthy_again(container):
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor() as asking:
        limit = {"X-Request-Timeout": "9s"}
        hanging = asking.submit(ask, container.http, "/models/acts/predict", HANGS, headers=limit)
        seconds = unhealthy(container, begin)
        told = container.told()
        others = ask(container.http, "/models/double/predict", ROW).result
        status = hanging.result().status
    again = until(lambda: container.health == "healthy", 30, every=0.1)
    print(f"\nunhealthy after {seconds:.1f} s: {told.strip()}; healthy {again:.1f} s after its end")

    assert seconds < 10
    assert "acts" in told
    assert others == ANSWER
    assert status == 504
    assert ask(container.http, "/models/acts/predict", ROW).result == ANSWER


def test_it_turns_unhealthy_by_a_model_that_dies_and_healthy_again(container):
    container.run("touch", "/tmp/broken")
    begin = time.monotonic()
    for pid in container.workers("acts"):
        os.kill(pid, signal.SIGKILL)
    seconds = unhealthy(container, begin)
    told = container.told()
    container.run("rm", "/tmp/broken")
    again = until(lambda: container.health == "healthy", 60, every=0.1)
    print(
        f"\nunhealthy after {seconds:.1f} s: {told.strip()}; healthy {again:.1f} s after its cure"
    )

    assert seconds < 10
    assert "acts" in told
    assert ask(container.http, "/models/acts/predict", ROW).result == ANSWER


def test_docker_stop_answers_what_runs_and_ends_well(engine, image):
    with running(engine, image) as container, concurrent.futures.ThreadPoolExecutor() as asking:
        body = json.dumps({"data": "word", "parameters": {"words": 5, "seconds": 0.5}})
        told = asking.submit(ask, container.http, "/models/story/predict", body=body)
        time.sleep(0.5)
        begin = time.monotonic()
        engine.docker("stop", "--time", 30, container.name)
        seconds = time.monotonic() - begin
        print(f"\nstopped in {seconds:.1f} s")

        assert told.result().result == "word0 word1 word2 word3 word4 "
        assert engine.inspect(container.name, ".State.ExitCode") == 0
        assert 2 < seconds < 8
