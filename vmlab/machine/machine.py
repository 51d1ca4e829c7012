# SPDX-License-Identifier: MIT
"""One machine: start, checks and stop."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import socket
import time
from pathlib import Path
from types import TracebackType

from vmlab.context import Say, silent
from vmlab.errors import AssetError, HostError, KvmRefused, MachineLost
from vmlab.host.accelerator import Accelerator, qemu_program
from vmlab.host.confinement import Confinement, find_confinement
from vmlab.host.handover import Handover, NotGranted
from vmlab.image.image import Bootable
from vmlab.image.keys import LabKeys
from vmlab.machine.argv import ExtraDisk, MachineSpec, Memory, Wiring, qemu_argv, with_names
from vmlab.machine.console import Console, trimmed
from vmlab.machine.overlay import make_overlay
from vmlab.machine.probes import Probes
from vmlab.machine.qemu import QemuProcess
from vmlab.machine.qmp import CALL_TIMEOUT_S, Monitor
from vmlab.machine.registry import MachineRecord, room_for, write_record
from vmlab.machine.snapshot import Origin, thaw
from vmlab.system.process import ProcessIdentity
from vmlab.system.scratch import ScratchDirectory

OVERLAY_MIB = 512
"""Free disk space required to start: a margin for guest writes, not a measurement."""
QEMU_MIB = 300
"""Memory of a machine in addition to its guest's: a margin, not a measurement."""
FORK_MIB = 450
"""Expected memory of a fork: idle forks of a 1 GiB guest used 140 MiB under TCG; the rest is a margin for tests."""

_KVM_REFUSED = re.compile(
    r"Could not access KVM kernel module|failed to initialize kvm|ioctl\(KVM_CREATE_VM\) failed|kvm_init_vcpu"
)
"""QEMU's messages (accel/kvm/kvm-all.c, and accel/accel-system.c or system/vl.c for the second)."""
_SERIAL = "serial"
_ON_SIGNAL = "terminating on signal"
"""QEMU's message when a signal ends it in good order."""
_KEPT: list[object] = []
"""Connections to kept machines: QEMU would take their close for the end of this process."""


class Machine:
    """A running QEMU with its overlay; a context manager that removes both at exit.

    QEMU dies with this process, however that ends. A machine that `is_keepable` can be left running with `keep`.
    """

    def __init__(
        self,
        image: Bootable,
        spec: MachineSpec,
        *,
        console: Path,
        keys: LabKeys | None = None,
        origin: Origin | None = None,
        is_keepable: bool = False,
        room_timeout_s: float = 0.0,
        extra: tuple[ExtraDisk, ...] = (),
        monitor_s: float = CALL_TIMEOUT_S,
        has_network: bool = False,
        notice: Say = silent,
        confinement: Confinement | None = None,
    ) -> None:
        """Prepare a machine; `monitor_s` is the timeout for each answer of QEMU's monitor.

        `keys` are its guest's, which receives them when it boots and has them when it is resumed; without keys no SSH
        reaches it. With `has_network` it reaches the host's loopback interface and what the host reaches. Without
        `confinement` QEMU gets all restrictions that this host allows, and `notice` is called if some are missing.
        """
        self.image = image
        self.spec = spec
        self.console = Console(console)
        self.keys = keys
        self.origin = origin or Origin(base=image.disk)
        self.has_network = has_network
        self.ssh_port = 0
        self.started = 0.0
        self.line: socket.socket | None = None
        """Host's end of the guest's virtio port."""
        self._is_keepable = is_keepable
        self._room_timeout_s = room_timeout_s
        self._extra = extra
        self._monitor_s = monitor_s
        self._notice = notice
        self._confinement = confinement
        self._stack = contextlib.ExitStack()
        self._qemu: QemuProcess | None = None
        self._monitor: Monitor | None = None
        self._scratch: ScratchDirectory | None = None
        self._given: Handover | None = None
        self._memory: Memory | None = None
        self._probes: Probes | None = None

    def __enter__(self) -> Machine:
        """Start QEMU and return when its monitor answers: a fork runs then, a booting guest answers much later.

        Raises `HostError` when QEMU does not start or memory is short, `AssetError` when it cannot read the image or
        the snapshot.
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
        """QEMU's process id; 0 before it runs."""
        return self._qemu.pid if self._qemu else 0

    @property
    def monitor(self) -> Monitor:
        if self._monitor is None:
            raise MachineLost("the machine was not started")
        return self._monitor

    @property
    def probes(self) -> Probes:
        """Probes for a guest that no longer answers."""
        if self._probes is None:
            if self._scratch is None:
                raise MachineLost("the machine was not started")
            self._probes = Probes(self.monitor, _keyboard(self._scratch.path))
            self._stack.callback(self._probes.close)
        return self._probes

    def is_alive(self) -> bool:
        return self._qemu is not None and self._qemu.status is None

    def has_powered_off(self) -> bool:
        """True if QEMU ended because its guest powered off, not because of a signal or a failure."""
        return self._qemu is not None and self._qemu.status == 0 and _ON_SIGNAL not in self._qemu.words

    def require_alive(self) -> None:
        """Raise `MachineLost` with the console's tail when QEMU has ended or the kernel has panicked."""
        if not self.is_alive():
            status, words = (self._qemu.status, self._qemu.words) if self._qemu else (None, "")
            raise MachineLost(f"QEMU ended with status {status}", detail=f"{words}\n{self.console.tail()}")
        panic = self.console.panic()
        if panic:
            raise MachineLost(f"the kernel panicked: {panic}", detail=self.console.tail())

    def stop(self) -> None:
        """End QEMU, by its monitor or else by signals, and remove its overlay. Can be called more than once."""
        self._stack.close()

    def keep(self) -> MachineRecord:
        """Leave QEMU running when this process ends, until `vmlab reap`; returns its record.

        Raises `MachineLost` when it has ended, or is not `is_keepable`.
        """
        if self._qemu is None or self._scratch is None:
            raise MachineLost("the machine was not started")
        record = self._record(self._qemu.pid, is_kept=True)
        leash = self._qemu.let_go()
        write_record(self._scratch.path, record)
        self._stack.pop_all()
        self._scratch.release()
        _KEPT.append((leash, self._monitor, self.line))
        return record

    def _start(self, stack: contextlib.ExitStack) -> None:
        scratch = ScratchDirectory(needed_mib=OVERLAY_MIB if self.origin.overlay is None else 1, what="a guest's disk")
        self._scratch = scratch
        stack.callback(scratch.close)
        overlay = self.origin.overlay or scratch.path / "disk.qcow2"
        if not overlay.exists():
            make_overlay(self.origin.base, overlay)
        ours, theirs = socket.socketpair()
        stack.callback(ours.close)
        self.line, far_end = socket.socketpair()
        stack.callback(self.line.close)
        if self.keys is not None and self.origin.state is None:
            # They wait in the socket until the guest opens its port.
            self.line.sendall(self.keys.for_guest())
        self._given = given = self._hand_over(self._find_confinement())
        with room_for(self._expected_mib(), timeout_s=self._room_timeout_s), theirs, far_end, given:
            argv = qemu_argv(
                with_names(self.spec, given),
                self._wiring(given, overlay, monitor_fd=theirs.fileno(), line_fd=far_end.fileno()),
            )
            own = (theirs.fileno(), far_end.fileno(), *([scratch.lock_fd] if self._is_keepable else ()))
            self._qemu = QemuProcess(
                argv,
                complaints=scratch.path / "qemu.err",
                descriptors=(*own, *given.descriptors),
                confinement=given.confinement,
                is_keepable=self._is_keepable,
            )
            stack.callback(self._end)
            stack.enter_context(trimmed(self.console))
            self.started = time.monotonic()
            write_record(scratch.path, self._record(self._qemu.pid))
        self._monitor = monitor = Monitor(ours, call_s=self._monitor_s)
        try:
            monitor.connect()
            if self.origin.state is not None:
                thaw(monitor, self.origin.state)
            self.ssh_port = monitor.forwarded_port()
        except MachineLost as lost:
            raise self._refusal(lost) from None
        write_record(scratch.path, self._record(self._qemu.pid))

    def _find_confinement(self) -> Confinement:
        program, is_kvm = qemu_program(self.spec.architecture), self.spec.accelerator is Accelerator.KVM
        return (self._confinement or find_confinement(program, is_kvm=is_kvm)).for_machine()

    def _hand_over(self, confinement: Confinement) -> Handover:
        """Return the open files for a QEMU under a confinement, first the guest's memory: if its file cannot be given
        to QEMU's group, QEMU keeps the lab's user."""
        given, memory = Handover(confinement), self.origin.memory
        try:
            if memory is not None:
                self._memory = dataclasses.replace(memory, file=given.memory(memory.file))
        except NotGranted as refusal:
            given.close()
            return self._hand_over(confinement.as_the_labs_user(str(refusal)))
        if confinement.notice:
            self._notice(confinement.notice)
        return given

    def _wiring(self, given: Handover, overlay: Path, *, monitor_fd: int, line_fd: int) -> Wiring:
        """Open the machine's files for QEMU, and name them."""
        assert self._scratch is not None
        origin = self.origin
        disks = (given.drive(overlay, is_writable=True), *map(given.drive, (origin.base, *origin.beneath)))
        extra = tuple(
            dataclasses.replace(disk, file=given.drive(disk.file, is_writable=not disk.is_read_only))
            for disk in self._extra
        )
        return Wiring(
            layers=disks,
            serial=given.directory(_make_serial(self._scratch.path, given)) / _SERIAL,
            console=given.log(self.console.path),
            monitor_fd=monitor_fd,
            line_fd=line_fd,
            memory=self._memory,
            is_incoming=origin.state is not None,
            extra=extra,
            declared=tuple(given.words()),
            has_network=self.has_network,
        )

    def _end(self) -> None:
        # Close the monitor last: QEMU gets its `quit` over it.
        if self._qemu is not None:
            self._qemu.end(self._monitor)
        if self._monitor is not None:
            self._monitor.close()

    def _record(self, pid: int, *, is_kept: bool = False) -> MachineRecord:
        return MachineRecord(
            target=self.image.target_id,
            qemu=ProcessIdentity.of(pid),
            ssh_port=self.ssh_port,
            console=str(self.console.path),
            expected_mib=self._expected_mib(),
            is_kept=is_kept,
        )

    def _expected_mib(self) -> int:
        return FORK_MIB if self.origin.state is not None else self.spec.memory_mib + QEMU_MIB

    def _refusal(self, lost: MachineLost) -> HostError | AssetError | MachineLost:
        """Convert a failed start to an error, by QEMU's messages."""
        if self._qemu is None:
            return lost
        self._qemu.wait_shortly()
        words = self._given.with_paths(self._qemu.words) if self._given else self._qemu.words
        if self.origin.state is not None and "migration failed" in words:
            return AssetError(
                f"cannot resume a snapshot of {self.image.target_id}: {words.splitlines()[0]}", detail=words
            )
        if "qcow2" in words:
            return AssetError(
                f"QEMU cannot read the image of {self.image.target_id}",
                hint="vmlab images verify",
                detail=words,
            )
        if self.spec.accelerator is Accelerator.KVM and (refused := _KVM_REFUSED.search(words)):
            line = next(line for line in words.splitlines() if refused[0] in line)
            return KvmRefused(f"QEMU was refused KVM: {line}", hint="vmlab doctor", detail=words)
        if words:
            return HostError(f"QEMU did not start: {words.splitlines()[0]}", hint="vmlab doctor", detail=words)
        return lost


def _make_serial(directory: Path, given: Handover) -> Path:
    """Create the directory with the serial port's files (`Wiring.serial`): a pipe for input, and no output."""
    made = directory / _SERIAL
    made.mkdir()
    os.mkfifo(_keyboard(directory), 0o600)
    given.pipe(_keyboard(directory))
    made.joinpath(f"{_SERIAL}.out").symlink_to(os.devnull)
    return made


def _keyboard(directory: Path) -> Path:
    return directory / _SERIAL / f"{_SERIAL}.in"
