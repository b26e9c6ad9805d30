"""``inferd health``: ask a server whether it is healthy, for orchestrators; imports next to nothing.

``/readyz`` stays true once it was: a model that fails later turns only its own readiness. A health check
wants to know more: whether each model can answer. So with ``--deep`` the models are looked at one by one,
on the control plane, which only this machine reaches: none may have failed, a worker must run, and
where requests wait or run, one must be answered while we look. That asks nothing of the models, so it costs
them nothing and shows in no metric; and a model that is merely busy is not called ill.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import click

from inferd.cli.main import DONE, FAILED, WRONG, debug_option

HELP = """Ask a server whether it is healthy.

Without URL the control plane of a server on this machine is asked, at the port of
INFERD_ADMIN_PORT or 8002. Meant for health checks of orchestrators: exit code 0
says healthy, 1 not, and one line says why.

\b
Examples:
  inferd health
  inferd health --deep --timeout 4s            can every model answer?
  inferd health http://127.0.0.1:8002

With --deep a model is healthy that is ready, that has a worker, and of which, where
requests wait or run, one is answered within the timeout. The answers of models that
stream, or of which a single request takes over a quarter of the timeout, do not count.
A pipeline's Python steps are such a model; how long they take is known once they answered.
"""

PAUSE = 0.1
_SLOW = 4
"""A model is judged by its answers where this many would fit into the timeout."""

Ask = Callable[[str], Mapping[str, Any]]


class Unhealthy(Exception):
    """It is not healthy, and why."""


@click.command("health", help=HELP)
@click.argument("url", metavar="[URL]", required=False)
@click.option("--deep", is_flag=True, help="Look at every model: can it answer?")
@click.option("--timeout", default="4s", metavar="DURATION", help="For all of it.  [default: 4s]")
@debug_option
def command(url: str | None, deep: bool, timeout: str) -> int:
    """Say whether the server at ``url`` is healthy."""
    from inferd.config.units import duration

    try:
        seconds = duration(timeout)
        place = address(url or f"http://127.0.0.1:{os.environ.get('INFERD_ADMIN_PORT') or 8002}")
    except ValueError as error:
        click.echo(f"error: {error}", err=True)
        return WRONG
    ends = time.monotonic() + seconds
    try:
        ask = asking(place, ends)
        ready(ask)
        if deep:
            watch(ask, ends, seconds)
    except Unhealthy as reason:
        click.echo(f"unhealthy: {reason}")
        return FAILED
    click.echo("healthy")
    return DONE


def address(url: str) -> tuple[str, int]:
    """Return host and port of a URL; raises ``ValueError``."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError(f"{url!r} is not the URL of a server, such as http://127.0.0.1:8002")
    return parts.hostname, parts.port or 80


def asking(place: tuple[str, int], ends: float) -> Ask:
    """Return what asks a path and gives the JSON of its answer; raises ``Unhealthy`` with status."""

    def ask(path: str) -> Mapping[str, Any]:
        left = max(0.05, ends - time.monotonic())
        connection = http.client.HTTPConnection(*place, timeout=left)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        except TimeoutError:
            raise Unhealthy("the server does not answer in time") from None
        except (OSError, http.client.HTTPException) as error:
            raise Unhealthy(
                f"the server cannot be asked: {str(error) or type(error).__name__}"
            ) from None
        finally:
            connection.close()
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Unhealthy(f"{path} was answered with status {answer.status} and no JSON object")
        return {**found, "status": answer.status}

    return ask


def ready(ask: Ask) -> None:
    """Raise ``Unhealthy`` where the server is not ready."""
    found = ask("/readyz")
    if found["status"] != 200:
        reasons = found.get("reasons") or [f"status {found['status']}"]
        raise Unhealthy("; ".join(map(str, reasons)))


def watch(ask: Ask, ends: float, seconds: float) -> None:
    """Look at every model until each that has work has answered; raises ``Unhealthy`` otherwise."""
    waiting = {name: state for name, state in look(ask, seconds).items() if state[0]}
    while waiting:
        if time.monotonic() + PAUSE >= ends:
            said = [f"{name}: {reason}" for name, (reason, _) in sorted(waiting.items())]
            raise Unhealthy("; ".join(said))
        time.sleep(PAUSE)
        now = look(ask, seconds)
        waiting = {
            name: now[name] for name, (_, done) in waiting.items()
            if name in now and now[name][0] and now[name][1] == done
        }  # fmt: skip


def look(ask: Ask, seconds: float) -> dict[str, tuple[str, int]]:
    """Return for every version with workers what is to be waited for, and how much it did.

    Raises ``Unhealthy`` for a model that is not ready.
    """
    found = {}
    for model in ask("/models").get("models", ()):
        name = str(model["name"])
        if not model["ready"]:
            states = [f"{v['state']}: {v['reason']}" for v in model["versions"] if not v["ready"]]
            raise Unhealthy(f"model {name!r} is {'; '.join(states)}")
        for version in ask(f"/models/{quote(name, safe='')}").get("versions", ()):
            if version.get("instances"):
                found[f"{name} version {version['version']}"] = progress(version, seconds)
    return found


def progress(version: Mapping[str, Any], seconds: float) -> tuple[str, int]:
    """Return why a version must do something within ``seconds``, if so, and how much it did."""
    instances = version["instances"]
    answered = int((version.get("counters") or {}).get("answered", 0))
    if not any(instance.get("state") == "ready" for instance in instances):
        return "no worker of it runs", answered
    running = sum(instance.get("running", 0) for instance in instances)
    queued = (version.get("batching") or {}).get("queue_entries", 0)
    if (running or queued) and telling(version, seconds):
        return "requests wait and none is answered", answered
    return "", answered


def telling(version: Mapping[str, Any], seconds: float) -> bool:
    """Whether it means something if a version answers nothing for ``seconds``."""
    one = _seconds(version)
    if one is None or one * _SLOW > seconds:
        return False
    return "pipeline" in version or not version.get("streams")


def _seconds(version: Mapping[str, Any]) -> float | None:
    """Return how long one request takes: as measured, or as a pipeline's own steps did until now."""
    points: list[Any] = (version.get("cost_curve") or {}).get("points") or []
    if points:
        return float(points[0]["seconds"])
    own = version.get("slowest_own_ms")
    return None if own is None else float(own) / 1e3
