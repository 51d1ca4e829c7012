# SPDX-License-Identifier: MIT
"""perf permissions: every level and privilege against images/perf-access.toml."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
from collections.abc import Callable, Mapping

import pytest

from kernel.refusal import Cause, Refusal, explain
from vmlab.catalogue.target import Target
from vmlab.guest.guest import Guest
from vmlab.perf.access import (
    LEVEL_FILE,
    PerfAccess,
    Privilege,
    expected_errno,
    known_levels,
    name_of,
    operations,
    read_level,
)
from vmlab.perf.access import perf_access as access_set

from .finding import Note
from .perf_row import PerfRow, Rows
from .typed import by_user

# perf and tracing patch the running kernel's code.
pytestmark = pytest.mark.usefixtures("one_processor")

SetAccess = Callable[..., PerfAccess]


def _explain(row: PerfRow, name: str, access: PerfAccess) -> Refusal:
    operation = next(operation for operation in operations() if operation.name == name)
    return explain(
        row.errnos[name],
        operation,
        level=access.level,
        privilege=Privilege.NONE,
        kernel=access.kernel,
        seccomp=row.seccomp,
    )


def test_the_level_a_kernel_boots_with_is_its_distributions(
    guest: Guest, perf_access: SetAccess, target: Target, request: pytest.FixtureRequest, finding: Note
) -> None:
    # A new fork: unchanged since the boot.
    kernel = perf_access().kernel
    level = read_level(guest)
    request.node.user_properties.append(("perf_event_paranoid", level))
    said = by_user(guest, f"cat {LEVEL_FILE}; grep PERF_EVENTS_RESTRICT /boot/config-$(uname -r)")
    by = kernel.restriction.distribution if kernel.restriction is not None else "upstream"
    finding("perf.default", **said.shown, level=level, restricted_by=by)
    # The error from the course notes, in perf's words.
    refused = by_user(guest, "perf stat -e task-clock true")
    finding("perf.refused", **refused.shown, level=level, status=refused.status)
    assert (refused.status != 0, "perf_event_paranoid" in refused.output) == (level >= 2,) * 2, refused.output
    assert level == kernel.default
    if target.id.startswith("debian"):
        assert kernel.restriction is not None
        assert (kernel.restriction.distribution, level) == ("debian", 3)


def test_each_operation_ends_as_the_table_says(perf_access: SetAccess, rows: Rows, finding: Note) -> None:
    """Keys `perf.level.LEVEL`. One command covers all levels, because commands take most of the time."""
    # From here on, the fixture restores the previous level.
    kernel = perf_access(level=known_levels()[0]).kernel
    levels = rows.ask_levels(known_levels())
    seen: dict[str, str] = {}
    expected: dict[str, str] = {}
    for level, asked in levels.items():
        kernel = dataclasses.replace(kernel, has_pmu=asked[Privilege.ROOT].has_pmu)
        errnos = {f"{name}.{who}": name_of(number) for who, row in asked.items() for name, number in row.errnos.items()}
        finding(f"perf.level.{level}", command=rows.typed(level), output=_table(asked), **errnos)
        seen |= {f"{level}: {name}": errno_name for name, errno_name in errnos.items()}
        expected |= {
            f"{level}: {operation.name}.{who}": name_of(
                expected_errno(operation, level=level, privilege=who, kernel=kernel)
            )
            for who in Privilege
            for operation in operations()
        }
    assert seen == expected


def _table(asked: Mapping[Privilege, PerfRow]) -> str:
    """Result of each operation for all privileges."""
    lines = [f"{'':20}" + "".join(f"{who:15}" for who in asked)]
    for operation in operations():
        lines.append(
            f"{operation.name:20}" + "".join(f"{name_of(row.errnos[operation.name]):15}" for row in asked.values())
        )
    return "\n".join(line.rstrip() for line in lines)


def test_the_user_who_logs_in_has_no_capability(perf_access: SetAccess, rows: Rows) -> None:
    perf_access(level=1)
    assert rows.ask_logged_in() == rows.ask(Privilege.NONE)


def test_cap_perfmon_lifts_no_restriction_of_debians(perf_access: SetAccess, rows: Rows) -> None:
    access = perf_access(level=3)
    if access.kernel.restriction is None:
        pytest.skip("this kernel has no restriction of a distribution's own")
    asked = rows.ask_all()
    assert set(asked[Privilege.PERFMON].errnos.values()) == {errno.EACCES}
    assert asked[Privilege.ROOT].errnos["own-user"] == 0


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS], ids=["EPERM", "ENOSYS"])
def test_a_seccomp_filter_is_told_from_the_level(perf_access: SetAccess, rows: Rows, number: int) -> None:
    access = perf_access(level=-1)
    row = rows.ask(Privilege.NONE, refusal=number)
    assert set(row.errnos.values()) == {number}
    refusal = _explain(row, "own-user", access)
    assert refusal.cause is Cause.SECCOMP, refusal


def test_a_refusal_by_the_level_is_told_as_such(perf_access: SetAccess, rows: Rows) -> None:
    access = perf_access(level=2)
    row = rows.ask(Privilege.NONE)
    causes = {name: _explain(row, name, access).cause for name in row.errnos if name != "hardware"}
    assert {name: cause for name, cause in causes.items() if cause is not Cause.NOTHING} == {
        "kernel": Cause.LEVEL,
        "system-wide": Cause.LEVEL,
        "other-user": Cause.OTHER_USER,
        "tracepoint-raw": Cause.LEVEL,
    }


@pytest.mark.parametrize(
    ("level", "kptr_restrict", "shown"),
    [(1, 0, True), (2, 0, False), (1, 1, False)],
    ids=["paranoid=1-kptr=0", "paranoid=2-kptr=0", "paranoid=1-kptr=1"],
)
def test_kernel_addresses_are_shown_to_whom_may_profile_the_kernel(
    shared_guest: Guest, perf_access: SetAccess, level: int, kptr_restrict: int, shown: bool
) -> None:
    # kallsyms_show_value(), kernel/kallsyms.c, kernel/ksyms_common.c since v6.5: perf needs it to name a function.
    perf_access(level=level, kptr_restrict=kptr_restrict)
    address = shared_guest.succeed("grep -m 1 ' _stext$' /proc/kallsyms").split()[0]
    assert (int(address, 16) != 0) is shown


def test_what_was_set_is_put_back_though_the_test_fails(shared_guest: Guest) -> None:
    files = "cat /proc/sys/kernel/perf_event_paranoid /proc/sys/kernel/kptr_restrict"
    before = shared_guest.as_root(files)
    during = ""
    with contextlib.suppress(RuntimeError), access_set(shared_guest, level=-1, kptr_restrict=2):
        during = shared_guest.as_root(files)
        raise RuntimeError
    assert (during, shared_guest.as_root(files)) == ("-1\n2\n", before)


def test_a_kernel_without_perf_is_a_skip_with_its_cause(guest: Guest, perf_access: SetAccess) -> None:
    # Same effect as without CONFIG_PERF_EVENTS: the file is missing.
    guest.as_root("mount -t tmpfs none /proc/sys/kernel")
    try:
        with pytest.raises(pytest.skip.Exception, match="the guest's kernel has no perf: /proc/sys/kernel/"):
            perf_access(level=2)
    finally:
        # The lab reads the taint from this directory.
        guest.as_root("umount /proc/sys/kernel")
