# SPDX-License-Identifier: MIT
"""Permissions for perf at each level of kernel.perf_event_paranoid. The table is images/perf-access.toml."""

from __future__ import annotations

import contextlib
import errno
import functools
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from vmlab.catalogue.matrix import catalogue_directory
from vmlab.catalogue.release import line_of
from vmlab.decode import read_toml, structure
from vmlab.errors import GuestError, UsageError, hides_frames
from vmlab.guest.guest import Guest

__tracebackhide__ = hides_frames

_FILE = "perf-access.toml"
LEVEL_FILE = "/proc/sys/kernel/perf_event_paranoid"
KPTR_FILE = "/proc/sys/kernel/kptr_restrict"
_SYMBOL = "CONFIG_SECURITY_PERF_EVENTS_RESTRICT"
_EXAMINE = f'uname -r; echo ---; grep -s {_SYMBOL} "/boot/config-$(uname -r)"; echo ---; grep ^ID= /etc/os-release'
_UPSTREAM_DEFAULT = 2
"""Since v4.6, commit 0161028b7c8a."""
_MOST_KPTR = 2


class Privilege(StrEnum):
    """Privilege of the process that uses perf."""

    NONE = "no-capability"
    PERFMON = "CAP_PERFMON"
    ROOT = "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One use of perf_event_open(2)."""

    name: str
    does: str
    source: str
    refused_from: int | None = None
    """Lowest level that refuses it; None if no upstream level does."""
    errno: str = ""
    perfmon_since: str = ""
    """First kernel line in which CAP_PERFMON suffices, if it differs from the table's."""
    needs_pmu: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """A distribution's patch to the kernel: a level from which everything is refused."""

    distribution: str
    default: int
    refuses_all_from: int
    errno: str
    lifted_by: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    levels: tuple[int, ...]
    perfmon_since: str
    operation: tuple[Operation, ...]
    restriction: tuple[Restriction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PerfKernel:
    """The properties of a kernel that select rows of the table."""

    release: str
    restriction: Restriction | None
    """The distribution's patch; None if the kernel has none."""
    default: int
    """Level after boot."""
    has_pmu: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PerfAccess:
    """The perf settings of a guest while a test runs."""

    level: int
    found_level: int
    """Level before the test, which is restored."""
    kernel: PerfKernel


class PerfMissing(GuestError):
    """The guest's kernel was built without perf."""


@functools.cache
def _table() -> _Table:
    path = catalogue_directory() / _FILE
    table = structure(read_toml(path), _Table, where=_FILE)
    names = [*(row.errno for row in table.operation), *(row.errno for row in table.restriction)]
    for name in names:
        if name and name not in errno.errorcode.values():
            raise UsageError(f"{_FILE}: unknown errno {name!r}", hint="write it as in errno(3): EACCES")
    return table


def operations() -> tuple[Operation, ...]:
    """Return all operations of the table, in its order."""
    return _table().operation


def known_levels() -> tuple[int, ...]:
    """Return the levels that have a distinct meaning in some kernel."""
    return _table().levels


def expected_errno(operation: Operation, *, level: int, privilege: Privilege, kernel: PerfKernel) -> int:
    """Return the errno that perf_event_open(2) must set, 0 if it must succeed. Pure."""
    restriction = kernel.restriction
    if restriction is not None and level >= restriction.refuses_all_from and not _lifts(privilege, restriction):
        return _number(restriction.errno)
    if operation.refused_from is not None and level >= operation.refused_from:
        since = operation.perfmon_since or _table().perfmon_since
        is_enough = privilege is Privilege.PERFMON and line_of(kernel.release) >= line_of(since)
        if privilege is not Privilege.ROOT and not is_enough:
            return _number(operation.errno)
    if operation.needs_pmu and not kernel.has_pmu:
        return errno.ENOENT
    return 0


def name_of(number: int) -> str:
    """Return an errno's name: `EACCES` for 13, `ok` for 0."""
    return errno.errorcode.get(number, f"errno {number}") if number else "ok"


def identify(*, release: str, config: str, os_release: str, has_pmu: bool = False) -> PerfKernel:
    """Identify a kernel by its configuration and the distribution's os-release(5). Pure.

    Raises `GuestError` for a restricted kernel of a distribution that is not in the table.
    """
    symbol = re.search(rf"^(?:# )?{_SYMBOL}(=y| is not set)$", config, re.MULTILINE)
    if symbol is None:
        return PerfKernel(release=release, restriction=None, default=_UPSTREAM_DEFAULT, has_pmu=has_pmu)
    match = re.search(r'^ID="?([\w.-]+)"?$', os_release, re.MULTILINE)
    distribution = match[1] if match else ""
    for restriction in _table().restriction:
        if restriction.distribution == distribution:
            default = restriction.default if symbol[1] == "=y" else _UPSTREAM_DEFAULT
            return PerfKernel(release=release, restriction=restriction, default=default, has_pmu=has_pmu)
    raise GuestError(
        f"{distribution!r} restricts perf_event_open() in an unknown way",
        hint=f"add a [[restriction]] for it to images/{_FILE}",
    )


def examine(guest: Guest) -> PerfKernel:
    """Identify a guest's kernel. Costs one command."""
    release, config, os_release = _parts(guest.as_root(_EXAMINE))
    return identify(release=release, config=config, os_release=os_release)


def read_level(guest: Guest) -> int:
    """Return the guest's kernel.perf_event_paranoid; raises `PerfMissing` if its kernel was built without perf."""
    text = guest.root(f"cat {LEVEL_FILE}").stdout
    return int(_require_perf(text))


@contextlib.contextmanager
def perf_access(guest: Guest, *, level: int | None = None, kptr_restrict: int | None = None) -> Iterator[PerfAccess]:
    """Set the permissions for perf in a guest, and restore them at the end of the block.

    `level` is kernel.perf_event_paranoid, `kptr_restrict` decides who sees kernel addresses; None leaves a value as it
    is. Raises `UsageError` for an unknown level (the kernel accepts any integer, and treats one above its highest level
    like that level), `PerfMissing` for a kernel without perf. Costs two commands as root, then one.
    """
    if level is not None and level not in known_levels():
        known = f"{known_levels()[0]} to {known_levels()[-1]}"
        raise UsageError(f"unknown perf_event_paranoid level {level}", hint=f"known: {known}")
    if kptr_restrict is not None and not 0 <= kptr_restrict <= _MOST_KPTR:
        raise UsageError(f"unknown kptr_restrict value {kptr_restrict}", hint=f"known: 0 to {_MOST_KPTR}")
    files = f"cat {LEVEL_FILE}; echo ---; cat {KPTR_FILE}; echo ---; {_EXAMINE}"
    parts = _parts(guest.root(files).stdout)
    _require_perf(parts[0])
    found, found_kptr, release, config, os_release = parts
    kernel = identify(release=release, config=config, os_release=os_release)
    wanted = {LEVEL_FILE: level, KPTR_FILE: kptr_restrict}
    before = {LEVEL_FILE: found, KPTR_FILE: found_kptr}
    changed = {path: str(value) for path, value in wanted.items() if value is not None}
    try:
        _write(guest, changed)
        yield PerfAccess(level=int(found) if level is None else level, found_level=int(found), kernel=kernel)
    finally:
        # A lost guest needs no restore, and its loss is already reported.
        if not guest.is_lost:
            _write(guest, {path: before[path] for path in changed})


def _write(guest: Guest, values: Mapping[str, str]) -> None:
    if not values:
        return
    commands = "; ".join(f"echo {shlex.quote(value)} >{path}; cat {path}" for path, value in values.items())
    done = guest.root(commands)
    if done.stdout.split() != list(values.values()):
        wanted = ", ".join(f"{path} to {value}" for path, value in values.items())
        raise GuestError(f"cannot set {wanted}", detail=f"{done.stdout}{done.stderr}")


def _require_perf(level: str) -> str:
    if not level.strip():
        raise PerfMissing(
            f"the guest's kernel has no perf: {LEVEL_FILE} is missing", hint="it needs CONFIG_PERF_EVENTS=y"
        )
    return level


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split("---\n")]


def _lifts(privilege: Privilege, restriction: Restriction) -> bool:
    return privilege is Privilege.ROOT or restriction.lifted_by == str(privilege)


def _number(name: str) -> int:
    return next(number for number, known in errno.errorcode.items() if known == name)
