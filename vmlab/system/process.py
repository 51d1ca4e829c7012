# SPDX-License-Identifier: MIT
"""The one door to other programs.

Every child gets its own session, so that it can be ended whole; ends when its parent does, however that
ends; has a time limit; and never meets a shell it did not ask for.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vmlab.errors import HostError

# setpriv sets the parent-death signal, which exec keeps; the shell closes the race in which the parent died
# before that took effect: it was then re-parented, and its parent is no longer the one that started it.
# The signal follows the *thread* that spawned (prctl(2)), so call from one that lives as long as the child.
_GUARD = 'if [ "$PPID" = "$1" ]; then shift; exec "$@"; fi'


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """A process by pid and start time, in clock ticks since the host's boot: a pid alone is given out again."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """The process that has this pid now; `started` is 0 when there is none."""
        return cls(pid=pid, started=_start_ticks(pid))

    def is_alive(self) -> bool:
        return self.started != 0 and _start_ticks(self.pid) == self.started

    def kill(self) -> None:
        """SIGKILL it, if it is still the same."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, signal.SIGKILL)


def _start_ticks(pid: int) -> int:
    """Field 22 of /proc/PID/stat (proc(5)); 0 when there is no such process, or only its remains."""
    try:
        text = Path("/proc", str(pid), "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    # The second field is a name in brackets, which may hold anything.
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What a program left behind."""

    argv: tuple[str, ...]
    status: int
    output: str

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def tail(self) -> str:
        """The last lines of its output, enough to see why it failed."""
        return "\n".join(self.output.rstrip().splitlines()[-25:])


def tied_to_parent(argv: Sequence[str], *, death_signal: str = "KILL") -> list[str]:
    """`argv` such that the kernel sends it `death_signal` when the thread that starts it is gone."""
    return ["setpriv", "--pdeathsig", death_signal, "sh", "-c", _GUARD, "guard", str(os.getpid()), *argv]


def find_program(name: str) -> str | None:
    """Where a program is; the administrator's directories count even when an ordinary user's PATH lacks them."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(name, path=f"{path}:/usr/local/sbin:/usr/sbin:/sbin")


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    input_text: str | None = None,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    log: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    death_signal: str = "TERM",
    grace_s: float = 20,
    pass_fds: Sequence[int] = (),
) -> Finished:
    """Run a program to its end and return its status and output (stdout and stderr, as they came).

    `on_line` sees each line as it comes; `log` keeps them all. At `timeout_s`, or at Ctrl-C, the program's
    whole session gets SIGTERM and, `grace_s` later, SIGKILL. Raises `HostError` when the program is missing or
    was too slow; a non-zero status is the caller's to judge.
    """
    program = find_program(argv[0])
    if program is None:
        raise HostError(f"program not found: {argv[0]!r}", hint="run `vmlab setup` to install what the lab needs")
    lines: list[str] = []
    with _start([program, *argv[1:]], environment, directory, input_text is not None, death_signal, pass_fds) as child:
        sink = log.open("a", encoding="utf-8") if log else None
        reader = threading.Thread(target=_drain, args=(child.stdout, lines, sink, on_line), daemon=True)
        reader.start()
        try:
            if child.stdin is not None:
                _feed(child.stdin, input_text or "")
            child.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            end(child, grace_s=grace_s)
            _signal_session(child.pid, signal.SIGKILL)
            reader.join(5)
            raise HostError(
                f"{shlex.join(argv[:3])} … took longer than {timeout_s:.0f} s and was stopped",
                detail="\n".join(lines[-25:]),
            ) from None
        finally:
            # Also on Ctrl-C: nothing that was started here outlives the call. A process that the program left in
            # the background would hold its output open, and closing that would wait for it without limit.
            end(child, grace_s=grace_s)
            _signal_session(child.pid, signal.SIGKILL)
            reader.join(5)
            if sink is not None:
                sink.close()
    return Finished(argv=tuple(argv), status=child.returncode, output="".join(lines))


def end(child: subprocess.Popen[str] | subprocess.Popen[bytes], *, grace_s: float) -> None:
    """End a child and its session: politely, then firmly. Safe to call on one that has ended."""
    if child.poll() is None:
        _signal_session(child.pid, signal.SIGTERM)
        try:
            child.wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            _signal_session(child.pid, signal.SIGKILL)
            child.wait()


def _start(
    argv: Sequence[str],
    environment: Mapping[str, str] | None,
    directory: Path | None,
    has_input: bool,
    death_signal: str,
    pass_fds: Sequence[int],
) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            tied_to_parent(argv, death_signal=death_signal),
            stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
            start_new_session=True,
            pass_fds=pass_fds,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise HostError(f"cannot start {argv[0]!r}: {error.strerror}") from None


def _drain(
    stream: IO[str] | None, lines: list[str], sink: IO[str] | None, on_line: Callable[[str], None] | None
) -> None:
    if stream is None:
        return
    for line in stream:
        lines.append(line)
        if sink is not None:
            sink.write(line)
            sink.flush()
        if on_line is not None:
            on_line(line.rstrip("\n"))


def _feed(stdin: IO[str], text: str) -> None:
    try:
        stdin.write(text)
        stdin.close()
    except BrokenPipeError:
        # It ended without reading: its status tells the rest.
        pass


def _signal_session(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
