"""The state directory: one server at a time, and what happens where it cannot be had."""

import os
import stat

import pytest

from inferd.core.errors import ConfigError
from inferd.server.state import StateDirectory


def test_it_is_made_for_its_owner_alone(tmp_path):
    state = StateDirectory(tmp_path / "deep" / "state")
    state.lock()

    assert stat.S_IMODE(state.path.stat().st_mode) == 0o700
    assert (state.path / "lock").read_text() == f"{os.getpid()}\n"
    state.release()


def test_a_second_server_is_refused_and_told_who_holds_it(tmp_path):
    first, second = StateDirectory(tmp_path), StateDirectory(tmp_path)
    first.lock()

    with pytest.raises(ConfigError) as refused:
        second.lock()

    assert str(tmp_path) in refused.value.message
    assert f"process {os.getpid()}" in refused.value.message
    assert "--state-dir" in refused.value.help
    first.release()


def test_a_released_directory_can_be_taken_again(tmp_path):
    first, second = StateDirectory(tmp_path), StateDirectory(tmp_path)
    first.lock()
    first.release()
    first.release()

    second.lock()
    second.release()


def test_nobody_chose_it_so_a_second_server_starts_without(tmp_path):
    first, second = StateDirectory(tmp_path), StateDirectory(tmp_path, chosen=False)
    first.lock()

    second.lock()

    with pytest.raises(ConfigError):
        StateDirectory(tmp_path).lock()
    second.release()
    with pytest.raises(ConfigError):
        StateDirectory(tmp_path).lock()
    first.release()


@pytest.mark.parametrize("chosen", [True, False])
def test_a_path_that_cannot_be_a_directory(tmp_path, chosen):
    (tmp_path / "file").write_text("")
    state = StateDirectory(tmp_path / "file" / "state", chosen=chosen)

    if chosen:
        with pytest.raises(ConfigError, match="cannot be used"):
            state.lock()
    else:
        state.lock()
    state.release()
