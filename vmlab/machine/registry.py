# SPDX-License-Identifier: MIT
"""The machines of this user that run now, whoever started them: each has a record beside its overlay.

Who wants to start one looks there for room, `vmlab shell` for a kept guest, and `vmlab reap` for what nobody owns.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vmlab.decode import structure, unstructure
from vmlab.errors import HostError, VmlabError
from vmlab.host.facts import available_memory_mib
from vmlab.system import scratch
from vmlab.system.files import replace_file
from vmlab.system.process import ProcessIdentity
from vmlab.system.scratch import is_abandoned, is_locked, owner_of, remove_left_behind, scratch_directories
from vmlab.system.wait import wait_until

_RECORD = "machine.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRecord:
    """What others need to know of a machine."""

    target: str
    qemu: ProcessIdentity
    ssh_port: int
    console: str
    expected_mib: int
    """What it may come to take, before it has taken it."""
    is_kept: bool = False
    """Left running on purpose for somebody to look into; its owner may be gone."""

    @property
    def name(self) -> str:
        """What `vmlab shell` calls it when it is kept."""
        return f"kept-{self.qemu.pid}"


def write_record(directory: Path, record: MachineRecord) -> None:
    """Tell others of a machine; `directory` is its scratch directory."""
    replace_file(directory / _RECORD, json.dumps(unstructure(record)))


def machines() -> Iterator[tuple[Path, MachineRecord]]:
    """Every record there is, with its directory, whether or not its machine lives."""
    for directory in scratch_directories():
        # A record may be half gone while its owner is ending.
        with contextlib.suppress(OSError, ValueError, VmlabError):
            text = (directory / _RECORD).read_text(encoding="utf-8")
            yield directory, structure(json.loads(text), MachineRecord, where=str(directory))


def kept_machines() -> list[MachineRecord]:
    return [record for _, record in machines() if record.is_kept and record.qemu.is_alive()]


def left_by(process: ProcessIdentity) -> list[str]:
    """What a process that has given everything back should no longer have: a line each, kept guests aside."""
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
    """End kept guests and whatever lost its owner, and remove their directories; says what, a line each."""
    said = []
    for directory, record in list(machines()):
        if not record.is_kept and not is_abandoned(directory):
            continue
        if record.qemu.is_alive():
            record.qemu.kill()
            said.append(f"ended    QEMU {record.qemu.pid} of {record.target}")
            with contextlib.suppress(VmlabError):
                _await_end(record.qemu, directory)
    said += [f"removed  {directory}" for directory in remove_left_behind()]
    return said


def _await_end(qemu: ProcessIdentity, directory: Path) -> None:
    """Wait for QEMU, and for its guard, which holds the directory a moment longer."""

    def has_ended() -> bool:
        return not qemu.is_alive() and not is_locked(directory)

    wait_until(has_ended, timeout_s=10, describe=f"QEMU {qemu.pid} to end")


def fits(needed_mib: int, *, available_mib: int, promised_mib: Iterable[int]) -> bool:
    """Whether a machine that may come to take `needed_mib` has room beside what others may yet take."""
    return needed_mib <= available_mib - sum(promised_mib)


@contextlib.contextmanager
def room_for(needed_mib: int, *, timeout_s: float) -> Iterator[None]:
    """Hold the right to start a machine, once its memory fits beside what all others were promised.

    Whoever starts one writes its record inside the block, so that the next counts it. Waits for others to end, at
    most `timeout_s`; then raises `HostError` with what is free.
    """
    # The directory's own lock, so that no file is left for it.
    descriptor = os.open(scratch.PARENT, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def has_room() -> bool:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if fits(needed_mib, available_mib=available_memory_mib(), promised_mib=_promised_mib()):
            return True
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False

    try:
        try:
            wait_until(has_room, timeout_s=timeout_s, describe="memory for a guest", interval_s=0.5)
        except VmlabError:
            raise HostError(
                f"not enough memory: {available_memory_mib()} MiB available, {sum(_promised_mib())} of them promised "
                f"to guests that run, and this one takes {needed_mib}",
                hint="run fewer side by side (-n), or give guests less: --vmlab-memory-mib 512",
            ) from None
        yield
    finally:
        os.close(descriptor)


def _promised_mib() -> list[int]:
    return [
        max(0, record.expected_mib - _taken_mib(record.qemu.pid))
        for directory, record in machines()
        if record.qemu.is_alive() or (record.qemu.pid == 0 and not is_abandoned(directory))
    ]


def _taken_mib(pid: int) -> int:
    """The memory that a process has to itself: of a fork's file mapping only what it changed (proc(5), RssAnon)."""
    try:
        for line in Path("/proc", str(pid), "status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) // 1024
    except OSError:
        pass
    return 0
