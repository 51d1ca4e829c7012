# SPDX-License-Identifier: MIT
"""Places for a build's commands: the guest, or its root file system on the host.

Both have the same compiler and headers, and the sources at the same path, so both produce the same bytes.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vmlab.errors import HostError, hides_frames
from vmlab.guest.guest import Guest
from vmlab.image.image import BUILD_DIRECTORY, Image
from vmlab.settings import BuildPlace
from vmlab.system.process import run

__tracebackhide__ = hides_frames

_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
# $1 is the root file system, $2 the work directory, $3 the command. The root is read-only for the command, because it
# is sealed and shared; only the work directory and /tmp are writable.
_ENTER = """
set -e
mount --bind "$1" "$1"
mount --bind "$2" "$1/build"
mount --rbind /dev "$1/dev"
mount --rbind /proc "$1/proc"
mount -t tmpfs tmpfs "$1/tmp"
mount -o remount,bind,ro "$1"
exec chroot "$1" /usr/bin/env -i PATH={path} HOME=/build LC_ALL=C sh -c "cd /build && $3"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Result of a build command."""

    status: int
    output: str


class Place(Protocol):
    """Runs shell commands in a private build directory, and copies files in and out."""

    name: BuildPlace

    def put_tree(self, source: Path, files: list[str], name: str) -> None:
        """Copy `files` (relative to `source`) to `name/` in the build directory."""

    def run(self, command: str, *, timeout_s: float) -> Outcome:
        """Run a shell command in the build directory."""

    def get(self, name: str, local: Path) -> None:
        """Copy a file, named relative to the build directory, to the host."""

    def close(self) -> None:
        """Empty the build directory."""


class HostPlace:
    """The target's root file system on the host: a build takes a second instead of a minute under TCG.

    Needs root, or user namespaces for ordinary users, as mmdebstrap does.
    """

    name = BuildPlace.HOST

    def __init__(self, image: Image) -> None:
        self._root = image.tool_root
        self._work = Path(tempfile.mkdtemp(prefix="vmlab-build-"))

    def put_tree(self, source: Path, files: list[str], name: str) -> None:
        for file in files:
            copy = self._work / name / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / file, copy)

    def run(self, command: str, *, timeout_s: float) -> Outcome:
        script = _ENTER.format(path=_PATH)
        argv = [*_namespace(), "sh", "-c", script, "enter", str(self._root), str(self._work), command]
        ended = run(argv, timeout_s=timeout_s, death_signal="KILL")
        return Outcome(status=ended.status, output=ended.output)

    def get(self, name: str, local: Path) -> None:
        shutil.copyfile(self._work / name, local)

    def close(self) -> None:
        shutil.rmtree(self._work, ignore_errors=True)


class GuestPlace:
    """The guest: the reference place."""

    name = BuildPlace.GUEST

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    def put_tree(self, source: Path, files: list[str], name: str) -> None:
        with tempfile.TemporaryDirectory(prefix="vmlab-source-") as directory:
            archive = Path(directory, "source.tar")
            with tarfile.open(archive, "w") as tar:
                for file in files:
                    tar.add(source / file, f"{name}/{file}", recursive=False)
            self._guest.put(archive, f"{BUILD_DIRECTORY}/source.tar")
        self._guest.succeed(f"cd {BUILD_DIRECTORY} && tar -xf source.tar && rm source.tar")

    def run(self, command: str, *, timeout_s: float) -> Outcome:
        environment = f"env -i PATH={_PATH} HOME={BUILD_DIRECTORY} LC_ALL=C"
        inner = shlex.quote(f"cd {BUILD_DIRECTORY} && {command}")
        done = self._guest.run(f"{environment} sh -c {inner} 2>&1", timeout_s=timeout_s)
        return Outcome(status=done.status, output=done.stdout)

    def get(self, name: str, local: Path) -> None:
        self._guest.get(f"{BUILD_DIRECTORY}/{name}", local)

    def close(self) -> None:
        self._guest.run(f"find {BUILD_DIRECTORY} -mindepth 1 -delete")


def require_host_place(image: Image) -> None:
    """Raise `HostError` when commands cannot run in the target's root file system on this host."""
    place = HostPlace(image)
    try:
        tried = place.run("true", timeout_s=60)
    finally:
        place.close()
    if tried.status != 0:
        raise HostError(
            f"cannot enter the root file system of {image.target_id} on this host",
            hint="use --vmlab-build guest, or allow user namespaces for this user",
            detail=tried.output,
        )


def _namespace() -> list[str]:
    mine = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL"]
    return mine if os.geteuid() == 0 else [*mine, "--user", "--map-root-user"]
