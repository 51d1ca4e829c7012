# SPDX-License-Identifier: MIT
"""A lab without machines, written as a conftest.py: pytester copies this file into each run of its own.

Its guests are real `Guest`s over a transport that understands a few commands:

splat    the kernel reports a WARNING, and the command succeeds
die      the guest is gone
boots    how many guests this process has booted so far
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from vmlab.guest.guest import Guest
from vmlab.guest.transport import Completed, TransportLost
from vmlab.host.accelerator import Accelerator
from vmlab.host.limits import limits_for
from vmlab.image.image import Image
from vmlab.lab import Booted, Lab
from vmlab.machine.argv import machine_spec
from vmlab.machine.machine import Machine
from vmlab.report.model import Provenance, TargetFacts
from vmlab.target import Target

if TYPE_CHECKING:
    from vmlab.guest.ssh import SshTransport

_SPLAT = "WARNING: CPU: 0 PID: 94 at fibdrv_main.c:42 fib_read+0x1b/0x40 [fibdrv]"


class KernelTransport:
    """A guest's shell and its kernel log."""

    def __init__(self, boots: int) -> None:
        self._boots = boots
        self._log = ["4,0,1000000,-;Linux version 6.1.0-56-cloud-amd64"]
        self._is_dead = False

    def run(self, command: str, *, timeout_s: float) -> Completed:
        del timeout_s
        if command == "die":
            self._is_dead = True
        if self._is_dead:
            raise TransportLost("EOFError")
        stdout = ""
        if command == "splat":
            number = len(self._log)
            self._log.append(f"4,{number},{number}000000,-;{_SPLAT}")
            self._log.append(f"4,{number + 1},{number}000100,-;---[ end trace 0000000000000000 ]---")
        elif command == "boots":
            stdout = str(self._boots)
        elif command.startswith("dd "):
            stdout = "\n".join(self._log) + "\n"
        elif command.startswith("echo "):
            stdout = command.removeprefix("echo ") + "\n"
        return Completed(command=command, status=0, stdout=stdout, stderr="", duration_s=0.0)

    def put(self, local: Path, remote: str, *, timeout_s: float) -> None:
        self.run(f"put {local} {remote}", timeout_s=timeout_s)

    def get(self, remote: str, local: Path, *, timeout_s: float) -> None:
        self.run(f"get {remote} {local}", timeout_s=timeout_s)

    def close(self) -> None:
        pass


class FakeLab(Lab):
    """Boots at once; everything else is the real one's."""

    _boots = 0

    @contextlib.contextmanager
    def boot(self, target: Target) -> Iterator[Booted]:
        self._boots += 1
        self.facts[target.id] = _facts(self._boots)
        transport = KernelTransport(self._boots)
        guest = Guest(
            transport,
            root_transport=lambda: transport,
            limits=limits_for(Accelerator.KVM),
            console_tail=lambda: "--- console, last lines ---\nKernel panic - not syncing",
        )
        image = _image(Path("none"))
        spec = machine_spec(image, Accelerator.TCG, cpus=2, memory_mib=1024)
        machine = Machine(image, spec, console=Path("console.log"))
        yield Booted(guest=guest, machine=machine, boot_s=1.0, transport=cast("SshTransport", transport))


def _facts(boots: int) -> TargetFacts:
    provenance = Provenance(
        release="6.1.0-56-cloud-amd64",
        kernel_package="6.1.170-1",
        image="0" * 20,
        qemu="7.2.22",
        accelerator="tcg",
        accelerator_reason="asked for",
        cpu_model="max",
        cpus=2,
        memory_mib=1024,
        timing_source="clock",
        compiler="gcc-12 (Debian 12.2.0-14) 12.2.0",
    )
    return TargetFacts(
        provenance=provenance, image="cached", image_s=0.0, boot_s=1.0, boots=boots, consoles=(f"console-{boots}.log",)
    )


def _image(directory: Path) -> Image:
    return Image(
        target_id="none",
        digest="0" * 20,
        release="6.1.0-56-cloud-amd64",
        disk=directory,
        kernel=directory,
        initrd=directory,
        tool_root=directory,
        packages={},
        is_new=False,
        size_bytes=0,
        host_key="",
        user_key=directory,
    )


_PATCH = pytest.MonkeyPatch()
_PATCH.setattr(importlib.import_module("vmlab.plugin.session"), "Lab", FakeLab)


def pytest_unconfigure(config: pytest.Config) -> None:
    del config
    _PATCH.undo()
