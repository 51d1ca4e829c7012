# SPDX-License-Identifier: MIT
"""The `vmlab` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from vmlab import __version__
from vmlab.commands import describe, host, images, log, report, shell, targets, timing
from vmlab.commands.command_line import Act, CommandParser, Commands, add_settings, parse
from vmlab.errors import UsageError, VmlabError
from vmlab.settings import SETTINGS, load_settings
from vmlab.system import output
from vmlab.text import printable

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status: 0 success, 1 error, 2 wrong usage, 130 interrupted."""
    try:
        output.prepare()
        status = _run(arguments)
        output.flush()
        return status
    except VmlabError as error:
        output.warn(f"vmlab: {error}")
        status = 2 if isinstance(error, UsageError) else 1
    except OSError as error:
        # Of a path, for example: too long, a loop of links, not readable.
        output.warn(f"vmlab: {_reason(error)}")
        status = 1
    except KeyboardInterrupt:
        output.warn("vmlab: interrupted")
        status = _INTERRUPTED
    except output.ReaderGone:
        # `vmlab targets | head`: the reader closed the pipe, which is not an error.
        status = 0
    output.discard_unwritten()
    return status


def _run(arguments: Sequence[str] | None) -> int:
    try:
        chosen = parse(command_parser(), arguments)
    except SystemExit:
        output.flush()  # the text of --help and --version
        raise
    settings = load_settings(
        {setting.name: getattr(chosen, f"vmlab_{setting.name}", None) for setting in SETTINGS}, directory=_directory()
    )
    act: Act = chosen.act
    return act(chosen, settings)


def _directory() -> Path:
    """Return the working directory; raises `UsageError` if it was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UsageError("the working directory does not exist any more", hint="change to another directory") from None


def _reason(error: OSError) -> str:
    said = error.strerror or str(error)
    return printable(f"{said}: {str(error.filename)!r}" if error.filename is not None else said)


def command_parser() -> CommandParser:
    """Return the parser with all commands and options."""
    parser = CommandParser(prog="vmlab", description="A test lab for out-of-tree Linux kernel modules.")
    parser.add_argument("--version", action="version", version=f"vmlab {__version__}")
    add_settings(parser)
    commands = Commands(parser, metavar="COMMAND")
    for room in (targets, describe, host, shell, images, timing, report, log):
        room.add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
