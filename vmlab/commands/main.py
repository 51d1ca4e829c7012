# SPDX-License-Identifier: MIT
"""The `vmlab` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from vmlab import __version__
from vmlab.commands import host, images, report, shell, targets, timing
from vmlab.commands.command_line import Act, CommandParser, Commands, add_settings, parse
from vmlab.errors import UsageError, VmlabError
from vmlab.settings import SETTINGS, load_settings

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status: 0 success, 1 error, 2 wrong usage, 130 interrupted."""
    try:
        chosen = parse(command_parser(), arguments)
        settings = load_settings(
            {setting.name: getattr(chosen, f"vmlab_{setting.name}", None) for setting in SETTINGS}, directory=Path.cwd()
        )
        act: Act = chosen.act
        return act(chosen, settings)
    except VmlabError as error:
        print(f"vmlab: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("vmlab: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # `vmlab targets | head`: the reader closed the pipe, which is no error.
        sys.stderr.close()
        return 0


def command_parser() -> CommandParser:
    """Return the parser with all commands and options."""
    parser = CommandParser(prog="vmlab", description="A test lab for out-of-tree Linux kernel modules.")
    parser.add_argument("--version", action="version", version=f"vmlab {__version__}")
    add_settings(parser)
    commands = Commands(parser, metavar="COMMAND")
    for room in (targets, host, shell, images, timing, report):
        room.add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
