# SPDX-License-Identifier: MIT
"""The stage of a build: a mount namespace with the read-only tool root and a limited, writable file system in memory.

A process that waits on a pipe from the lab holds it. When the lab ends, however it ends, the pipe is closed, the
process ends, and the kernel removes the namespace with all files in it: nothing is left on the host's disks.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from pathlib import Path

from vmlab.errors import HostError
from vmlab.module.build_limits import Room
from vmlab.module.sandbox import DISK_MIB, FILES, STAGE, Identity, maps
from vmlab.system.process import end, run

_READY_S = 30
# A process gets its capabilities in the new namespace at the exec after its user is mapped to root (capabilities(7)).
_WAIT = 'echo made; read -r _ && exec sh -c "$@"'
# $1 is the tool root, $2 the stage, $3 the options of the file system in memory.
_MOUNT = """
set -e
cd "$1"
mount -t tmpfs -o "$3" tmpfs "$2"
mkdir "$2/root" "$2/build" "$2/tmp" "$2/shm"
chmod 1777 "$2/tmp" "$2/shm"
chmod 0777 "$2/build"
mount --bind . "$2/root"
mount -o remount,bind,ro,nosuid,nodev "$2/root"
cd /
echo ready
read -r _ || exit 0
"""


class Stage:
    """A stage for builds with a tool root; costs 20 ms. Raises `HostError` where this user cannot make namespaces."""

    def __init__(self, tool_root: Path, identity: Identity) -> None:
        options = f"size={space_mib(_memory_mib())}m,nr_inodes={FILES},mode=0755,nosuid,nodev"
        words = ["sh", "-c", _WAIT, "wait", _MOUNT, "mount", str(tool_root), STAGE, options]
        argv = ["unshare", "--user", "--mount", "--propagation", "private", "--", *words]
        try:
            self._child = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={"PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
        except OSError as error:
            raise _failure(str(error)) from None
        self.directory = -1
        """Descriptor of the build directory."""
        try:
            self._await("made")
            _map_users(self.pid, identity)
            self._tell()
            self._await("ready")
            self.directory = os.open(f"/proc/{self.pid}/root{STAGE}/build", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            self.close()
            raise _failure(str(error)) from None
        except HostError:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._child.pid

    def room(self) -> Room:
        """Return the size of the build's file system, and if it can have more files."""
        status = os.fstatvfs(self.directory)
        return Room(space_mib=status.f_blocks * status.f_frsize // 2**20, has_inodes=status.f_ffree > 0)

    def close(self) -> None:
        """End the stage, with all files in it; safe to call again."""
        if self.directory >= 0:
            os.close(self.directory)
            self.directory = -1
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                stream.close()
        end(self._child, grace_s=0)

    def _tell(self) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(b"\n")
        self._child.stdin.flush()

    def _await(self, word: str) -> None:
        """Wait for a line; any other output is an error message."""
        assert self._child.stdout is not None
        descriptor, deadline, said = self._child.stdout.fileno(), time.monotonic() + _READY_S, b""
        while said != f"{word}\n".encode():
            if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise _failure(f"no answer in {_READY_S} s")
            chunk = os.read(descriptor, 4096)
            if not chunk:
                raise _failure(said.decode(errors="replace"))
            said += chunk


def space_mib(memory_mib: int) -> int:
    """Return the size of a build's file system: at most a quarter of the host's memory, in which it is."""
    return min(DISK_MIB, memory_mib // 4)


def _memory_mib() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20


def _map_users(pid: int, identity: Identity) -> None:
    """Write the namespace's maps: root itself, newuidmap for a user with subordinate ids, else the user's own."""
    users, groups = maps(identity)
    if identity.has_own_user and identity.uid != 0:
        for program, rows in (("newuidmap", users), ("newgidmap", groups)):
            done = run([program, str(pid), *rows.split()], timeout_s=_READY_S)
            if not done.ok:
                raise _failure(done.output)
        return
    if identity.uid != 0:
        # An unprivileged gid_map needs it (user_namespaces(7)).
        Path(f"/proc/{pid}/setgroups").write_text("deny", encoding="ascii")
    Path(f"/proc/{pid}/uid_map").write_text(users, encoding="ascii")
    Path(f"/proc/{pid}/gid_map").write_text(groups, encoding="ascii")


def _failure(detail: str) -> HostError:
    return HostError(
        "this host does not let this user confine a build",
        hint="use --vmlab-build guest, or allow user namespaces for this user",
        detail=detail,
    )
