# SPDX-License-Identifier: MIT
"""Places for a build's commands: the guest, or its root file system on the host.

Both have the same compiler and headers, and the sources at the same path, so both produce the same bytes.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shlex
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol

from vmlab.errors import BuildError, CommandHung, HostError, hides_frames
from vmlab.guest.guest import Guest
from vmlab.image.image import BUILD_DIRECTORY, Image
from vmlab.module.build_limits import reached_limit
from vmlab.module.sandbox import (
    ENVIRONMENT,
    MEMORY_MIB,
    PROCESSES,
    Confinement,
    Sandbox,
    confined,
    hard_limits,
    limits_of,
    read_identity,
)
from vmlab.module.source import LARGEST_MIB, Source
from vmlab.module.stage import Stage
from vmlab.settings import BuildPlace
from vmlab.system.beneath import NotTaken, copy_beneath, write_beneath
from vmlab.system.cgroup import Cgroup, Hits
from vmlab.system.process import find_program
from vmlab.system.scratch import ScratchDirectory
from vmlab.system.seccomp import filter_program
from vmlab.system.watched import Usage, run_watched

__tracebackhide__ = hides_frames

LARGEST_RESULT_MIB = 384
"""Largest file that is taken out of a build: six times the largest sources, for debug information."""
_MORE_TIME = "if it needs more time, use --vmlab-patience N, which multiplies every timeout"
_IN_A_GUEST = "if it needs more, use --vmlab-build guest, where only the guest's memory and disk limit it"
_SHOWN_LINES = 25
_LAST_CHARACTERS = 300
_SANDBOX_PROCESSES = 8
"""Room for the sandbox's own processes, which are counted with the build's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Result of a build command."""

    status: int
    output: str


class Place(Protocol):
    """Runs shell commands in a private build directory, and copies files in and out."""

    name: BuildPlace

    def put_tree(self, source: Source, name: str) -> None:
        """Copy the sources to `name/` in the build directory. Raises `UsageError` if they changed since they were
        read."""

    def run(self, command: str, *, timeout_s: float) -> Outcome:
        """Run a shell command in the build directory."""

    def get(self, name: str, local: Path) -> None:
        """Copy a regular file, named relative to the build directory, to the host. Raises `BuildError` for a link, a
        device, a file that is too large or missing."""

    def close(self) -> None:
        """Empty the build directory."""


class HostPlace:
    """The target's root file system on the host: a build takes a second instead of a minute under TCG.

    Each command runs in a sandbox, as docs/building.md describes. Needs root, or user namespaces for ordinary users, as
    mmdebstrap does; raises `HostError` without.
    """

    name = BuildPlace.HOST

    def __init__(self, image: Image, *, sandbox: Sandbox | None = None) -> None:
        """Open the place; `sandbox` defaults to bubblewrap if it is installed."""
        self.sandbox = sandbox or default_sandbox()
        program = _filter()
        self._identity = read_identity(image.tool_root)
        self._limits = limits_of(self._identity, kernel=platform.release(), hard=hard_limits())
        self._stage = Stage(image.tool_root, self._identity)
        self._filter = os.fdopen(os.memfd_create("filter"), "wb", buffering=0)
        self._filter.write(program)
        self._cgroup: Cgroup | None = None
        # Without one, the watch in `run` limits alone.
        with contextlib.suppress(HostError):
            self._cgroup = _open_cgroup()

    def put_tree(self, source: Source, name: str) -> None:
        for file in source.files:
            content, status = source.read(file)
            # The build's user is another one, so all may write; no other user reaches the stage. make reads the times.
            mode, mtime_ns = 0o666 | status.st_mode & 0o111, status.st_mtime_ns
            try:
                write_beneath(self._stage.directory, f"{name}/{file}", content, mode=mode, mtime_ns=mtime_ns)
            except NotTaken as error:
                raise BuildError(f"the source {file!r} {error}") from None
            except OSError as error:
                raise BuildError(f"the source {file!r} cannot be written for the build: {error.strerror}") from None

    def run(self, command: str, *, timeout_s: float) -> Outcome:
        """Run a shell command. Raises `BuildError` when it exceeds the timeout or a limit, which the error names."""
        self._filter.seek(0)  # the earlier command has read it to its end
        confinement = Confinement(
            sandbox=self.sandbox,
            stage_pid=self._stage.pid,
            has_own_user=self._identity.has_own_user,
            limits=self._limits,
            filter_fd=self._filter.fileno(),
        )
        argv = confined(confinement, command)
        if self._cgroup is not None:
            argv = self._cgroup.entered_by(argv)
        ended = run_watched(argv, timeout_s=timeout_s, check=self._excess, pass_fds=[confinement.filter_fd])
        # The kernel may have stopped it between two checks.
        stopped = ended.stopped or self._excess(Usage(processes=0, memory_mib=0))
        if stopped:
            last = _last_line(ended.output)
            after = f" after the output {last!r}" if last else ""
            hint = _MORE_TIME if ended.is_over_time else _IN_A_GUEST
            raise _failed(f"the build {stopped} and was stopped{after}", hint, command, ended.output)
        reached = reached_limit(ended.output, self._stage.room(), self._limits) if ended.status != 0 else ""
        if reached:
            raise _failed(f"the build reached {reached}", _IN_A_GUEST, command, ended.output)
        return Outcome(status=ended.status, output=ended.output)

    def get(self, name: str, local: Path) -> None:
        try:
            copy_beneath(self._stage.directory, name, local, largest_bytes=LARGEST_RESULT_MIB * 2**20)
        except NotTaken as error:
            raise _no_result(name, str(error)) from None
        except OSError as error:
            raise _no_result(name, f"cannot be read: {error.strerror}") from None

    def _excess(self, usage: Usage) -> str:
        return excess(usage, self._cgroup.hits() if self._cgroup is not None else Hits())

    def close(self) -> None:
        self._stage.close()
        if self._cgroup is not None:
            self._cgroup.close()
        self._filter.close()


class GuestPlace:
    """The guest: the reference place."""

    name = BuildPlace.GUEST

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    def put_tree(self, source: Source, name: str) -> None:
        with ScratchDirectory(needed_mib=LARGEST_MIB, what="a module's sources") as directory:
            archive = directory / "source.tar"
            with tarfile.open(archive, "w") as tar:
                for file in source.files:
                    content, status = source.read(file)
                    member = tarfile.TarInfo(f"{name}/{file}")
                    member.size, member.mode, member.mtime = len(content), status.st_mode & 0o777, status.st_mtime
                    tar.addfile(member, BytesIO(content))
            self._guest.put(archive, f"{BUILD_DIRECTORY}/source.tar")
        self._guest.succeed(f"cd {BUILD_DIRECTORY} && tar -xf source.tar && rm source.tar")

    def run(self, command: str, *, timeout_s: float) -> Outcome:
        inner = shlex.quote(f"cd {BUILD_DIRECTORY} && {command}")
        try:
            done = self._guest.run(f"env -i {shlex.join(ENVIRONMENT)} sh -c {inner} 2>&1", timeout_s=timeout_s)
        except CommandHung as hung:
            hung.hint = _MORE_TIME
            raise
        return Outcome(status=done.status, output=done.stdout)

    def get(self, name: str, local: Path) -> None:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise _no_result(name, "leads out of its directory")
        path = f"{BUILD_DIRECTORY}/{name}"
        found = self._guest.run(f"find {shlex.quote(path)} -maxdepth 0 -printf '%y %s'")
        kind, _, size = found.stdout.strip().partition(" ")
        if found.status != 0 or kind != "f":
            raise _no_result(name, "is not a regular file" if kind else "is missing")
        if not re.fullmatch(r"\d{1,18}", size) or int(size) > LARGEST_RESULT_MIB * 2**20:
            raise _no_result(name, f"is larger than {LARGEST_RESULT_MIB} MiB")
        self._guest.get(path, local)

    def close(self) -> None:
        self._guest.run(f"find {BUILD_DIRECTORY} -mindepth 1 -delete")


def default_sandbox() -> Sandbox:
    """Return the sandbox that builds on this host use: bubblewrap if it is installed."""
    return Sandbox.BUBBLEWRAP if find_program("bwrap") is not None else Sandbox.OWN


def why_no_cgroup() -> str:
    """Return the reason why builds on this host have no cgroup; empty if they have one, which is tried. Costs 10 ms."""
    try:
        _open_cgroup().close()
    except HostError as error:
        return error.message
    return ""


def _open_cgroup() -> Cgroup:
    return Cgroup(memory_mib=MEMORY_MIB, processes=PROCESSES + _SANDBOX_PROCESSES)


def require_host_place(image: Image, *, sandbox: Sandbox | None = None) -> None:
    """Raise `HostError` when commands cannot be confined in the target's root file system on this host.

    It proves it: a command reads its own privileges from /proc/self/status (proc(5)). Costs 50 ms.
    """
    place = HostPlace(image, sandbox=sandbox)
    try:
        tried = place.run("cat /proc/self/status", timeout_s=60)
    except BuildError as error:
        raise _not_entered(image, error.message) from None
    finally:
        place.close()
    if tried.status != 0:
        raise _not_entered(image, tried.output)
    missing = unconfined(tried.output)
    if missing:
        raise HostError(
            f"this host does not confine a build: {', '.join(missing)}",
            hint="use --vmlab-build guest, or run `vmlab setup` to install bubblewrap",
        )


def unconfined(status: str) -> list[str]:
    """Return the parts of a sandbox that a process's /proc/self/status shows to be missing. Pure."""
    found = {key: value.split() for key, _, value in (row.partition(":") for row in status.splitlines())}
    wanted = {
        "capabilities are left": all(
            found.get(f"Cap{name}") == ["0" * 16] for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")
        ),
        "privileges can be gained": found.get("NoNewPrivs") == ["1"],
        "system calls are not filtered": found.get("Seccomp") == ["2"],
        "its user is root": "0" not in found.get("Uid", ["0"]),
    }
    return [words for words, holds in wanted.items() if not holds]


def excess(usage: Usage, hits: Hits) -> str:
    """Return the reason to stop a build that uses so much, or hit these limits; empty if it may continue. Pure."""
    if usage.memory_mib > MEMORY_MIB or hits.memory:
        return f"used more than {MEMORY_MIB} MiB of memory"
    is_over = usage.processes > PROCESSES + _SANDBOX_PROCESSES or hits.processes
    return f"ran more than {PROCESSES} processes" if is_over else ""


def _filter() -> bytes:
    machine = platform.machine()
    try:
        return filter_program(machine)
    except KeyError:
        raise HostError(f"this host's processor has no system call filter: {machine!r}") from None


def _not_entered(image: Image, detail: str) -> HostError:
    return HostError(
        f"cannot enter the root file system of {image.target_id} on this host",
        hint="use --vmlab-build guest, or allow user namespaces for this user",
        detail=detail,
    )


def _no_result(name: str, why: str) -> BuildError:
    return BuildError(f"the build's result {name!r} {why}", hint="the build must create it as a regular file")


def _failed(message: str, hint: str, command: str, output: str) -> BuildError:
    end = "\n".join(output.splitlines()[-_SHOWN_LINES:])
    error = BuildError(message, hint=hint, detail=f"$ {command}\n{end}")
    error.output = output
    return error


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output[-_LAST_CHARACTERS:].splitlines() if line.strip()]
    return lines[-1] if lines else ""
