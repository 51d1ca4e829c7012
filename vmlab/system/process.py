# SPDX-License-Identifier: MIT
"""Child processes: the only module that starts other programs.

Every child gets its own session, so that its descendants end with it. It ends with its parent, however the
parent ends. It has a time limit, and no shell interprets its arguments.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from vmlab.errors import HostError
from vmlab.system.child_output import OutputReader

# setpriv sets the parent-death signal, which survives exec. If the parent died before that took effect, the
# child was re-parented: the shell detects this by $PPID. The signal follows the *thread* that spawned the child
# (prctl(2)), so call from a thread that lives as long as the child.
_GUARD = 'if [ "$PPID" = "$1" ]; then shift; exec "$@"; fi'


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """A process by pid and start time in clock ticks since the host's boot, because pids are reused."""

    pid: int
    started: int
    executable: str = field(default="", compare=False)
    """The program that it runs, as /proc has it; empty if unknown."""

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """Return the process that has this pid now; `started` is 0 when there is none."""
        return cls(pid=pid, started=_start_ticks(pid), executable=_executable(pid))

    def is_alive(self) -> bool:
        return self.started != 0 and _start_ticks(self.pid) == self.started

    def kill(self) -> bool:
        """Send SIGKILL if it is still the same process and runs the same program; returns False if it is not.

        The descriptor of pidfd_open(2) stays bound to one process, so the pid cannot change hands after the check.
        """
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            if not self.is_alive() or _executable(self.pid) != self.executable:
                return False
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True


def _start_ticks(pid: int) -> int:
    """Return field 22 of /proc/PID/stat (proc(5)); 0 when there is no such process, or it is a zombie."""
    try:
        text = Path("/proc", str(pid), "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    # The second field is the name in parentheses, which may contain any character.
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def _executable(pid: int) -> str:
    """Return the program of a process, from /proc/PID/exe (proc(5)); empty when it cannot be read."""
    try:
        # An upgrade replaces the file of a program that runs.
        return str(Path("/proc", str(pid), "exe").readlink()).removesuffix(" (deleted)")
    except OSError:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Exit status and output of a program."""

    argv: tuple[str, ...]
    status: int
    output: str

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def tail(self) -> str:
        """The last 25 lines of its output, enough to see why it failed."""
        return "\n".join(self.output.rstrip().splitlines()[-25:])


def tied_to_parent(argv: Sequence[str], *, death_signal: str = "KILL") -> list[str]:
    """Return `argv` wrapped so that the kernel sends it `death_signal` when the thread that starts it ends."""
    return ["setpriv", "--pdeathsig", death_signal, "sh", "-c", _GUARD, "guard", str(os.getpid()), *argv]


def find_program(name: str) -> str | None:
    """Return the path of a program; the sbin directories are searched even if PATH lacks them."""
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
    """Run a program to its end and return its status and output (stdout and stderr, interleaved).

    `on_line` gets each line as it arrives; `log` keeps them all. At `timeout_s`, or at Ctrl-C, the program's
    whole session gets SIGTERM and, `grace_s` later, SIGKILL. Raises `HostError` when the program is missing or
    exceeds the timeout, or the log cannot be written. A non-zero status raises nothing: the caller checks it. An
    exception of `on_line` is raised when the program has ended.
    """
    program = find_program(argv[0])
    if program is None:
        raise HostError(f"program not found: {argv[0]!r}", hint="run `vmlab setup` to install the required packages")
    with (
        OutputReader(log, on_line) as reader,
        _start([program, *argv[1:]], environment, directory, input_text is not None, death_signal, pass_fds) as child,
    ):
        reader.begin(child.stdout)
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
                detail=reader.tail,
            ) from None
        finally:
            # Also on Ctrl-C: no process started here outlives the call. One that the program left in the
            # background would keep the output open, and closing it would block without limit.
            end(child, grace_s=grace_s)
            _signal_session(child.pid, signal.SIGKILL)
            reader.join(5)
    reader.require_whole()
    return Finished(argv=tuple(argv), status=child.returncode, output="".join(reader.lines))


def end(child: subprocess.Popen[str] | subprocess.Popen[bytes], *, grace_s: float) -> None:
    """End a child and its session: SIGTERM, then SIGKILL after `grace_s`. Safe to call on one that has ended."""
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


def _feed(stdin: IO[str], text: str) -> None:
    try:
        stdin.write(text)
        stdin.close()
    except BrokenPipeError:
        # The program ended without reading its input: the caller checks its status.
        pass


def _signal_session(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
