import json
import logging
import os

import numpy as np
import pytest

from inferd.telemetry.logs import Log, configure, timestamp


@pytest.fixture
def logged(tmp_path):
    """Run a block of logging calls and give the text they wrote."""

    def run(block, **options):
        path = tmp_path / "log"
        with path.open("w") as stream:
            handle = configure(stream=stream, **options)
            try:
                block()
            finally:
                handle.close()
        return path.read_text()

    return run


def test_a_json_line_holds_the_message_and_the_fields(logged):
    text = logged(
        lambda: Log("control").info("model ready", model="iris", seconds=0.5), format="json"
    )
    row = json.loads(text)

    assert row["message"] == "model ready"
    assert row["logger"] == "inferd.control"
    assert row["level"] == "info"
    assert (row["model"], row["seconds"]) == ("iris", 0.5)
    assert row["time"].endswith("Z")


def test_a_readable_line_holds_them_too(logged):
    text = logged(lambda: Log("control").info("model ready", model="my iris", n=3), format="text")

    assert text.endswith('INFO    control model ready model="my iris" n=3\n')


def test_auto_is_json_where_no_terminal_is(logged):
    assert json.loads(logged(lambda: Log("a").info("hello")))["message"] == "hello"


def test_auto_is_readable_on_a_terminal():
    leader, follower = os.openpty()
    with os.fdopen(follower, "w") as stream:
        handle = configure(stream=stream)
        Log("a").info("hello")
        handle.close()

    assert not handle.json
    assert b"INFO    a hello" in os.read(leader, 1000)
    os.close(leader)


@pytest.mark.parametrize("format", ["json", "text"])
@pytest.mark.parametrize(
    "hostile",
    ["a\nERROR forged", "a\r\nb", "\x1b[2J", "\x00", "\u2028", "\x9b31m", "\udcff", '"}\n{"a":"'],
    ids=["newline", "crlf", "escape", "nul", "line separator", "c1", "surrogate", "json"],
)
def test_no_text_can_forge_a_line_or_drive_the_terminal(logged, format, hostile):
    def block():
        Log("a").info("said", value=hostile)
        Log("a").info(hostile)
        Log("a").info("end")

    text = logged(block, format=format)

    if format == "json":
        assert [json.loads(line)["logger"] for line in text.split("\n")[:-1]] == ["inferd.a"] * 3
    else:
        assert not any(c in text for c in "\x1b\x00\x9b\u2028\r")
        assert sum(not line.startswith("    ") for line in text.splitlines()) == 3


def test_an_exception_comes_with_its_traceback(logged):
    def block():
        try:
            raise ValueError("no such thing")
        except ValueError as error:
            Log("a").error("it failed", exc=error)

    as_json = json.loads(logged(block, format="json"))
    as_text = logged(block, format="text")

    assert "ValueError: no such thing" in as_json["traceback"]
    assert "\n    ValueError: no such thing\n" in as_text.replace("\n      ", "\n    ")


def test_redact_sees_every_text(logged):
    def block():
        try:
            raise ValueError("secret")
        except ValueError as error:
            Log("a").error("a secret", exc=error, b="secret", c=["secret"], d={"e": "my secret"})

    for format in ("json", "text"):
        text = logged(block, format=format, redact=lambda t: t.replace("secret", "***"))
        # The source line shown by the traceback is redacted as well.
        assert "***" in text
        assert "secret" not in text


def test_a_secret_is_logged_as_its_own_repr(logged):
    class Secret:
        def __repr__(self):
            return "Secret(***)"

        def __str__(self):
            return "hunter2"

    for format in ("json", "text"):
        text = logged(lambda: Log("a").info("key", value=Secret()), format=format)
        assert "Secret(***)" in text
        assert "hunter2" not in text


@pytest.mark.parametrize("format", ["json", "text"])
def test_odd_fields_are_logged_and_never_raise(logged, format):
    class Bad:
        def __repr__(self):
            raise RuntimeError("no repr")

    def block():
        Log("a").info("odd", bad=Bad())
        Log("a").info("array", x=np.float32(1.5), nan=float("nan"), big=2**70, message="mine")

    assert "array" in logged(block, format=format)


def test_levels_are_kept(logged):
    def block():
        Log("a").info("quiet")
        Log("a").warning("loud")

    text = logged(block, level="warning", format="text")

    assert "quiet" not in text
    assert "loud" in text


def test_a_long_text_is_cut(logged):
    text = logged(lambda: Log("a").info("x" * 100_000), format="json")

    assert len(text) < 10_000
    assert "100000 long" in text


def test_close_leaves_the_logger_as_it_was(tmp_path):
    def state():
        logger = logging.getLogger("inferd")
        return list(logger.handlers), logger.level, logger.propagate

    before = state()
    with (tmp_path / "log").open("w") as stream:
        handle = configure(stream=stream, level="error")

        assert state() != before

        handle.close()

    assert state() == before


def test_timestamps_are_utc_with_milliseconds():
    assert timestamp(0.0) == "1970-01-01T00:00:00.000Z"
    assert timestamp(1_700_000_000.1239) == "2023-11-14T22:13:20.123Z"
