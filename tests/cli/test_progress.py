import io
import os
import time

from inferd.cli.progress import Progress


def test_nobody_watching_sees_nothing():
    stream = io.StringIO()
    with Progress("loading", stream):
        pass

    assert stream.getvalue() == ""


def test_a_terminal_shows_what_goes_on_and_is_left_clean():
    leader, follower = os.openpty()
    with os.fdopen(follower, "w") as stream:
        with Progress("loading iris", stream):
            seen = b""
            deadline = time.monotonic() + 10
            while b"loading iris" not in seen and time.monotonic() < deadline:
                seen += os.read(leader, 1000)
        seen += os.read(leader, 1000)

    assert b"loading iris (0 s)" in seen
    assert seen.endswith(b"\r\x1b[K")
    os.close(leader)
