# SPDX-License-Identifier: MIT
"""A program that confines itself and then becomes a command, for hosts without bubblewrap.

It is started by its path with `python -I -S` and uses only the standard library; everything is imported first, because
the build's user cannot read it. It must be root of its user namespace. The stage is a directory with a mounted root
file system in `root`, and the writable directories `build`, `tmp` and `shm`.
"""

# pathlib takes longer to import than all the rest.
# ruff: noqa: PTH102, PTH123, PTH211

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import socket
import struct
import sys

# include/uapi/linux/sched.h: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
_NAMESPACES = 0x20000 | 0x2000000 | 0x4000000 | 0x8000000 | 0x10000000 | 0x20000000 | 0x40000000
# include/uapi/linux/mount.h and linux/fs.h.
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
_DETACH = 2
# include/uapi/linux/prctl.h and linux/capability.h.
_PDEATHSIG, _DUMPABLE, _SECCOMP, _DROP_BOUNDING, _NO_NEW_PRIVS, _AMBIENT, _CLEAR_ALL = 1, 4, 22, 24, 38, 47, 4
_FILTER_MODE, _CAPABILITY_VERSION = 2, 0x20080522
_SET_INTERFACE_FLAGS, _UP = 0x8914, 1
# /dev/full reads as zeros too, but cannot be mapped: no limit counts a shared mapping of /dev/zero.
_DEVICES = {"null": "null", "zero": "full", "full": "full", "random": "random", "urandom": "urandom"}
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}

_libc = ctypes.CDLL(None, use_errno=True)


def main(words: list[str]) -> int:
    """Run `FD STAGE ID own|caller COMMAND…` in the stage, as user ID; returns the command's status.

    FD holds the system call filter. `own`: the host's user is ID of this namespace; `caller`: it stays the caller's.
    """
    descriptor, stage, inside, whose, *command = words
    with open(int(descriptor), "rb") as file:
        program = file.read()
    identity = int(inside)
    if whose == "own":
        os.setgroups([])
        os.setresgid(identity, identity, identity)
        os.setresuid(identity, identity, identity)
        # A change of user makes /proc/self root's, and it must be written below.
        _prctl(_DUMPABLE, 1)
    _prctl(_PDEATHSIG, signal.SIGKILL)
    user, group = os.geteuid(), os.getegid()
    _call("unshare", _NAMESPACES)
    for name, text in (
        ("setgroups", "deny"),
        ("gid_map", f"{identity} {group} 1"),
        ("uid_map", f"{identity} {user} 1"),
    ):
        with open(f"/proc/self/{name}", "wb") as id_map:
            id_map.write(text.encode())
    life, held = os.pipe()
    child = os.fork()
    if child:
        return _wait(child)
    os.close(held)
    _prctl(_PDEATHSIG, signal.SIGKILL)
    if select.select([life], [], [], 0)[0]:
        return 1  # the parent ended before its death could be noticed
    _become(stage, program, command)
    return 1


def _wait(child: int) -> int:
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if status >= 0 else 128 - status


def _become(stage: str, program: bytes, command: list[str]) -> None:
    """Enter the stage's root, give up every privilege, and become the command, which is process 1."""
    socket.sethostname("vmlab")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_INTERFACE_FLAGS, struct.pack("16sH22x", b"lo", _UP))
    _enter(stage)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and the command would inherit that
    with contextlib.suppress(OSError):
        for capability in range(64):
            _prctl(_DROP_BOUNDING, capability)
    with contextlib.suppress(OSError):
        _prctl(_AMBIENT, _CLEAR_ALL)
    header, nothing = struct.pack("Ii", _CAPABILITY_VERSION, 0), bytes(24)
    _call("capset", header, nothing)
    os.closerange(3, 4096)
    _prctl(_NO_NEW_PRIVS, 1)
    code = ctypes.create_string_buffer(program, len(program))
    filters = struct.pack("H6xP", len(program) // 8, ctypes.addressof(code))
    _prctl(_SECCOMP, _FILTER_MODE, ctypes.c_char_p(filters))
    os.execv(command[0], command)


def _enter(stage: str) -> None:
    root = f"{stage}/root"
    _mount("none", "/", "", _REC | _PRIVATE)
    _mount(root, root, "", _BIND)
    _mount("proc", f"{root}/proc", "proc", _RDONLY | _NOSUID | _NODEV | _NOEXEC)
    _mount("dev", f"{root}/dev", "tmpfs", _NOSUID | _NOEXEC, "mode=0755,size=64k")
    for device, source in _DEVICES.items():
        os.close(os.open(f"{root}/dev/{device}", os.O_CREAT | os.O_WRONLY, 0o666))
        _mount(f"/dev/{source}", f"{root}/dev/{device}", "", _BIND)
    for name, target in _LINKS.items():
        os.symlink(target, f"{root}/dev/{name}")
    os.mkdir(f"{root}/dev/shm")
    for name, place in (("build", "build"), ("tmp", "tmp"), ("shm", "dev/shm")):
        _mount(f"{stage}/{name}", f"{root}/{place}", "", _BIND)
    _mount("none", f"{root}/dev", "", _REMOUNT | _BIND | _RDONLY | _NOSUID | _NOEXEC)
    os.chdir(root)
    _call("pivot_root", b".", b".")
    _call("umount2", b".", _DETACH)
    os.chdir("/build")


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    words = (os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode() or None)
    _call("mount", *words)


def _prctl(option: int, value: int, last: ctypes.c_char_p | int = 0) -> None:
    _call("prctl", option, ctypes.c_ulong(value), last, 0, 0)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{arguments}: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
