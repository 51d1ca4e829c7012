# SPDX-License-Identifier: MIT
"""Freezing a machine into files, and going on from them.

The guest's memory is in a file from the start, so only the state of its devices is written, half a megabyte:
QEMU's migration with `x-ignore-shared` leaves out what is in a shared file (qapi/migration.json). A fork maps the
same file privately: what it changes is its own, what it only reads is the page cache's, once for all forks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vmlab.errors import AssetError, HostError
from vmlab.machine.argv import Memory
from vmlab.machine.qmp import Monitor
from vmlab.system.files import disk_error
from vmlab.system.process import run
from vmlab.system.wait import wait_until

_FREEZE_CALLS = 4
"""The time for moving a guest's state, as a multiple of that for an answer of the monitor."""
_CAPABILITIES = [{"capability": "x-ignore-shared", "state": True}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a machine begins with: an image's disk at power-on, or what another left when it was frozen."""

    base: Path
    """The disk that its own is an overlay on."""
    overlay: Path | None = None
    """Where the overlay goes when it is to stay, or lies already; without it, it is thrown away at the end."""
    memory: Memory | None = None
    state: Path | None = None
    """The devices' state to go on from; without it, power is switched on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFiles:
    """The files of a frozen machine in a directory."""

    directory: Path

    @property
    def disk(self) -> Path:
        return self.directory / "disk.qcow2"

    @property
    def memory(self) -> Path:
        return self.directory / "ram"

    @property
    def state(self) -> Path:
        return self.directory / "state"

    def for_making(self, base: Path) -> Origin:
        """A machine that powers on, to be frozen into this directory."""
        return Origin(base=base, overlay=self.disk, memory=Memory(file=self.memory, is_shared=True))

    def for_forks(self) -> Origin:
        """A machine that goes on from here and changes nothing here."""
        return Origin(base=self.disk, memory=Memory(file=self.memory, is_shared=False), state=self.state)

    def for_remaking(self, base: Path) -> Origin:
        """A machine that goes on from this directory's files and changes them, to be frozen again."""
        made = self.for_making(base)
        return Origin(base=base, overlay=made.overlay, memory=made.memory, state=self.state)

    def copy_from(self, other: SnapshotFiles, *, base: Path) -> None:
        """Take over another snapshot's files, with `base` as the disk's backing file; holes stay holes.

        Raises `HostError` when there is no room.
        """
        for source, copy in ((other.disk, self.disk), (other.memory, self.memory), (other.state, self.state)):
            _must(["cp", "--reflink=auto", "--sparse=always", str(source), str(copy)], "cannot copy a snapshot")
        self._rebase(str(base))

    def seal(self, relative_base: str) -> None:
        """Make the files fit to be kept: name the backing file relative to them, and free what holds only zeros."""
        self._rebase(relative_base)
        _must(["fallocate", "--dig-holes", str(self.memory)], "cannot trim a snapshot")

    def _rebase(self, base: str) -> None:
        _must(
            ["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", base, str(self.disk)],
            "cannot name a disk's backing file",
        )


def freeze(monitor: Monitor, state: Path) -> None:
    """Stop the guest and write its devices' state to a file; its memory is in its own file already.

    Nothing may run in the machine afterwards: end it. Raises `HostError` when the file cannot be written.
    """
    monitor.execute("stop")
    try:
        _prepare(monitor, state, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    except OSError as error:
        raise disk_error(error, state.parent) from error
    monitor.execute("migrate", {"uri": "fd:state"})
    _await_migration(monitor)


def thaw(monitor: Monitor, state: Path) -> None:
    """Read the devices' state into a machine that was started for it, and let the guest run on.

    Raises `AssetError` when the state does not load; `MachineLost` when QEMU ends over it.
    """
    try:
        _prepare(monitor, state, os.O_RDONLY)
    except OSError as error:
        raise AssetError(f"a snapshot's state cannot be read: {error.strerror}") from None
    monitor.execute("migrate-incoming", {"uri": "fd:state"})
    _await_migration(monitor)
    # It was stopped to be frozen, and comes back stopped.
    monitor.execute("cont")


def _prepare(monitor: Monitor, state: Path, flags: int) -> None:
    """Tell QEMU to leave shared memory alone, and give it the file for the rest as `fd:state`."""
    monitor.execute("migrate-set-capabilities", {"capabilities": _CAPABILITIES})
    descriptor = os.open(state, flags | os.O_CLOEXEC, 0o644)
    try:
        monitor.hand_over("state", descriptor)
    finally:
        os.close(descriptor)


def _await_migration(monitor: Monitor) -> None:
    last = ""

    def is_over() -> bool:
        nonlocal last
        last = str(monitor.execute("query-migrate").get("status", "none"))
        return last in ("completed", "failed", "cancelled")

    wait_until(
        is_over,
        timeout_s=_FREEZE_CALLS * monitor.call_s,
        describe="a machine's state to be moved",
        interval_s=0.005,
        last_seen=lambda: last,
    )
    if last != "completed":
        why = monitor.execute("query-migrate").get("error-desc", "QEMU does not say why")
        raise AssetError(f"a machine's state was not moved: {why}")


def _must(argv: list[str], what: str) -> None:
    done = run(argv, timeout_s=600)
    if not done.ok:
        raise HostError(f"{what}: {done.tail.splitlines()[-1] if done.tail else argv[0]}", detail=done.tail)
