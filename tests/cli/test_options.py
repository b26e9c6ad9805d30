from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from inferd.cli.options import limit_rows, read_settings, settings_options, settings_table
from inferd.config.settings import REFERENCE
from inferd.core.errors import ConfigError
from inferd.transport.limits import LIMITS, Limits, limits_from


def settings(*arguments, keys=()):
    """Give the settings a command reads from these arguments."""
    found = []

    @click.command()
    @settings_options(*keys)
    def command(**given):
        found.append(read_settings(given))

    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return found[0]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_every_flag_of_the_table_is_an_option():
    @click.command()
    @settings_options()
    def command(**given):
        pass

    flags = {flag for parameter in command.params for flag in parameter.opts}

    assert {row.flag for row in REFERENCE if row.flag} <= flags


def test_a_command_may_take_only_some():
    @click.command()
    @settings_options("server.port")
    def command(**given):
        pass

    assert {p.name for p in command.params} == {"config", "server__port"}


def test_flags_become_settings():
    found = settings(
        "--port", "9000", "--reload", "--no-access-log", "--drain-delay", "2s",
        "--trust-pickle", "a", "--trust-pickle", "b,c", "--instances", "auto",
    )  # fmt: skip

    assert found.server.port == 9000
    assert found.server.reload is True
    assert found.log.access is False
    assert found.server.drain_delay == 2.0
    assert found.workers.trust_pickle == ("a", "b", "c")
    assert found.workers.instances is None


def test_what_is_not_given_is_left_to_file_and_environment(monkeypatch):
    Path("inferd.yaml").write_text("log: {access: false}\nserver: {reload: true}\n")
    monkeypatch.setenv("INFERD_PORT", "9001")
    found = settings()

    assert found.log.access is False
    assert found.server.reload is True
    assert found.server.port == 9001


def test_a_flag_can_switch_off_what_the_file_switched_on():
    Path("mine.yaml").write_text("server: {reload: true}\n")

    assert settings("--config", "mine.yaml").server.reload is True
    assert settings("--config", "mine.yaml", "--no-reload").server.reload is False


def test_limits_are_given_by_name_and_reach_the_transport(monkeypatch):
    monkeypatch.setenv("INFERD_LIMITS_BODY_TIME", "5s")
    found = settings("--limit", "header_bytes=8KiB", "--limit", "header_time=500ms")
    limits = limits_from(found.limits)

    assert (limits.header_bytes, limits.header_time, limits.body_time) == (8192, 0.5, 5.0)


@pytest.mark.parametrize(
    "text", ["header_bytes", "=3", "headers=1", "header_bytes=0", "pipelined=x"]
)
def test_a_wrong_limit_is_named(text):
    with pytest.raises(ConfigError, match=r"limit"):
        settings("--limit", text)


def test_every_limit_of_the_transport_is_a_setting_with_its_default():
    rows = {row.key: row for row in limit_rows()}

    assert {f"limits.{row.name}": row.default for row in LIMITS} == {
        key: row.default for key, row in rows.items()
    }
    assert limits_from({row.name: row.default for row in LIMITS}) == Limits()


def test_the_document_holds_settings_and_limits():
    text = settings_table()

    assert all(f"| `{row.key}` |" in text for row in (*REFERENCE, *limit_rows()))
