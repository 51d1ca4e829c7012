# SPDX-License-Identifier: MIT
"""The restrictions of QEMU that a host allows, and the notice about those that it does not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vmlab.errors import HostError
from vmlab.host import confinement
from vmlab.host.confinement import GROUP, SANDBOX, USERS, Confinement, find_confinement, groups_for
from vmlab.system.process import Finished

Script = Callable[[Callable[[list[str]], str]], None]

_KVM = Path("/dev/kvm")
_FULL = "CapEff:\t000001ffffffffff\n"


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """Replace the start of QEMU by a function from its command to its complaint, for a lab that is root."""

    def install(complaint: Callable[[list[str]], str]) -> None:
        def run(argv: list[str], **_: object) -> Finished:
            said = complaint(argv)
            return Finished(argv=tuple(argv), status=1 if said else 0, output=said)

        monkeypatch.setattr(confinement, "run", run)

    monkeypatch.setattr(confinement, "find_program", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(confinement, "lacking_capabilities", lambda _: [])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    find_confinement.cache_clear()
    yield install
    find_confinement.cache_clear()


def test_a_host_that_allows_all_gives_no_notice(starts: Script) -> None:
    starts(lambda _: "")

    found = find_confinement("qemu", is_kvm=False)

    assert (found.has_own_user, found.has_sandbox, found.notice) == (True, True, "")


def test_a_qemu_without_seccomp_keeps_its_user_and_the_notice_says_so(starts: Script) -> None:
    starts(lambda argv: "qemu: -sandbox support is not enabled" if "-sandbox" in argv else "")

    found = find_confinement("qemu", is_kvm=False)

    assert (found.has_own_user, found.has_sandbox) == (True, False)
    assert found.notice == (
        "QEMU is less confined than it could be: it has no seccomp filter (qemu: -sandbox support is not enabled)"
    )


def test_a_host_that_allows_no_other_user_keeps_the_filter(starts: Script) -> None:
    refusal = "setpriv: setresuid failed: Invalid argument"
    starts(lambda argv: refusal if any(word.startswith("--reuid") for word in argv) else "")

    found = find_confinement("qemu", is_kvm=False)

    assert (found.has_own_user, found.has_sandbox) == (False, True)
    assert found.notice == f"QEMU is less confined than it could be: it runs as root ({refusal})"


def test_a_host_that_allows_nothing_still_starts_qemu(starts: Script) -> None:
    starts(lambda _: "no")

    found = find_confinement("qemu", is_kvm=False)

    assert found.options() == []
    assert found.notice.endswith("it runs as root (no); it has no seccomp filter (no)")


def test_a_user_that_cannot_open_kvm_is_not_taken(
    starts: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "kvm"
    device.touch()
    device.chmod(0o666)
    monkeypatch.setattr(confinement, "KVM_DEVICE", device)
    starts(lambda argv: f"sh: cannot open {device}" if str(device) in argv else "")

    assert find_confinement("qemu", is_kvm=False).has_own_user
    found = find_confinement("qemu", is_kvm=True)

    assert (found.has_own_user, found.has_sandbox) == (False, True)
    assert f"it runs as root (sh: cannot open {device})" in found.notice


def test_qemu_is_started_once_to_find_out(starts: Script) -> None:
    started: list[str] = []

    def complaint(argv: list[str]) -> str:
        started.append(argv[0])
        return ""

    starts(complaint)

    assert find_confinement("qemu", is_kvm=False) == find_confinement("qemu", is_kvm=False)

    assert len(started) == 1


def test_a_missing_qemu_is_the_hosts_fault() -> None:
    with pytest.raises(HostError, match="qemu-no-such is not installed"):
        find_confinement("qemu-no-such", is_kvm=False)


def test_a_capability_that_the_lab_lacks_is_named() -> None:
    assert confinement.lacking_capabilities(_FULL) == []
    assert confinement.lacking_capabilities("CapEff:\t00000000000000bf\n") == [
        "CAP_SETGID",
        "CAP_SETPCAP",
    ]
    assert "CAP_SETUID" in confinement.lacking_capabilities("")


@pytest.mark.parametrize(
    ("mode", "gid", "groups", "is_possible"),
    [
        pytest.param(0o666, 106, (), True, id="open to all"),
        pytest.param(0o660, 106, (106,), True, id="open to a group"),
        pytest.param(0o660, 0, (), False, id="open to root's group"),
        pytest.param(0o600, 106, (), False, id="open to root"),
        pytest.param(0o640, 106, (), False, id="readable"),
    ],
)
def test_kvm_is_never_lost_to_another_user(mode: int, gid: int, groups: tuple[int, ...], is_possible: bool) -> None:
    found, why_not = groups_for(mode, gid, _KVM)

    assert (found, not why_not) == (groups, is_possible)
    assert why_not in ("", "only root may open /dev/kvm")


def test_the_command_drops_everything_but_the_group_of_kvm() -> None:
    made = Confinement(has_own_user=True, groups=(106,), has_sandbox=True).for_machine()

    assert made.user in USERS
    assert made.prefix() == [
        *("prlimit", "--core=0:0", "setpriv", "--no-new-privs"),
        *(f"--reuid={made.user}", f"--regid={GROUP}", "--groups=106", "--inh-caps=-all", "--bounding-set=-all"),
    ]
    assert confinement.confined_words(["qemu", "-smp", "2"], made) == ["qemu", "-sandbox", SANDBOX, "-smp", "2"]


def test_the_lab_of_an_ordinary_user_changes_no_user() -> None:
    made = Confinement(has_sandbox=True).for_machine()

    assert made.prefix() == ["prlimit", "--core=0:0", "setpriv", "--no-new-privs"]


def test_a_refused_file_is_a_reason_to_keep_the_user() -> None:
    made = Confinement(has_own_user=True, has_sandbox=True).for_machine().as_the_labs_user("/mnt/ram: refused")

    assert made.user is None
    assert made.notice == "QEMU is less confined than it could be: it runs as root (/mnt/ram: refused)"
