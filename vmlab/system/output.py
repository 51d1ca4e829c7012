# SPDX-License-Identifier: MIT
"""Output of the `vmlab` command: printable text in the stream's encoding, with one meaning for a closed stream."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any, TextIO

from vmlab.errors import HostError
from vmlab.text import ERRORS, ascii_json, printable, printable_lines, without_commands

_CLEAR_LINE = "\r\x1b[K"


class ReaderGone(Exception):
    """The reader of standard output closed it, such as `head`: the command ends without an error."""


def prepare() -> None:
    """Let both standard streams take any character; raises `HostError` if standard output is closed.

    Under LANG=C Python writes undecodable bytes to standard output unchanged, and PYTHONIOENCODING=ascii makes an arrow
    a traceback (PEP 538, PEP 540).
    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - open until the process ends
    if sys.stdout is None:
        raise HostError("standard output is closed", hint="redirect it to /dev/null to discard it")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def inert(text: str) -> str:
    """Return a text that gives no command to what reads the output: on GitHub's runners, lines of a guest would."""
    return without_commands(text) if os.environ.get("GITHUB_ACTIONS") == "true" else text


def say(text: str) -> None:
    """Print text to standard output, made printable; it may have several lines."""
    write(f"{inert(printable_lines(text))}\n")


def say_json(value: object) -> None:
    """Print a value as JSON, in ASCII."""
    write(f"{ascii_json(value)}\n")


def write(text: str) -> None:
    """Write text that is printable already, and may have colours, to standard output."""
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        raise ReaderGone from None
    except OSError as error:
        raise _full(error) from None


def flush() -> None:
    """Write out what standard output holds: an error here would be a traceback at the interpreter's end."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGone from None
    except OSError as error:
        raise _full(error) from None


def discard_unwritten() -> None:
    """Write out what standard output holds if that is still possible, else discard it: the interpreter's end would fail
    to write it, with a message and status 120 of its own."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        _to_null(sys.stdout)


def warn(text: str) -> None:
    """Print text to standard error, made printable; a closed standard error is ignored."""
    _write_error(f"{inert(printable_lines(text))}\n")


def show_step(text: str) -> None:
    """Show a step of the lab's progress on standard error: on a terminal it replaces the one before."""
    line = inert(printable(text))
    _write_error(f"{_CLEAR_LINE}{line}" if is_terminal(sys.stderr) else f"{line}\n")


def is_terminal(stream: TextIO | Any) -> bool:
    """True if a stream is a terminal."""
    return stream is not None and bool(stream.isatty())


def _write_error(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _to_null(sys.stderr)


def _to_null(stream: TextIO) -> None:
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _full(error: OSError) -> HostError:
    return HostError(f"cannot write to standard output: {error.strerror}")
