import os
import subprocess
import sys
import time

import click
import pytest

from inferd import __version__
from inferd.cli import main as module
from inferd.cli.main import COMMANDS, debug_option, main
from inferd.core.errors import ConfigError, ModelFileError, Overloaded


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "inferd", *arguments],
        capture_output=True, text=True, timeout=50, check=False, **options,
    )  # fmt: skip


@pytest.fixture
def failing(monkeypatch):
    """Make a command that raises what a test gives."""

    def make(error):
        @click.command("fail")
        @debug_option
        def command():
            raise error

        monkeypatch.setattr(module, "fails", command, raising=False)
        monkeypatch.setitem(COMMANDS, "fail", ("inferd.cli.main:fails", "Fail."))

    return make


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_it_says_its_version(flag, capsys):
    assert main([flag]) == 0
    assert capsys.readouterr().out == f"inferd {__version__}\n"


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0

    text = capsys.readouterr().out

    assert all(f"  {name}" in text for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS, ids=str)
def test_the_help_of_a_command_teaches_with_examples(name, capsys):
    assert main([name, "--help"]) == 0

    text = capsys.readouterr().out

    assert "Examples:" in text
    assert f"  inferd {name} " in text


@pytest.mark.parametrize("name", COMMANDS, ids=str)
def test_the_short_line_is_the_helps_first(name, capsys):
    main([name, "--help"])

    assert COMMANDS[name][1].lower().split()[0] in capsys.readouterr().out.lower()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["srve"], "no command 'srve'; did you mean 'serve'?"),
        (["serve", "x", "--prot", "1"], "--prot"),
        (["serve"], "nothing to serve"),
        (["--nonsense"], "--nonsense"),
        (["serve", "x", "--port", "high"], "--port: 'high' is not a whole number"),
        (["serve", "x", "--limit", "header_bytez=1"], "--limit header_bytez=1"),
        (["predict", "x", "1", "--timeout", "soon"], "--timeout"),
    ],
    ids=["command", "option", "argument", "top", "value", "limit", "duration"],
)
def test_a_wrong_call_is_exit_code_2_and_says_what_to_do(arguments, message, capsys):
    assert main(arguments) == 2

    captured = capsys.readouterr()

    assert message in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigError("a.yaml:3: no", help="yes"), 2, "error: a.yaml:3: no\nhelp: yes\n"),
        (ModelFileError("iris.onnx: is empty"), 1, "error: iris.onnx: is empty\n"),
        (Overloaded("full", retry_after=1.0), 1, "error: full\n"),
        (KeyboardInterrupt(), 130, ""),
        (RuntimeError("odd"), 1, "error: RuntimeError: odd\nhelp: this is a bug"),
    ],
    ids=["setting", "file", "load", "interrupt", "bug"],
)
def test_a_failure_is_one_message_and_no_traceback(failing, capsys, error, code, message):
    failing(error)

    assert main(["fail"]) == code

    text = capsys.readouterr().err

    assert text.startswith(message)
    assert "Traceback" not in text


def test_debug_shows_where(failing):
    failing(RuntimeError("odd"))

    with pytest.raises(RuntimeError, match="odd"):
        main(["fail", "--debug"])


def test_the_module_is_the_command_and_gives_its_exit_code(tmp_path):
    assert run("--version").stdout == f"inferd {__version__}\n"
    assert run("srve").returncode == 2
    assert run("serve", str(tmp_path / "no.onnx"), "--port", "0").returncode in (1, 2)


def test_a_reader_that_stops_reading_is_no_traceback():
    command = f"{sys.executable} -m inferd serve --help | true"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, timeout=50, check=False
    )

    assert "Traceback" not in done.stderr


def test_help_is_fast():
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        run("--help", env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""})
        best = min(best, time.perf_counter() - start)

    assert best < 0.5  # some 50 ms alone on a core; generous, for busy machines
