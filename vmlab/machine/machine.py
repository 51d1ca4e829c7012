# SPDX-License-Identifier: MIT
"""One QEMU process: started, watched and given back."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from vmlab.errors import AssetError, HostError, MachineLost
from vmlab.image.image import Image
from vmlab.machine.argv import MachineSpec, qemu_argv
from vmlab.machine.console import Console
from vmlab.machine.qmp import Monitor, on_lasting_thread
from vmlab.process import end, find_program, run, tied_to_parent
from vmlab.scratch import scratch_directory

_POLITE_S = 3.0
_OVERLAY_MIB = 512
"""Room to start with: a margin for what a guest writes, not a measurement."""


class Machine:
    """A running QEMU with an overlay of its own; a context manager that leaves nothing behind.

    It dies with this process, however that ends: the kernel kills it when the thread that started it is gone.
    """

    def __init__(self, image: Image, spec: MachineSpec, *, console: Path) -> None:
        self.image = image
        self.spec = spec
        self.console = Console(console)
        self.ssh_port = 0
        self.started = 0.0
        self._stack = contextlib.ExitStack()
        self._child: subprocess.Popen[bytes] | None = None
        self._monitor: Monitor | None = None
        self._complaints = Path()

    def __enter__(self) -> Machine:
        """Start QEMU; returns when its monitor answers, long before the guest does.

        Raises `HostError` when QEMU refuses to start, `AssetError` when it cannot read the image.
        """
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._child.pid if self._child else 0

    @property
    def monitor(self) -> Monitor:
        if self._monitor is None:
            raise MachineLost("the machine was not started")
        return self._monitor

    def is_alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def require_alive(self) -> None:
        """Raise `MachineLost` with the console's tail when QEMU has ended or the kernel has panicked."""
        if not self.is_alive():
            status = self._child.returncode if self._child else None
            raise MachineLost(f"QEMU ended with status {status}", detail=f"{self._complaint()}\n{self.console.tail()}")
        panic = self.console.panic()
        if panic:
            raise MachineLost(f"the kernel panicked: {panic}", detail=self.console.tail())

    def stop(self) -> None:
        """End QEMU, politely, then firmly, and remove its overlay. Safe to call again."""
        self._stack.close()

    def _start(self, stack: contextlib.ExitStack) -> None:
        directory = stack.enter_context(scratch_directory(needed_mib=_OVERLAY_MIB, what="a guest's disk"))
        overlay = directory / "disk.qcow2"
        self._complaints = directory / "qemu.err"
        _make_overlay(self.image.disk, overlay)
        ours, theirs = socket.socketpair()
        stack.callback(ours.close)
        with theirs:
            argv = qemu_argv(self.spec, disk=overlay, console=self.console.path, monitor_fd=theirs.fileno())
            self._child = self._spawn(argv, theirs)
        stack.callback(self._end)
        self.started = time.monotonic()
        monitor = Monitor(ours)
        stack.callback(monitor.close)
        self._monitor = monitor
        try:
            monitor.connect()
            self.ssh_port = monitor.forwarded_port()
        except MachineLost as lost:
            raise self._refusal(lost) from None

    def _spawn(self, argv: list[str], theirs: socket.socket) -> subprocess.Popen[bytes]:
        program = find_program(argv[0])
        if program is None:
            raise HostError(f"{argv[0]} is not installed", hint="vmlab setup")
        with self._complaints.open("wb") as complaints:
            return on_lasting_thread(
                lambda: subprocess.Popen(
                    tied_to_parent([program, *argv[1:]]),
                    stdin=subprocess.DEVNULL,
                    stdout=complaints,
                    stderr=complaints,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            )

    def _end(self) -> None:
        child = self._child
        if child is None:
            return
        if child.poll() is None and self._monitor is not None:
            # `quit` rather than a signal: QEMU then closes its files itself.
            with contextlib.suppress(MachineLost):
                self._monitor.execute("quit", timeout_s=_POLITE_S)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=_POLITE_S)
        end(child, grace_s=_POLITE_S)

    def _complaint(self) -> str:
        try:
            return self._complaints.read_text(errors="replace").strip()
        except FileNotFoundError:
            return ""

    def _refusal(self, lost: MachineLost) -> HostError | AssetError | MachineLost:
        """What it means that QEMU did not come up: its own words decide."""
        child = self._child
        if child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=_POLITE_S)
        words = self._complaint()
        if "qcow2" in words or "disk.qcow2" in words:
            return AssetError(
                f"QEMU cannot read the image of {self.image.target_id}",
                hint="vmlab images verify",
                detail=words,
            )
        if words:
            return HostError(f"QEMU did not start: {words.splitlines()[0]}", hint="vmlab doctor", detail=words)
        return lost


def _make_overlay(base: Path, overlay: Path) -> None:
    made = run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(overlay)], timeout_s=60)
    if not made.ok:
        raise AssetError(f"cannot make a disk on top of {str(base)!r}", hint="vmlab images verify", detail=made.tail)
