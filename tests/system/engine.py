"""A Docker engine of the tests' own: installed where it is missing, started by hand, gone afterwards.

It needs root and Debian's packages, nothing else: no init system, no group, no image registry. What it
changes on the machine (bridges, packet filter, forwarding, mounts, control groups) is put back when it
stops, also after a failure. An engine that already answers, a developer's own, is used as it is.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

PACKAGES = {"dockerd": "docker.io", "iptables-save": "iptables", "ip": "iproute2"}
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
LINKS = Path("/sys/class/net")
ETC = Path("/etc/docker")
GROUPS = Path("/sys/fs/cgroup")
FILTERS = ("iptables", "ip6tables")
NOTE = "engine.json"
# The program itself: the package's Python command says 0 whatever became of it.
COMPOSE = Path(find_spec("compose").origin).with_name("docker-compose")
START = 30.0
WITHOUT = "leave these tests out with: make test-system ARGS=\"-m 'system and not containers'\""


def cache():
    """Return the folder of what is made once for all runs."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "inferd-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def install(packages, without=WITHOUT):
    """Install Debian's packages for those programs ({program: package}) that are missing.

    ``without``: how to leave out the tests that need them.
    """
    missing = sorted({p for program, p in packages.items() if not shutil.which(program)})
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.fail(
            f"{', '.join(missing)}: not installed; only root on Debian can; {without}", False
        )
    # Runlevel 1: packages that bring a service must not start it here.
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run(
            ["apt-get", "-q", *words], env=env, capture_output=True, text=True, timeout=300, check=False
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


class Machine:
    """What an engine changes on the machine, as it was before, to be put back.

    It is written down while an engine runs: a run that was killed is cleaned up after by the next one.
    """

    def __init__(self, folder, was):
        self._folder = folder
        self._was = was

    @classmethod
    def before(cls, folder):
        """Write down how the machine is before the engine with its files in ``folder`` starts."""
        was = {
            "forward": FORWARD.read_text(), "links": os.listdir(LINKS), "etc": ETC.exists(),
            "filters": {tool: _saved(tool) for tool in FILTERS},
        }  # fmt: skip
        (cache() / NOTE).write_text(json.dumps([str(folder), was]))
        return cls(folder, was)

    @classmethod
    def left(cls):
        """Return what a run that was killed left behind; ``None`` where it left nothing."""
        note = cache() / NOTE
        return cls(*json.loads(note.read_text())) if note.exists() else None

    def restore(self):
        """Put everything back, whatever of it still is."""
        for process in _processes(self._folder):  # an engine that was killed leaves its containers
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for link in set(os.listdir(LINKS)) - set(self._was["links"]):
            _quiet("ip", "link", "delete", link)
        for tool, before in self._was["filters"].items():
            after = _saved(tool)
            if after != before:
                _quiet(f"{tool}-restore", text=before + _blank(after, before))
        FORWARD.write_text(self._was["forward"])
        for mount in sorted(_mounts(self._folder), key=len, reverse=True):
            _quiet("umount", "--lazy", mount)
        for group in GROUPS.glob("*/docker"):
            with contextlib.suppress(OSError):  # not empty: not ours
                group.rmdir()
        if not self._was["etc"]:
            shutil.rmtree(ETC, ignore_errors=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        (cache() / NOTE).unlink(missing_ok=True)


def _saved(tool):
    text = subprocess.run(
        [f"{tool}-save"], capture_output=True, text=True, timeout=20, check=True
    ).stdout
    return "".join(f"{line}\n" for line in text.splitlines() if not line.startswith("#"))


def _blank(after, before):
    """Return the tables that are in ``after`` alone, empty: restoring them takes their chains away."""
    lines, keep = [], False
    for line in after.splitlines():
        if line.startswith("*"):
            keep = line not in before.splitlines()
        if keep and (line.startswith("*") or line == "COMMIT"):
            lines.append(line)
        elif keep and line.startswith(":") and line.split()[1] != "-":
            lines.append(f"{line.split()[0]} ACCEPT [0:0]")
    return "".join(f"{line}\n" for line in lines)


def _quiet(*command, text=""):
    subprocess.run(command, input=text.encode(), capture_output=True, timeout=20, check=False)


def _mounts(folder):
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [m for m in mounts if m.startswith(f"{folder}/")]


def _processes(folder):
    """Return the engine's processes and what runs in its containers: children of theirs."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        known = process.info["name"].startswith(("dockerd", "containerd"))
        if known and any(str(folder) in word for word in process.info["cmdline"] or ()):
            with contextlib.suppress(psutil.NoSuchProcess):
                found += [*process.children(recursive=True), process]
    return found


class Engine:
    """A running engine and its command line client."""

    def __init__(self):
        self.folder = None
        self._process = None
        self._machine = None
        self._lock = None

    def __enter__(self):
        if shutil.which("docker") and _answers(os.environ):
            self.env = dict(os.environ)
            return self
        if os.geteuid() != 0:
            pytest.fail(f"no Docker engine answers, and only root can start one; {WITHOUT}", False)
        install(PACKAGES)
        install({"docker": "docker-cli"})  # apart from the engine since Debian 13
        self._lock = (cache() / "engine.lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # one at a time: they would share bridges and rules
        if (left := Machine.left()) is not None:
            left.restore()
        self.folder = Path(tempfile.mkdtemp(prefix="inferd-engine-"))
        self._machine = Machine.before(self.folder)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        config = self.folder / "config"
        plugins = config / "cli-plugins"
        plugins.mkdir(parents=True)
        (plugins / "docker-compose").symlink_to(COMPOSE)
        self.env = {
            **os.environ, "DOCKER_HOST": f"unix://{self.folder}/sock", "DOCKER_CONFIG": str(config),
            "DOCKER_BUILDKIT": "0",  # the newer builder is a plugin that Debian's client lacks
        }  # fmt: skip
        settings = {
            "hosts": [self.env["DOCKER_HOST"]], "pidfile": f"{self.folder}/pid",
            "data-root": f"{self.folder}/data", "exec-root": f"{self.folder}/exec",
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
        }  # fmt: skip
        file = self.folder / "daemon.json"
        file.write_text(json.dumps(settings))
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["dockerd", "--config-file", file],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env,
            )  # fmt: skip
        end = time.monotonic() + START
        while not _answers(self.env):
            assert self._process.poll() is None, self._log()
            assert time.monotonic() < end, self._log()
            time.sleep(0.1)

    def _log(self):
        return f"dockerd does not run: {(self.folder / 'log').read_text()[-2000:]}"

    def docker(self, *arguments, timeout=60.0, check=True, **options):
        """Run one command of the client; return what it printed."""
        done = subprocess.run(
            ["docker", *map(str, arguments)], env=self.env, capture_output=True, text=True,
            timeout=timeout, check=False, **options,
        )  # fmt: skip
        assert not check or done.returncode == 0, (arguments, done.stdout, done.stderr[-3000:])
        return done.stdout.strip()

    def inspect(self, name, field):
        """Return one field of a container or image, as Docker's template names it."""
        return json.loads(self.docker("inspect", "--format", f"{{{{json {field}}}}}", name))

    def __exit__(self, *_):
        if self.folder is None:
            return
        try:
            if self._process is not None and self._process.poll() is None:
                with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
                    containers = self.docker("ps", "--all", "--quiet").split()
                    self.docker("rm", "--force", "--volumes", *containers, check=False)
                self._process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(20)
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
                self._process.wait()
        finally:
            self._machine.restore()
            self._lock.close()


def _answers(env):
    """Whether an engine answers where ``env`` says."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            env=env, capture_output=True, timeout=20, check=False,
        )  # fmt: skip
        return done.returncode == 0
    return False
