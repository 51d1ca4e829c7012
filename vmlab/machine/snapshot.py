# SPDX-License-Identifier: MIT
"""Snapshots: freeze a machine into files, and resume machines from them.

The guest's memory is in a file from the start, so only the device state is written, half a megabyte. QEMU's migration
with `x-ignore-shared` leaves out memory in a shared file (qapi/migration.json). A fork maps the same file privately:
pages that it only reads are shared with all forks through the page cache.
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
"""Timeout for saving or loading a guest's state, as a multiple of the timeout for an answer of the monitor."""
_CAPABILITIES = [{"capability": "x-ignore-shared", "state": True}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Start of a machine: an image's disk to boot, or the files of a frozen machine to resume."""

    base: Path
    """Base disk of the machine's overlay."""
    beneath: tuple[Path, ...] = ()
    """Disks below the base."""
    overlay: Path | None = None
    """Path of an overlay to keep, which may exist; None for an overlay that is deleted at the end."""
    memory: Memory | None = None
    state: Path | None = None
    """Device state to resume from; None to power on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFiles:
    """Files of a frozen machine in a directory."""

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
        """Origin of a machine that powers on, to be frozen into this directory."""
        return Origin(base=base, overlay=self.disk, memory=Memory(file=self.memory, is_shared=True))

    def for_forks(self, base: Path) -> Origin:
        """Origin of a fork: a machine that resumes from these files and does not change them; `base` is the image's
        disk."""
        return Origin(
            base=self.disk, beneath=(base,), memory=Memory(file=self.memory, is_shared=False), state=self.state
        )

    def for_remaking(self, base: Path) -> Origin:
        """Origin of a machine that resumes from these files and changes them, to be frozen again."""
        made = self.for_making(base)
        return Origin(base=base, overlay=made.overlay, memory=made.memory, state=self.state)

    def copy_from(self, other: SnapshotFiles, *, base: Path) -> None:
        """Copy another snapshot's files, with `base` as the disk's backing file; keeps holes.

        Raises `HostError` when the disk is full.
        """
        for source, copy in ((other.disk, self.disk), (other.memory, self.memory), (other.state, self.state)):
            _must(["cp", "--reflink=auto", "--sparse=always", str(source), str(copy)], "cannot copy a snapshot")
        self._rebase(str(base))

    def seal(self, relative_base: str) -> None:
        """Prepare the files for the store: make the path of the backing file relative, and punch holes for zeros."""
        self._rebase(relative_base)
        _must(["fallocate", "--dig-holes", str(self.memory)], "cannot trim a snapshot")

    def _rebase(self, base: str) -> None:
        _must(
            ["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", base, str(self.disk)],
            "cannot set a disk's backing file",
        )


def freeze(monitor: Monitor, state: Path) -> None:
    """Stop the guest and write its device state to a file; its memory is already in a file.

    The machine must be ended afterwards. Raises `HostError` when the file cannot be written.
    """
    monitor.execute("stop")
    try:
        _prepare(monitor, state, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    except OSError as error:
        raise disk_error(error, state.parent) from error
    monitor.execute("migrate", {"uri": "fd:state"})
    _await_migration(monitor)


def thaw(monitor: Monitor, state: Path) -> None:
    """Load a device state into a machine that waits for it, and resume the guest.

    Raises `AssetError` when the state does not load, `MachineLost` when QEMU ends.
    """
    try:
        _prepare(monitor, state, os.O_RDONLY)
    except OSError as error:
        raise AssetError(f"cannot read a snapshot's state {str(state)!r}: {error.strerror}") from None
    monitor.execute("migrate-incoming", {"uri": "fd:state"})
    _await_migration(monitor)
    # The guest was stopped for the snapshot, so it is still stopped.
    monitor.execute("cont")


def _prepare(monitor: Monitor, state: Path, flags: int) -> None:
    """Tell QEMU to leave out shared memory, and pass it the state file as `fd:state`."""
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
        describe="a machine's state to be saved or loaded",
        interval_s=0.005,
        last_seen=lambda: last,
    )
    if last != "completed":
        why = monitor.execute("query-migrate").get("error-desc", "QEMU gives no reason")
        raise AssetError(f"a machine's state was not saved or loaded: {why}")


def _must(argv: list[str], what: str) -> None:
    done = run(argv, timeout_s=600)
    if not done.ok:
        raise HostError(f"{what}: {done.tail.splitlines()[-1] if done.tail else argv[0]}", detail=done.tail)
