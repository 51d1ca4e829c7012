# SPDX-License-Identifier: MIT
"""The QEMU process, which ends with the lab unless it is kept on purpose."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from vmlab.errors import HostError, MachineLost
from vmlab.host.confinement import Confinement, confined_words, environment
from vmlab.machine.qmp import Monitor, on_lasting_thread
from vmlab.system.process import ProcessIdentity, end, find_program, tied_to_parent

POLITE_S = 3.0
_MOST_OUTPUT_BYTES = 2**20
"""More than any message: a QEMU that was taken over can write without limit."""
# $1 is the leash's descriptor, the rest is QEMU's command. `keep` on the leash lets QEMU live on; the end of the leash
# without `keep` means that the lab has ended.
_GUARD = """
leash=$1; shift
"$@" &
qemu=$!
{ read -r word <&"$leash"; [ "$word" = keep ] || kill -KILL "$qemu" 2>/dev/null; } &
wait "$qemu"
status=$?
kill %2 2>/dev/null
exit "$status"
"""
_PDEATHSIG = ("setpriv", "--pdeathsig", "KILL")


class QemuProcess:
    """QEMU as a child of this process, which it dies with, or of a guard that can keep it running.

    QEMU inherits `descriptors`; for a keepable one they should include the lock on its scratch directory. The guard is
    not confined: it must be able to end QEMU.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        complaints: Path,
        descriptors: tuple[int, ...],
        confinement: Confinement,
        is_keepable: bool = False,
    ) -> None:
        program = find_program(argv[0])
        if program is None:
            raise HostError(f"{argv[0]} is not installed", hint="vmlab setup")
        self._complaints = complaints
        self._leash: socket.socket | None = None
        self._environment = environment(complaints.parent)
        words, prefix = confined_words([program, *argv[1:]], confinement), confinement.prefix()
        if is_keepable:
            self._leash, far_end = socket.socketpair()
            with far_end:
                guard = ["bash", "-c", _GUARD, "guard", str(far_end.fileno()), *prefix, *_PDEATHSIG, *words]
                self.child = self._start(guard, (*descriptors, far_end.fileno()))
        else:
            self.child = self._start([*prefix, *tied_to_parent(words)], descriptors)

    def _start(self, words: list[str], descriptors: tuple[int, ...]) -> subprocess.Popen[bytes]:
        with self._complaints.open("wb") as complaints:
            return on_lasting_thread(
                lambda: subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=complaints,
                    stderr=complaints,
                    pass_fds=descriptors,
                    env=self._environment,
                    # Not the lab's directory, which QEMU's user could not reach otherwise.
                    cwd="/",
                    start_new_session=True,
                )
            )

    @property
    def pid(self) -> int:
        """QEMU's process id; 0 until its guard has started it."""
        return self.child.pid if self._leash is None else _first_child(self.child.pid)

    @property
    def status(self) -> int | None:
        """Exit status; None while it runs."""
        return self.child.poll()

    @property
    def words(self) -> str:
        """Beginning of QEMU's output on stdout and stderr."""
        try:
            with self._complaints.open("rb") as output:
                return output.read(_MOST_OUTPUT_BYTES).decode(errors="replace").strip()
        except FileNotFoundError:
            return ""

    def wait_shortly(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(timeout=POLITE_S)

    def let_go(self) -> socket.socket:
        """Let QEMU outlive this process; returns the leash, which must stay open."""
        if self._leash is None or self.status is not None:
            raise MachineLost("the machine cannot be kept: it has ended, or was not started as keepable")
        self._leash.sendall(b"keep\n")
        return self._leash

    def end(self, monitor: Monitor | None) -> None:
        """End QEMU, by its monitor or else by signals; can be called more than once."""
        if self.status is None and monitor is not None:
            # `quit` rather than a signal, so that QEMU closes its files.
            with contextlib.suppress(MachineLost):
                monitor.execute("quit", timeout_s=POLITE_S)
            self.wait_shortly()
        qemu = ProcessIdentity.of(self.pid if self.status is None else 0)
        end(self.child, grace_s=POLITE_S)
        # One that has left its guard's session gets none of the signals.
        qemu.kill()
        if self._leash is not None:
            self._leash.close()


def _first_child(pid: int) -> int:
    """Process id of the first child, from /proc/PID/task/PID/children (proc(5)); 0 if there is none."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return int(children[0]) if children else 0
