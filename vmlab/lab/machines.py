# SPDX-License-Identifier: MIT
"""Starts a target's machines: a boot, or a fork resumed from a snapshot's files."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vmlab.catalogue.target import Boot, Target
from vmlab.errors import GuestError, hides_frames
from vmlab.guest.connect import await_booted, reach, root_opener
from vmlab.guest.fork_check import Mark, prove_fork
from vmlab.guest.guest import Guest
from vmlab.guest.hang import HangProbe
from vmlab.guest.kfence import start_kfence
from vmlab.guest.transport import LateTransport, Transport
from vmlab.host.accelerator import Accelerator
from vmlab.image.kernel_config import has_option, require_kfence
from vmlab.klog.splat import find_splats
from vmlab.lab.rig import Rig
from vmlab.machine.argv import NMI_PANIC
from vmlab.machine.machine import Machine
from vmlab.machine.snapshot import Origin
from vmlab.store.store import digest_of

__tracebackhide__ = hides_frames

_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A guest that answers, and the machine it runs in."""

    target: Target
    guest: Guest
    machine: Machine
    start_s: float
    """Seconds from the start of QEMU to the first answer over SSH."""
    open_shell: Callable[[str], int]
    """Function that opens an interactive shell, or runs one command; returns the exit status."""
    is_fork: bool = False


class Machines:
    """Starts one target's machines; each attempt is one QEMU process."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._context = rig.run.context

    @contextlib.contextmanager
    def boot(self, origin: Origin | None = None, *, has_network: bool = False) -> Iterator[Running]:
        """Yield a freshly booted guest. If it is to be frozen, `origin` names the files for its memory and disk.
        Raises `MachineLost`; costs a boot."""
        rig, target = self._rig, self._rig.target
        if target.boot is Boot.KFENCE:
            require_kfence(rig.image, target.id)
        self._context.progress(f"{target.id}: booting {rig.image.release} ({rig.accelerator.accelerator})")
        with contextlib.ExitStack() as stack:
            machine = stack.enter_context(self.machine(origin, has_network=has_network))
            transport = reach(machine, rig.limits.boot_s, rig.limits)
            guest = self._guest(machine, transport, has_root_shell=False)
            stack.callback(guest.close)
            start_s = time.monotonic() - machine.started
            rig.learn_boot(start_s, machine.console.path)
            self._context.progress(f"{target.id}: booted in {start_s:.0f} s")
            self._tell_boot_trouble(guest)
            if target.boot is Boot.KFENCE:
                await_booted(guest)
                start_kfence(guest)
            yield Running(target=target, guest=guest, machine=machine, start_s=start_s, open_shell=transport.interact)

    @contextlib.contextmanager
    def resume(self, origin: Origin, mark: Mark, *, has_network: bool = False) -> Iterator[Running]:
        """Yield a guest resumed from a snapshot's files and proved to be the frozen guest.

        Raises `ForkUnproved`, `MachineLost`, and `AssetError` if QEMU refuses the files. Costs 1 to 2 s under TCG.
        """
        rig, limits = self._rig, self._rig.limits
        with self.machine(origin, has_network=has_network) as machine:
            # Log in while the proof runs: the login takes longer, and uses another processor of the guest.
            late = LateTransport(lambda: reach(machine, limits.connect_s, limits))
            guest = self._guest(machine, late, has_root_shell=True, log_position=mark.log_position)
            with contextlib.closing(guest):
                prove_fork(guest, mark, has_real_time=rig.target.boot is not Boot.ICOUNT)
                transport = late.settle()
                yield Running(
                    target=rig.target,
                    guest=guest,
                    machine=machine,
                    start_s=time.monotonic() - machine.started,
                    open_shell=transport.interact,
                    is_fork=True,
                )

    def machine(self, origin: Origin | None, *, has_network: bool = False) -> Machine:
        """Return a machine of the target that is not started yet."""
        return Machine(
            self._rig.image,
            self._rig.spec,
            console=self._console_path(),
            keys=self._rig.keys,
            origin=origin,
            is_keepable=self._context.settings.keep and (origin is None or origin.overlay is None),
            room_timeout_s=self._rig.limits.room_s,
            monitor_s=self._rig.limits.monitor_s,
            has_network=has_network,
            notice=self._context.notice,
        )

    def _guest(
        self, machine: Machine, transport: Transport, *, has_root_shell: bool, log_position: int | None = None
    ) -> Guest:
        """Return the guest of a connected machine; `has_root_shell` if it was frozen with the lab's root shell."""
        rig = self._rig
        is_emulated = rig.accelerator.accelerator is Accelerator.TCG
        probe = HangProbe(
            machine=lambda: machine.probes,
            console=machine.console,
            step_s=rig.limits.probe_s,
            nmi_panics=NMI_PANIC in rig.target.kernel_parameters,
            has_lockdep=has_option(rig.image, "CONFIG_LOCKDEP"),
            is_emulated=is_emulated,
            dump_to=lambda: self._dump_path(machine),
        )
        return Guest(
            transport,
            root_transport=root_opener(machine, rig.limits, has_root_shell=has_root_shell),
            limits=rig.limits,
            console=machine.console,
            require_alive=machine.require_alive,
            log_position=log_position,
            probe=probe,
            rules=rig.run.rules,
            release=rig.image.release,
            is_emulated=is_emulated,
            has_network=machine.has_network,
        )

    def _tell_boot_trouble(self, guest: Guest) -> None:
        """Give a notice for each splat during the boot, which fails no test."""
        with contextlib.suppress(GuestError):
            for splat in find_splats(guest.log.after(), self._rig.run.rules):
                told = f"the kernel reported a splat during boot: {splat.title}"
                self._context.notice(f"{self._rig.target.id}: {told}")

    def _dump_path(self, machine: Machine) -> Path | None:
        is_wanted = self._context.settings.dump
        return self._report_file("dumps", f"{machine.console.path.stem}.elf") if is_wanted else None

    def _console_path(self) -> Path:
        name = f"{self._rig.target.id}-{digest_of({'time': time.time_ns()})[:6]}-{next(_NUMBERS)}.log"
        return self._report_file("consoles", name)

    def _report_file(self, kind: str, name: str) -> Path:
        directory = self._context.settings.report / kind
        directory.mkdir(parents=True, exist_ok=True)
        return directory / name
