# SPDX-License-Identifier: MIT
"""Output of a child process: collected, logged, and passed on line by line."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

from vmlab.errors import HostError


class OutputReader:
    """A thread that reads a child's output to its end, even if the log or `on_line` fails: with a full pipe the child
    would hang. A context manager; `require_whole` raises the failure.

    Raises `HostError` when the log cannot be opened, is a link or a FIFO.
    """

    def __init__(self, log: Path | None, on_line: Callable[[str], None] | None) -> None:
        self.lines: list[str] = []
        self._log = log
        self._sink = _opened(log) if log is not None else None
        self._on_line = on_line
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> OutputReader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._sink is not None:
            self._sink.close()

    def begin(self, stream: IO[str] | None) -> None:
        self._thread = threading.Thread(target=self._drain, args=(stream or (),), daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        if self._thread is not None:
            self._thread.join(timeout_s)

    @property
    def tail(self) -> str:
        """The last 25 lines."""
        return "".join(self.lines[-25:])

    def require_whole(self) -> None:
        """Raise the first exception of the log (`HostError`) or of `on_line`."""
        if self._failure is not None:
            raise self._failure

    def _drain(self, stream: Iterable[str]) -> None:
        for line in stream:
            self.lines.append(line)
            if self._failure is None:
                try:
                    self._pass_on(line)
                except Exception as error:  # noqa: BLE001 - `require_whole` raises it
                    self._failure = error

    def _pass_on(self, line: str) -> None:
        if self._sink is not None and self._log is not None:
            try:
                _write(self._sink, line.encode())
            except OSError as error:
                raise _log_error(self._log, error.strerror, detail=self.tail) from None
        if self._on_line is not None:
            self._on_line(line.rstrip("\n"))


def _opened(log: Path) -> IO[bytes]:
    """Open a log for appending. It has no buffer, because closing one that could not be written fails again."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(log, flags, 0o600)
    except OSError as error:
        raise _log_error(log, error.strerror) from None
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _log_error(log, "it is a FIFO")
    return os.fdopen(descriptor, "ab", buffering=0)


def _write(sink: IO[bytes], raw: bytes) -> None:
    # A disk that becomes full takes a part of the bytes before it refuses the rest.
    while raw:
        raw = raw[sink.write(raw) :]


def _log_error(log: Path, why: str | None, *, detail: str = "") -> HostError:
    hint = "free space with `vmlab images prune`, or choose a larger disk with --vmlab-store"
    return HostError(f"cannot write the log {str(log)!r}: {why}", hint=hint, detail=detail)
