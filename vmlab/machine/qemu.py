# SPDX-License-Identifier: MIT
"""The process: started so that it ends when the lab does, and let go only on purpose."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from vmlab.errors import HostError, MachineLost
from vmlab.machine.qmp import Monitor, on_lasting_thread
from vmlab.system.process import end, find_program, tied_to_parent

_POLITE_S = 3.0
# $1 the leash's descriptor, then QEMU's words. A kept QEMU is let go by the word `keep`; the end of the leash
# without it means that the lab is gone.
_GUARD = """
leash=$1; shift
setpriv --pdeathsig KILL "$@" &
qemu=$!
{ read -r word <&"$leash"; [ "$word" = keep ] || kill -KILL "$qemu" 2>/dev/null; } &
wait "$qemu"
status=$?
kill %2 2>/dev/null
exit "$status"
"""


class QemuProcess:
    """QEMU as a child: of this process, which it dies with, or of a guard that can let it live on.

    `descriptors` are inherited; a keepable one should have the lock on its scratch directory among them.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        complaints: Path,
        descriptors: tuple[int, ...],
        is_keepable: bool = False,
    ) -> None:
        program = find_program(argv[0])
        if program is None:
            raise HostError(f"{argv[0]} is not installed", hint="vmlab setup")
        self._complaints = complaints
        self._leash: socket.socket | None = None
        words = [program, *argv[1:]]
        if is_keepable:
            self._leash, far_end = socket.socketpair()
            with far_end:
                guard = ["bash", "-c", _GUARD, "guard", str(far_end.fileno()), *words]
                self._child = self._start(guard, (*descriptors, far_end.fileno()))
        else:
            self._child = self._start(tied_to_parent(words), descriptors)

    def _start(self, words: list[str], descriptors: tuple[int, ...]) -> subprocess.Popen[bytes]:
        with self._complaints.open("wb") as complaints:
            return on_lasting_thread(
                lambda: subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=complaints,
                    stderr=complaints,
                    pass_fds=descriptors,
                    start_new_session=True,
                )
            )

    @property
    def pid(self) -> int:
        """QEMU's own; 0 while its guard has not started it."""
        return self._child.pid if self._leash is None else _first_child(self._child.pid)

    @property
    def status(self) -> int | None:
        """How it ended; None while it runs."""
        return self._child.poll()

    @property
    def words(self) -> str:
        """What QEMU had to say."""
        try:
            return self._complaints.read_text(errors="replace").strip()
        except FileNotFoundError:
            return ""

    def wait_shortly(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=_POLITE_S)

    def let_go(self) -> socket.socket:
        """Let it outlive this process; returns the leash, which may not be closed."""
        if self._leash is None or self.status is not None:
            raise MachineLost("this machine cannot be kept: it has ended, or was not started to be kept")
        self._leash.sendall(b"keep\n")
        return self._leash

    def end(self, monitor: Monitor | None) -> None:
        """End it, politely, then firmly; safe to call again."""
        if self.status is None and monitor is not None:
            # `quit` rather than a signal: QEMU then closes its files itself.
            with contextlib.suppress(MachineLost):
                monitor.execute("quit", timeout_s=_POLITE_S)
            self.wait_shortly()
        end(self._child, grace_s=_POLITE_S)
        if self._leash is not None:
            self._leash.close()


def _first_child(pid: int) -> int:
    """By /proc/PID/task/PID/children (proc(5))."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return int(children[0]) if children else 0
