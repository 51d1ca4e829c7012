# SPDX-License-Identifier: MIT
"""The table of perf_event_paranoid, and settings changed and restored in a guest."""

from __future__ import annotations

import errno

import pytest

from unit.fakes import FakeTransport, completed, guest
from vmlab.errors import GuestError, UsageError
from vmlab.guest.transport import Completed
from vmlab.perf.access import (
    KPTR_FILE,
    LEVEL_FILE,
    Operation,
    PerfKernel,
    PerfMissing,
    Privilege,
    examine,
    expected_errno,
    identify,
    known_levels,
    name_of,
    operations,
    perf_access,
    read_level,
)

_CONFIG = "CONFIG_SECURITY_PERF_EVENTS_RESTRICT=y\n"
DEBIAN = identify(release="6.1.0-56-cloud-amd64", config=_CONFIG, os_release="ID=debian\n")
UBUNTU = identify(release="6.8.0-31-generic", config=_CONFIG, os_release="ID=ubuntu\n")
UPSTREAM = identify(release="6.12.1", config="CONFIG_PERF_EVENTS=y\n", os_release="ID=fedora\n")


def operation(name: str) -> Operation:
    return next(found for found in operations() if found.name == name)


def _refused_from(name: str, privilege: Privilege, kernel: PerfKernel) -> int | None:
    """The lowest level that refuses the operation; require that all higher levels refuse it too."""
    answers = [
        expected_errno(operation(name), level=level, privilege=privilege, kernel=kernel) != 0
        for level in known_levels()
    ]
    assert answers == sorted(answers)
    return known_levels()[answers.index(True)] if True in answers else None


@pytest.mark.parametrize(
    ("kernel", "own", "kernel_too", "system", "raw"),
    [(UPSTREAM, None, 2, 1, 0), (DEBIAN, 3, 2, 1, 0), (UBUNTU, 4, 2, 1, 0)],
    ids=["upstream", "debian", "ubuntu"],
)
def test_each_level_takes_something_from_an_ordinary_user(
    kernel: PerfKernel, own: int | None, kernel_too: int, system: int, raw: int
) -> None:
    refused = [_refused_from(name, Privilege.NONE, kernel) for name in ("own-user", "kernel", "system-wide")]
    assert refused == [own, kernel_too, system]
    assert _refused_from("tracepoint-raw", Privilege.NONE, kernel) == raw
    assert _refused_from("other-user", Privilege.NONE, kernel) == -1


def test_cap_perfmon_lifts_upstreams_refusals_and_no_distributions() -> None:
    names = ("own-user", "kernel", "system-wide", "other-user", "tracepoint-raw")
    assert {_refused_from(name, Privilege.PERFMON, UPSTREAM) for name in names} == {None}
    assert {_refused_from(name, Privilege.PERFMON, DEBIAN) for name in names} == {3}
    assert {_refused_from(name, Privilege.ROOT, DEBIAN) for name in names} == {None}


def test_cap_perfmon_is_worth_nothing_before_it_was_there() -> None:
    old = PerfKernel(release="5.7.0", restriction=None, default=2)
    between = PerfKernel(release="5.8.18", restriction=None, default=2)
    assert _refused_from("kernel", Privilege.PERFMON, old) == 2
    assert _refused_from("kernel", Privilege.PERFMON, between) is None
    assert _refused_from("other-user", Privilege.PERFMON, between) == -1


def test_raw_tracepoints_alone_are_refused_with_eperm() -> None:
    errnos = {
        found.name: expected_errno(found, level=2, privilege=Privilege.NONE, kernel=UPSTREAM) for found in operations()
    }
    assert [name for name, number in errnos.items() if number == errno.EPERM] == ["tracepoint-raw"]
    # Debian's check comes before all others.
    raw = expected_errno(operation("tracepoint-raw"), level=3, privilege=Privilege.NONE, kernel=DEBIAN)
    assert name_of(raw) == "EACCES"


def test_a_hardware_event_needs_a_pmu_and_the_level_is_asked_first() -> None:
    hardware = operation("hardware")
    with_pmu = PerfKernel(release="6.12.1", restriction=None, default=2, has_pmu=True)
    assert expected_errno(hardware, level=2, privilege=Privilege.NONE, kernel=with_pmu) == 0
    assert expected_errno(hardware, level=2, privilege=Privilege.NONE, kernel=UPSTREAM) == errno.ENOENT
    assert expected_errno(hardware, level=3, privilege=Privilege.NONE, kernel=DEBIAN) == errno.EACCES


def test_every_operation_says_what_it_is_and_where_that_is_written() -> None:
    assert len({found.name for found in operations()}) == len(operations())
    assert all(found.does and found.source for found in operations())
    assert all(bool(found.errno) == (found.refused_from is not None) for found in operations())


def test_the_level_a_kernel_boots_with_follows_from_its_configuration() -> None:
    unset = identify(
        release="6.1", config="# CONFIG_SECURITY_PERF_EVENTS_RESTRICT is not set\n", os_release='ID="debian"\n'
    )
    assert [kernel.default for kernel in (UPSTREAM, DEBIAN, UBUNTU, unset)] == [2, 3, 4, 2]
    assert unset.restriction == DEBIAN.restriction


def test_an_unknown_distributions_patch_is_named() -> None:
    with pytest.raises(GuestError, match=r"'mint' restricts perf_event_open\(\) in an unknown way"):
        identify(release="6.8", config=_CONFIG, os_release="ID=mint\n")


class _Files(FakeTransport):
    """A root shell that knows two files below /proc, and its kernel."""

    def __init__(self, level: str = "3", kptr: str = "0") -> None:
        super().__init__()
        self.files = {LEVEL_FILE: level, KPTR_FILE: kptr}
        self.refused: str | None = None

    def run(self, command: str, *, timeout_s: float) -> Completed:
        parts = [part.strip() for part in command.split(";")]
        output = []
        for part in parts:
            word, _, rest = part.partition(" ")
            if word == "cat":
                output += [f"{self.files[rest]}\n"] if self.files.get(rest) else []
            elif word == "echo" and ">" in rest:
                value, _, path = rest.partition(" >")
                if value != self.refused:
                    self.files[path] = value
            elif word == "echo":
                output.append(f"{rest}\n")
            elif word == "uname":
                output.append("6.1.0-56-cloud-amd64\n")
            elif word == "grep":
                output.append("ID=debian\n" if "os-release" in rest else _CONFIG)
        return completed(command, stdout="".join(output))


def test_what_is_set_is_put_back() -> None:
    files = _Files()
    with perf_access(guest(FakeTransport(), root=files), level=-1, kptr_restrict=1) as access:
        assert files.files == {LEVEL_FILE: "-1", KPTR_FILE: "1"}
        assert (access.level, access.found_level, access.kernel) == (-1, 3, DEBIAN)
    assert files.files == {LEVEL_FILE: "3", KPTR_FILE: "0"}


def test_what_is_not_named_is_left_alone() -> None:
    files = _Files()
    with perf_access(guest(FakeTransport(), root=files)) as access:
        assert access.level == 3
        assert files.files == {LEVEL_FILE: "3", KPTR_FILE: "0"}


def test_a_level_that_no_kernel_knows_is_refused_before_anything_is_changed() -> None:
    files = _Files()
    with (
        pytest.raises(UsageError, match=r"unknown perf_event_paranoid level 7 \(known: -1 to 4\)"),
        perf_access(guest(FakeTransport(), root=files), level=7),
    ):
        pass
    with (
        pytest.raises(UsageError, match="unknown kptr_restrict value 3"),
        perf_access(guest(FakeTransport(), root=files), kptr_restrict=3),
    ):
        pass
    assert files.files[LEVEL_FILE] == "3"


def test_a_kernel_that_does_not_take_a_level_is_told() -> None:
    files = _Files()
    files.refused = "2"
    with (
        pytest.raises(GuestError, match=f"cannot set {LEVEL_FILE} to 2"),
        perf_access(guest(FakeTransport(), root=files), level=2),
    ):
        pass


def test_a_kernel_without_perf_is_told() -> None:
    bare = guest(FakeTransport(), root=_Files(level=""))
    with pytest.raises(PerfMissing, match="the guest's kernel has no perf"), perf_access(bare, level=2):
        pass
    with pytest.raises(PerfMissing, match="CONFIG_PERF_EVENTS=y"):
        read_level(bare)


def test_a_guest_that_was_lost_meanwhile_is_not_asked_again() -> None:
    files = _Files()
    lost = guest(FakeTransport(), root=files)
    with perf_access(lost, level=2):
        lost.is_lost = True
        asked = len(files.files), lost.commands
    assert (len(files.files), lost.commands) == asked


def test_a_guest_tells_its_level_and_its_kernel() -> None:
    there = guest(FakeTransport(), root=_Files(level="2"))
    assert (read_level(there), examine(there)) == (2, DEBIAN)
