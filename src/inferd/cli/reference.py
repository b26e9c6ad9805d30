"""The help texts of all commands as Markdown, for ``docs/cli.md``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from inferd.cli.main import COMMANDS, cli


def markdown() -> str:
    """Return one section for each command: exactly what ``--help`` prints."""
    parts: list[str] = []
    top = click.Context(cli, info_name="inferd", **cli.context_settings)
    for name in COMMANDS:
        command = cli.get_command(top, name)
        assert command is not None
        parts += _sections(command, name, top)
    return "\n".join(parts)


def _sections(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    """Yield the section of a command, and those of the commands that it holds."""
    context = click.Context(command, info_name=name, parent=parent, terminal_width=88)
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for inner, one in sorted(command.commands.items()):
            yield from _sections(one, inner, context)
