# SPDX-License-Identifier: MIT
"""Child processes that are not trusted: watched while they run, with a limit on the output that is kept."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vmlab.errors import HostError
from vmlab.system.process import end, find_program, tied_to_parent

FIRST_BYTES = 4 * 2**20
"""Output kept from the beginning, where the first error is: a build of 64 MiB of sources prints less than 1 MiB."""
LAST_BYTES = 2**20
"""Output kept from the end."""
_INTERVAL_S = 0.2
_MEMORY = re.compile(r"^(?:RssAnon|RssShmem|VmPTE|VmSwap):\s*(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Exit status and output of a watched program."""

    status: int
    output: str
    stopped: str
    """Reason for which it was stopped; empty if it ended by itself."""
    is_over_time: bool = False
    """True if the reason is the timeout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Processes and memory of a program and its descendants."""

    processes: int
    memory_mib: int


class BoundedOutput:
    """The first and the last part of a stream."""

    def __init__(self, *, first_bytes: int = FIRST_BYTES, last_bytes: int = LAST_BYTES) -> None:
        self._first_bytes, self._last_bytes = first_bytes, last_bytes
        self._first, self._last = bytearray(), bytearray()
        self._cut = 0

    def add(self, chunk: bytes) -> None:
        room = self._first_bytes - len(self._first)
        self._first += chunk[:room]
        self._last += chunk[room:]
        # Cut at twice the length, so that the rest is moved seldom.
        if len(self._last) > 2 * self._last_bytes:
            self._trim()

    def _trim(self) -> None:
        excess = max(0, len(self._last) - self._last_bytes)
        del self._last[:excess]
        self._cut += excess

    def text(self) -> str:
        """Return the text, with a line in place of the part that was cut."""
        self._trim()
        note = f"\n[vmlab: {self._cut} bytes of output were cut here]\n".encode() if self._cut else b""
        return (bytes(self._first) + note + bytes(self._last)).decode("utf-8", errors="replace")


def run_watched(
    argv: Sequence[str], *, timeout_s: float, check: Callable[[Usage], str], pass_fds: Sequence[int] = ()
) -> Watched:
    """Run a program to its end; it is killed at the timeout, or when `check` returns a reason.

    Its standard input is a pipe on which nothing comes, and which ends with this process, however that ends. `check` is
    called about every 0.2 s. Call from a thread that lives as long as the program. Raises `HostError` when
    the program is missing or cannot be started.
    """
    program = find_program(argv[0])
    if program is None:
        raise HostError(f"program not found: {argv[0]!r}", hint="run `vmlab setup` to install the required packages")
    output, stopped, is_over_time = BoundedOutput(), "", False
    with _start([program, *argv[1:]], pass_fds) as child:
        reader = threading.Thread(target=_drain, args=(child, output), daemon=True)
        reader.start()
        deadline = time.monotonic() + timeout_s
        try:
            while not stopped and not _has_ended(child, reader):
                is_over_time = time.monotonic() > deadline
                stopped = f"took longer than {timeout_s:.0f} s" if is_over_time else check(usage_of(child.pid))
        finally:
            # SIGKILL at once: nothing in there has anything to save.
            end(child, grace_s=0)
            reader.join(5)
    return Watched(status=child.returncode, output=output.text(), stopped=stopped, is_over_time=is_over_time)


def _has_ended(child: subprocess.Popen[bytes], reader: threading.Thread) -> bool:
    # The end of the output is noticed at once; Popen.wait() with a timeout polls.
    if reader.is_alive():
        reader.join(_INTERVAL_S)
        return child.poll() is not None
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_INTERVAL_S)
    return child.poll() is not None


def _start(argv: list[str], pass_fds: Sequence[int]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            tied_to_parent(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
        )
    except OSError as error:
        raise HostError(f"cannot start {argv[0]!r}: {error.strerror}") from None


def _drain(child: subprocess.Popen[bytes], output: BoundedOutput) -> None:
    assert child.stdout is not None
    while chunk := os.read(child.stdout.fileno(), 2**16):
        output.add(chunk)


def usage_of(pid: int) -> Usage:
    """Return the usage of a process and its descendants, from /proc/PID/status and /proc/PID/task/TID/children
    (proc(5)); costs 0.1 ms a process. Pages that processes share are counted for each, those of files not at all."""
    memory_kib = count = 0
    for each in _tree(pid):
        with contextlib.suppress(OSError):
            memory_kib += _memory_kib(Path(f"/proc/{each}"))
            count += 1
    return Usage(processes=count, memory_mib=memory_kib // 2**10)


def _memory_kib(process: Path) -> int:
    found = _figures(process)
    if not found:
        # The main thread has ended and no longer has the memory; the others may go on.
        for task in (process / "task").iterdir():
            with contextlib.suppress(OSError):
                found = found or _figures(task)
    return sum(map(int, found))


def _figures(task: Path) -> list[str]:
    return _MEMORY.findall((task / "status").read_text(encoding="utf-8", errors="replace"))


def _tree(pid: int) -> Iterator[int]:
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        yield current
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{current}/task").iterdir():
                with contextlib.suppress(OSError):
                    waiting += map(int, (task / "children").read_text(encoding="ascii").split())
