# SPDX-License-Identifier: MIT
"""`vmlab log`: explains a kernel log from any machine. It needs no lab, no QEMU and no image."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vmlab.commands.command_line import Commands
from vmlab.errors import UsageError
from vmlab.settings import Settings
from vmlab.system.output import is_terminal, say_json

_STDIN = "-"
_MOST_DEVICE_BYTES = 16 << 20
"""Maximum that is read from a device: the kernel's ring buffer has 1 MB by default."""
_MOST_RECORD_BYTES = 1 << 16


def add_commands(commands: Commands) -> None:
    """Add the command."""
    log = commands.add(
        "log",
        _log,
        "explain a kernel log: its reports, the module to blame, the lines of source",
        settings=("known_splats",),
    )
    log.add_argument("file", nargs="?", default=_STDIN, metavar="FILE", help="the log; - or nothing for standard input")
    log.add_argument(
        "--module", type=Path, metavar="PATH", help="the module's .ko, or a directory with it: shows lines of source"
    )
    log.add_argument("--json", action="store_true", help="print JSON")


def _log(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.decode import unstructure
    from vmlab.klog.explained import explain
    from vmlab.klog.formats.reader import LogReader
    from vmlab.klog.formats.source import read_lines
    from vmlab.klog.rules import known_rules, known_splats_file, load_rules

    own = settings.known_splats
    rules = load_rules(known_splats_file(), own) if own is not None else known_rules()
    name = "standard input" if chosen.file == _STDIN else repr(chosen.file)
    with _opened(chosen.file) as stream:
        reader = LogReader(read_lines(stream, name=name))
        log, splats = explain(reader, name=chosen.file, rules=rules, today=datetime.date.today())
    if not (reader.is_log or log.reports):
        raise _not_a_log(name, program_lines=log.program_lines)
    if chosen.module is not None:
        from vmlab.commands.log_modules import resolve

        log = resolve(log, splats, chosen.module)
    if chosen.json:
        say_json(unstructure(log))
    else:
        from vmlab.report.explained_log import print_log

        print_log(log)
    return 1 if log.is_trouble else 0


def _not_a_log(name: str, *, program_lines: int) -> UsageError:
    if program_lines:
        return UsageError(
            f"{name} has {program_lines} lines of programs and none of the kernel",
            hint="`journalctl -k` or dmesg prints the kernel's lines",
        )
    return UsageError(
        f"{name} is not a kernel log", hint="expected what dmesg, journalctl -k or a serial console prints"
    )


@contextlib.contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    """Open a log for reading; raises `UsageError` if that or a read fails, or if nothing was named on a terminal."""
    if file == _STDIN and (sys.stdin is None or is_terminal(sys.stdin)):
        raise UsageError("no log was given", hint="type `vmlab log FILE`, or `dmesg | vmlab log`")
    try:
        if file == _STDIN:
            yield sys.stdin.buffer
        elif Path(file).is_char_device():
            yield io.BytesIO(_device_records(file))
        else:
            with Path(file).open("rb") as stream:
                yield stream
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"cannot read {file!r}: {said}", hint="expected a file with a kernel log") from None


def _device_records(path: str) -> bytes:
    """Content of /dev/kmsg up to now: each read returns a record, and EPIPE says that the next ones were overwritten
    (Documentation/ABI/testing/dev-kmsg)."""
    found = bytearray()
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        while len(found) < _MOST_DEVICE_BYTES:
            try:
                record = os.read(descriptor, _MOST_RECORD_BYTES)
            except BrokenPipeError:
                continue
            except BlockingIOError:
                break
            if not record:
                break
            found += record
    finally:
        os.close(descriptor)
    return bytes(found)
