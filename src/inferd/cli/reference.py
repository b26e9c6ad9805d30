"""The help texts of all commands as Markdown, for ``docs/cli.md``."""

from __future__ import annotations

import click

from inferd.cli.main import COMMANDS, cli


def markdown() -> str:
    """Return one section for each command: exactly what ``--help`` prints."""
    parts = []
    top = click.Context(cli, info_name="inferd", **cli.context_settings)
    for name in COMMANDS:
        command = cli.get_command(top, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=top, terminal_width=88)
        parts.append(f"## inferd {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)
