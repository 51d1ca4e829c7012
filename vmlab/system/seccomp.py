# SPDX-License-Identifier: MIT
"""The system call filter of a build's processes, as a classic BPF program. Pure.

Denied are calls that no build needs and that reach the kernel's less tested parts, other processes or new namespaces,
memory that no limit counts (semget, shared memory without a file), or the host's disks (sync).
The format is that of seccomp(2): an array of `struct sock_filter` over `struct seccomp_data`. The numbers are those of
arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

_INSTRUCTION = struct.Struct("=HBBI")
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _FOURTH_ARGUMENT = 0, 4, 16, 40
"""Offsets in `struct seccomp_data`; both machines are little-endian, so the argument's low half comes first."""
_ALLOW = 0x7FFF0000
_EPERM, _ENOSYS = 0x00050001, 0x00050026
"""SECCOMP_RET_ERRNO with the error number. glibc falls back to clone() if clone3(), whose flags a filter cannot see,
does not exist."""
_NEW_NAMESPACE = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET (include/uapi/linux/sched.h)."""
_FAMILIES = (1, 2, 10)
"""AF_UNIX, AF_INET and AF_INET6, which a network namespace confines. It does not confine AF_VSOCK."""
_SHARED, _ANONYMOUS = 0x01, 0x20
"""MAP_SHARED, whose bit MAP_SHARED_VALIDATE has too, and MAP_ANONYMOUS (include/uapi/asm-generic/mman-common.h)."""
_X32 = 0x40000000

_COMMON = {
    **{"pidfd_getfd": 438, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428},
    **{"move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "process_madvise": 440},
    **{"mount_setattr": 442, "quotactl_fd": 443, "memfd_secret": 447, "open_tree_attr": 467},
}
"""Numbers that are the same on all machines: those since Linux 5.1."""
_X86_64 = {
    **{"ptrace": 101, "syslog": 103, "uselib": 134, "modify_ldt": 154, "pivot_root": 155, "_sysctl": 156},
    **{"adjtimex": 159, "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166},
    **{"swapon": 167, "swapoff": 168, "reboot": 169, "sethostname": 170, "setdomainname": 171, "iopl": 172},
    **{"ioperm": 173, "init_module": 175, "delete_module": 176, "quotactl": 179, "nfsservctl": 180},
    **{"lookup_dcookie": 212, "clock_settime": 227, "kexec_load": 246, "add_key": 248, "request_key": 249},
    **{"keyctl": 250, "migrate_pages": 256, "unshare": 272, "move_pages": 279, "perf_event_open": 298},
    **{"fanotify_init": 300, "name_to_handle_at": 303, "open_by_handle_at": 304, "clock_adjtime": 305, "setns": 308},
    **{"process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313},
    **{"kexec_file_load": 320, "bpf": 321, "userfaultfd": 323, "shmget": 29, "memfd_create": 319},
    **{"semget": 64, "msgget": 68, "mq_open": 240, "sync": 162, "syncfs": 306},
}
_AARCH64 = {
    **{"lookup_dcookie": 18, "umount2": 39, "mount": 40, "pivot_root": 41, "nfsservctl": 42, "chroot": 51},
    **{"quotactl": 60, "acct": 89, "unshare": 97, "kexec_load": 104, "init_module": 105, "delete_module": 106},
    **{"clock_settime": 112, "syslog": 116, "ptrace": 117, "reboot": 142, "sethostname": 161, "setdomainname": 162},
    **{"settimeofday": 170, "adjtimex": 171, "add_key": 217, "request_key": 218, "keyctl": 219, "swapon": 224},
    **{"swapoff": 225, "migrate_pages": 238, "move_pages": 239, "perf_event_open": 241, "fanotify_init": 262},
    **{"name_to_handle_at": 264, "open_by_handle_at": 265, "clock_adjtime": 266, "setns": 268},
    **{"process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "bpf": 280},
    **{"userfaultfd": 282, "kexec_file_load": 294, "shmget": 194, "memfd_create": 279},
    **{"semget": 190, "msgget": 186, "mq_open": 180, "sync": 81, "syncfs": 267},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    audit: int
    """AUDIT_ARCH_* (include/uapi/linux/audit.h)."""
    clone: int
    mmap: int
    socket: int
    denied: Mapping[str, int]


_CLONE3 = 435
_MACHINES = {
    "x86_64": _Machine(audit=0xC000003E, clone=56, mmap=9, socket=41, denied={**_X86_64, **_COMMON}),
    "aarch64": _Machine(audit=0xC00000B7, clone=220, mmap=222, socket=198, denied={**_AARCH64, **_COMMON}),
}


def denied_calls(machine: str) -> Mapping[str, int]:
    """Return the numbers of the calls that are denied whatever their arguments, by name."""
    return _MACHINES[machine].denied


def filter_program(machine: str) -> bytes:
    """Return the filter for a host's processor, named as by uname(2). Raises `KeyError` for an unknown one.

    Calls of another architecture (32-bit programs on x86_64, the x32 ABI) fail with ENOSYS.
    """
    known = _MACHINES[machine]
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, known.audit),
        (_RETURN, 0, 0, _ENOSYS),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _ENOSYS),
        (_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ENOSYS),
    ]
    for number in sorted(known.denied.values()):
        program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _EPERM)]
    # A test of an argument ends with a verdict: the number is no longer loaded.
    program += [
        (_EQUAL, 0, 4, known.clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 0, 1, _NEW_NAMESPACE),
        (_RETURN, 0, 0, _EPERM),
        (_RETURN, 0, 0, _ALLOW),
        # Pages of such a mapping outlast their unmapping, so /proc/PID/status does not have them all.
        (_EQUAL, 0, 5, known.mmap),
        (_LOAD, 0, 0, _FOURTH_ARGUMENT),
        (_ANY_BIT, 0, 2, _SHARED),
        (_ANY_BIT, 0, 1, _ANONYMOUS),
        (_RETURN, 0, 0, _EPERM),
        (_RETURN, 0, 0, _ALLOW),
        (_EQUAL, 0, len(_FAMILIES) + 2, known.socket),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        *((_EQUAL, len(_FAMILIES) - place, 0, family) for place, family in enumerate(_FAMILIES)),
        (_RETURN, 0, 0, _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(_INSTRUCTION.pack(*row) for row in program)
