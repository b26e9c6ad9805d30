"""The command ``inferd``: a table of commands, and the one place where errors become exit codes.

A command's module is imported when the command is called, so ``inferd --help`` imports nothing but
the command line library. Exit codes: 0 done, 1 it failed, 2 the call or a setting is wrong, 130
interrupted. An expected failure is one message on standard error; a traceback is shown with
``--debug`` only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from inferd import __version__
from inferd.core.errors import ConfigError, InferdError

COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("inferd.cli.serve:command", "Serve models."),
    "predict": ("inferd.cli.predict:command", "Ask a model file or a running server once."),
    "check": (
        "inferd.cli.check:command",
        "Load a model, measure it and say what is wrong with it.",
    ),
    "describe": ("inferd.cli.describe:command", "Show what a model takes and gives."),
    "pipeline": (
        "inferd.cli.pipeline:command",
        "Show a pipeline's graph and the time of its steps.",
    ),
    "build": ("inferd.cli.build:command", "Write a Dockerfile for models, and build the image."),
    "compose": (
        "inferd.cli.compose:command",
        "Write compose.yaml and nginx.conf: replicas behind NGINX.",
    ),
    "split": (
        "inferd.cli.split:command",
        "Write a service definition for each named part of a pipeline.",
    ),
    "health": ("inferd.cli.health:command", "Ask a server whether it is healthy."),
}
"""Name, where the command is, and its line in ``inferd --help``."""

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130

HELP = """Turn a trained model file into a fast, robust service.

\b
Start here:
  inferd serve iris.onnx               serve a file
  inferd serve models/                 serve a repository of models
  inferd predict iris.onnx 5.1,3.5,1.4,0.2
  inferd check iris.onnx               would it serve well?
"""


class Commands(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from inferd.core.errors import nearest

            raise click.UsageError(f"no command {args[0]!r}; {nearest(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)


@click.command(cls=Commands, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="inferd %(version)s")
def cli() -> None:
    """Hold the commands; ``HELP`` is what a person reads."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        code = cli.main(arguments, prog_name="inferd", standalone_mode=False)
    except click.exceptions.Exit as asked:
        return asked.exit_code
    except click.ClickException as error:
        error.show()
        return WRONG
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; leave nothing that would fail again on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        if debug:
            raise
        return _report(error)
    return int(code or DONE)


def _report(error: Exception) -> int:
    if isinstance(error, InferdError):
        say(error)
        return WRONG if isinstance(error, ConfigError) else FAILED
    click.echo(f"error: {type(error).__name__}: {error}", err=True)
    click.echo("help: this is a bug; run it again with --debug to see where", err=True)
    return FAILED


def say(error: InferdError) -> None:
    """Print an expected failure: what happened, then what to do."""
    click.echo(f"error: {error}", err=True)


def debug_option(command: Any) -> Any:
    """Add ``--debug``, which ``main`` looks for."""
    return click.option(
        "--debug", is_flag=True, expose_value=False, help="Show the traceback of a failure."
    )(command)
