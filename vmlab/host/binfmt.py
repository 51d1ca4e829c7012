# SPDX-License-Identifier: MIT
"""Test whether programs of another architecture run on this host, by running one.

The kernel starts them with a registered emulator (Documentation/admin-guide/binfmt-misc.rst). Only an emulator
registered with the flag F, which keeps it open, works in a root file system of another architecture.
"""

from __future__ import annotations

import os
import platform
import struct
import subprocess

from vmlab.catalogue.target import Architecture
from vmlab.errors import HostError
from vmlab.system.scratch import ScratchDirectory

_MACHINES = {"x86_64": Architecture.AMD64, "aarch64": Architecture.ARM64}
_ELF_MACHINE = {Architecture.AMD64: 62, Architecture.ARM64: 183}
EMULATORS = {Architecture.AMD64: "qemu-x86_64-static", Architecture.ARM64: "qemu-aarch64-static"}
"""Emulator that runs an architecture's programs on a host of another architecture."""
_STATUS = 42
# exit(42): `mov $42, %edi; mov $60, %eax; syscall` and `mov x0, #42; mov x8, #93; svc #0`.
_EXIT = {
    Architecture.AMD64: bytes.fromhex("bf2a000000 b83c000000 0f05"),
    Architecture.ARM64: bytes.fromhex("400580d2 a80b80d2 010000d4"),
}
_ADDRESS = 0x400000
_TIMEOUT_S = 30


def native_architecture() -> Architecture | None:
    """Architecture of this host; None if no target has it."""
    return _MACHINES.get(platform.machine())


def setup_command(architecture: Architecture) -> str:
    """Command that installs the programs that targets of an architecture need."""
    return "vmlab setup" if architecture is Architecture.AMD64 else f"vmlab setup --vmlab-target '*-{architecture}'"


def require_programs_of(architecture: Architecture) -> None:
    """Raise `HostError` when this host cannot run an architecture's programs, also in a chroot.

    Runs a program of about a hundred bytes that only exits; costs 30 ms, and nothing for the host's architecture.
    """
    refusal = "" if architecture is native_architecture() else _refusal(architecture)
    if refusal:
        raise HostError(
            f"{architecture} programs do not run on this {platform.machine()} host: {refusal}",
            hint=setup_command(architecture),
        )


def runs_programs_of(architecture: Architecture) -> bool:
    """True if an architecture's programs run on this host, natively or emulated."""
    return architecture is native_architecture() or not _refusal(architecture)


def _refusal(architecture: Architecture) -> str:
    with ScratchDirectory(needed_mib=1, what="a test program", mode=0o755) as root:
        program = root / "exit"
        program.write_bytes(elf_program(architecture))
        program.chmod(0o755)
        try:
            outside = status_of([str(program)])
        except OSError:
            return "no emulator is registered with the kernel (binfmt_misc)"
        if outside != _STATUS:
            return f"a test program exited with status {outside}, expected {_STATUS}"
        namespace = [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user"]
        # Without user namespaces there is no chroot to test; mmdebstrap reports that itself.
        if namespace and status_of([*namespace, "true"]) != 0:
            return ""
        if status_of([*namespace, "chroot", str(root), "/exit"]) != _STATUS:
            return "the registered emulator does not work in a chroot: it needs the flag F (binfmt_misc)"
    return ""


def status_of(argv: list[str]) -> int:
    try:
        done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return -1
    return done.returncode


def elf_program(architecture: Architecture) -> bytes:
    """Minimal ELF program of an architecture that exits with status 42 (elf(5))."""
    code = _EXIT[architecture]
    header_bytes = 64 + 56
    size = header_bytes + len(code)
    identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    machine = _ELF_MACHINE[architecture]
    header = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, _ADDRESS + header_bytes, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    # One loadable segment, readable and executable: the whole file.
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _ADDRESS, _ADDRESS, size, size, 0x10000)
    return identity + header + segment + code
