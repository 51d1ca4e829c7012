# SPDX-License-Identifier: MIT
"""Registry of this user's running machines, of all processes: each has a record beside its overlay.

The start of a machine checks the records for free memory, `vmlab shell` for kept guests, `vmlab reap` for orphans.
A record is believed only if this user alone can have written it. Guests of other users are not counted: the memory that
they use is missing from what the kernel calls available, and what they were promised and did not take yet is unknown.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vmlab.decode import structure, unstructure
from vmlab.errors import HostError, MachineLost, VmlabError
from vmlab.host.facts import available_memory_mib
from vmlab.system.files import replace_file
from vmlab.system.lock import open_lock, take
from vmlab.system.private import is_private_directory, read_small_json
from vmlab.system.process import ProcessIdentity
from vmlab.system.scratch import (
    is_abandoned,
    is_locked,
    own_parent,
    owner_of,
    remove_left_behind,
    remove_old_temporaries,
    scratch_directories,
)
from vmlab.system.wait import wait_until

_RECORD = "machine.json"
_RECORD_BYTES = 64 * 2**10
"""Largest record: a hundred times what one takes."""
START_S = 60.0
"""Timeout for others that start a machine, which takes a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRecord:
    """Data about a machine for other processes."""

    target: str
    qemu: ProcessIdentity
    ssh_port: int
    console: str
    expected_mib: int
    """Memory that it is expected to use in total."""
    is_kept: bool = False
    """True if it was left running for inspection; its owner may have ended."""

    @property
    def name(self) -> str:
        """Name of a kept machine in `vmlab shell`."""
        return f"kept-{self.qemu.pid}"


def write_record(directory: Path, record: MachineRecord) -> None:
    """Write a machine's record into its scratch directory."""
    replace_file(directory / _RECORD, json.dumps(unstructure(record)))


def machines() -> Iterator[tuple[Path, MachineRecord]]:
    """Yield all records with their directories, also those of machines that have ended."""
    for directory in scratch_directories():
        if not is_private_directory(directory):
            continue
        # The owner may be removing its record at this moment.
        with contextlib.suppress(OSError, ValueError, VmlabError):
            row = read_small_json(directory / _RECORD, limit_bytes=_RECORD_BYTES, must_be_own=True)
            yield directory, structure(row, MachineRecord, where=str(directory))


def kept_machines() -> list[MachineRecord]:
    return [record for _, record in machines() if record.is_kept and record.qemu.is_alive()]


def left_by(process: ProcessIdentity) -> list[str]:
    """List directories and QEMU processes that a process failed to clean up, a line each; not those of kept guests."""
    left = []
    records = dict(machines())
    for directory in scratch_directories():
        record = records.get(directory)
        if owner_of(directory) != process or (record is not None and record.is_kept):
            continue
        left.append(f"directory {directory}")
        if record is not None and record.qemu.is_alive():
            left.append(f"QEMU {record.qemu.pid} of {record.target}, port {record.ssh_port}")
    return left


def reap() -> list[str]:
    """End kept and orphaned guests and remove their directories; returns a line for each."""
    said = []
    for directory, record in list(machines()):
        if not record.is_kept and not is_abandoned(directory):
            continue
        if not record.qemu.is_alive():
            continue
        if not _identified(record.qemu).kill():
            said.append(f"left     process {record.qemu.pid}: it is not the QEMU of {record.target}, or not yours")
            continue
        said.append(f"ended    QEMU {record.qemu.pid} of {record.target}")
        with contextlib.suppress(VmlabError):
            _await_end(record.qemu, directory)
    said += [f"removed  {directory}" for directory in (*remove_left_behind(), *remove_old_temporaries())]
    return said


def _identified(qemu: ProcessIdentity) -> ProcessIdentity:
    """Return the identity with its program; records of earlier versions lack it, so a QEMU by its name is taken."""
    now = ProcessIdentity.of(qemu.pid)
    is_qemu = "qemu-system" in Path(now.executable).name
    return dataclasses.replace(qemu, executable=now.executable) if not qemu.executable and is_qemu else qemu


def _await_end(qemu: ProcessIdentity, directory: Path) -> None:
    """Wait for the end of QEMU, and of its guard, which locks the directory a moment longer."""

    def has_ended() -> bool:
        return not qemu.is_alive() and not is_locked(directory)

    wait_until(has_ended, timeout_s=10, describe=f"QEMU {qemu.pid} to end")


def fits(needed_mib: int, *, available_mib: int, promised_mib: Iterable[int]) -> bool:
    """True if a machine of `needed_mib` fits in the memory that is not promised to other machines."""
    return needed_mib <= available_mib - sum(promised_mib)


@contextlib.contextmanager
def room_for(needed_mib: int, *, timeout_s: float) -> Iterator[None]:
    """Hold the lock for starting a machine, once its memory fits beside the memory promised to all others.

    The caller must write the machine's record inside the block, so that the next caller counts it. Waits at most
    `timeout_s` for others to end, then raises `HostError` with the free memory.
    """
    descriptor = open_lock(own_parent() / "start.lock")

    def has_room() -> bool:
        take(descriptor, timeout_s=START_S, describe="another machine to start", hint="`vmlab reap` ends orphans")
        if fits(needed_mib, available_mib=available_memory_mib(), promised_mib=_promised_mib()):
            return True
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False

    try:
        try:
            wait_until(has_room, timeout_s=timeout_s, describe="memory for a guest", interval_s=0.5)
        except MachineLost:
            raise HostError(
                f"not enough memory: {available_memory_mib()} MiB available, {sum(_promised_mib())} MiB of them "
                f"promised to running guests, and this guest needs {needed_mib} MiB",
                hint="run fewer guests in parallel (-n), or give guests less memory: --vmlab-memory-mib 512",
            ) from None
        yield
    finally:
        os.close(descriptor)


def _promised_mib() -> list[int]:
    return [
        max(0, record.expected_mib - taken_mib(record.qemu.pid))
        for directory, record in machines()
        if record.qemu.is_alive() or (record.qemu.pid == 0 and not is_abandoned(directory))
    ]


def taken_mib(pid: int) -> int:
    """Private memory of a process in MiB; of a fork's file mapping only the changed pages (proc(5), RssAnon)."""
    try:
        for line in Path("/proc", str(pid), "status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) // 1024
    except OSError:
        pass
    return 0
